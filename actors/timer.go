package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Timer tells its actor a message at a set time. Its methods are for the actor's own turns. It
// ends with the incarnation that made it. Moving it later costs nothing.
type Timer struct {
	c   *cell
	inc uint32
	msg any

	at    int64   // turn: due, in the runtime's nanoseconds; 0: not set
	fire  int64   // turn: when the underlying timer goes off; 0: it is not armed
	under stopper // mu of the cell
	next  *Timer  // mu of the cell: the actor's other timers
}

// NewTimer makes a timer that is not set. msg is delivered on the control lane.
func NewTimer(ctx actor.Context, msg any) *Timer {
	c := cellOf(ctx)
	t := &Timer{c: c, inc: c.inc, msg: msg}
	c.mu.Lock()
	x := c.ext()
	t.next = x.timers
	x.timers = t
	c.mu.Unlock()
	return t
}

// Set moves the timer to at; the zero time stops it. A time that has passed is due at once.
func (t *Timer) Set(at time.Time) {
	if at.IsZero() {
		t.Stop()
		return
	}
	t.setNano(t.c.rt.host.nano() + int64(at.Sub(t.c.rt.host.now())))
}

// After sets the timer to d from now.
func (t *Timer) After(d time.Duration) { t.setNano(t.c.rt.host.nano() + int64(d)) }

// Stop unsets the timer.
func (t *Timer) Stop() { t.at = 0 }

// IsSet says whether the timer is going to be due.
func (t *Timer) IsSet() bool { return t.at != 0 }

func (t *Timer) setNano(at int64) {
	t.at = max(at, 1)
	if t.fire != 0 && t.fire <= at {
		return // it goes off early enough; open moves it on
	}
	t.arm()
}

func (t *Timer) arm() {
	d := max(time.Duration(t.at-t.c.rt.host.nano()), 0)
	t.fire = t.at
	t.c.mu.Lock()
	if t.under != nil {
		t.under.Stop()
	}
	t.under = t.c.rt.host.afterFunc(d, func() { _ = t.c.postControl(t) })
	t.c.mu.Unlock()
}

// open implements envelope.
func (t *Timer) open(c *cell) (any, bool) {
	if t.inc != c.inc || t.at == 0 {
		t.fire = 0
		return nil, false
	}
	if c.rt.host.nano() < t.at {
		t.arm()
		return nil, false
	}
	t.at, t.fire = 0, 0
	return t.msg, true
}

func (t *Timer) disarm() {
	t.c.mu.Lock()
	if t.under != nil {
		t.under.Stop()
	}
	t.c.mu.Unlock()
}

// takeTimers is called with mu held.
func (x *extras) takeTimers() *Timer {
	t := x.timers
	x.timers = nil
	return t
}
