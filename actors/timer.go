package actors

import (
	"math"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Timer tells its actor a message at a set time. Its methods are for the actor's own turns. It
// ends with the incarnation that made it. Moving it later, and stopping it, costs nothing: what
// is armed underneath stays armed, and what it finds then is looked at anew. So an actor makes
// one timer and moves it, rather than a timer for each thing that it waits for.
type Timer struct {
	c   *cell
	inc uint32
	msg any

	at    int64   // turn: due, in the runtime's nanoseconds; 0: not set
	fire  int64   // turn: when the underlying timer goes off; 0: it is not armed
	under stopper // mu of the cell
	// mu of the cell: the actor's other armed timers. One that is not armed is in no list, so
	// that an actor may drop it.
	prev, next *Timer
	listed     bool
}

// NewTimer makes a timer that is not set. msg is delivered on the control lane.
func NewTimer(ctx actor.Context, msg any) *Timer {
	c := cellOf(ctx)
	return &Timer{c: c, inc: c.inc, msg: msg}
}

// Set moves the timer to at; the zero time stops it. A time that has passed is due at once.
func (t *Timer) Set(at time.Time) {
	if at.IsZero() {
		t.Stop()
		return
	}
	t.After(at.Sub(t.c.rt.host.now()))
}

// After sets the timer to d from now.
func (t *Timer) After(d time.Duration) {
	now := t.c.rt.host.nano()
	t.at = max(now+min(int64(d), math.MaxInt64-now), 1)
	if t.fire != 0 && t.fire <= t.at {
		return // it goes off early enough; open moves it on
	}
	t.arm()
}

// Stop unsets the timer.
func (t *Timer) Stop() { t.at = 0 }

// IsSet says whether the timer is going to be due.
func (t *Timer) IsSet() bool { return t.at != 0 }

func (t *Timer) arm() {
	c := t.c
	d := max(time.Duration(t.at-c.rt.host.nano()), 0)
	t.fire = t.at
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing() || t.inc != c.inc {
		if t.under != nil {
			t.under.Stop()
		}
		return // nobody would receive it
	}
	if again, ok := t.under.(interface{ Reset(time.Duration) bool }); ok {
		again.Reset(d) // a timer that moves to and fro allocates nothing
		return
	}
	if t.under != nil {
		t.under.Stop()
	}
	x := c.ext()
	if !t.listed {
		t.listed, t.next = true, x.timers
		if t.next != nil {
			t.next.prev = t
		}
		x.timers = t
	}
	t.under = c.rt.host.afterFunc(d, func() { _ = c.postControl(t) })
}

// open implements envelope.
func (t *Timer) open(c *cell) (any, bool) {
	switch {
	case t.inc != c.inc:
		return nil, false
	case t.at != 0 && c.rt.host.nano() < t.at:
		t.arm()
		return nil, false
	}
	due := t.at != 0
	t.at, t.fire = 0, 0
	c.mu.Lock()
	t.under = nil
	t.unlist(c.x)
	c.mu.Unlock()
	if !due {
		return nil, false
	}
	return t.msg, true
}

// unlist is called with the cell's mu held.
func (t *Timer) unlist(x *extras) {
	if !t.listed {
		return
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		x.timers = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.prev, t.next, t.listed = nil, nil, false
}

func (t *Timer) disarm() {
	t.c.mu.Lock()
	if t.under != nil {
		t.under.Stop()
		t.under = nil
	}
	t.c.mu.Unlock()
}

// takeTimers is called with mu held.
func (x *extras) takeTimers() (out []*Timer) {
	for t := x.timers; t != nil; t = x.timers {
		t.unlist(x)
		out = append(out, t)
	}
	return out
}
