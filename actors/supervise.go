package actors

import (
	"fmt"
	"slices"
)

// childFailure travels inside proto.actor's Failure from a child to its supervisor. The token
// says which incarnation failed.
type childFailure struct {
	c     *cell
	err   *PanicError
	token uint32
}

// restartNow asks for a restart of the incarnation with that token: of several that were decided
// on for one incarnation, one is carried out.
type restartNow struct{ token uint32 }

// EscalatedError is why a supervisor failed whose child failed too often.
type EscalatedError struct {
	Child string
	Err   *PanicError
}

func (e *EscalatedError) Error() string {
	return fmt.Sprintf("child %s failed too often: %v", e.Child, e.Err)
}

// Unwrap gives the child's last failure.
func (e *EscalatedError) Unwrap() error { return e.Err }

// childFailed is the supervisor's turn: ask the strategy, then act.
func (c *cell) childFailed(f *childFailure) {
	if !c.closing() { // else all children are being stopped
		c.supervise(f, c.pol.Children)
	}
}

// rootStrategy is for roots: they are restarted, with growing patience, and never given up.
var rootStrategy = Strategy{Exceeded: Park, ParkFor: rootParkFor}

// rootFailed runs in the root's own turn.
func (rt *Runtime) rootFailed(f *childFailure) { f.c.supervise(f, rootStrategy) }

// supervise decides about f.c. c is its parent, or f.c itself for a root.
func (c *cell) supervise(f *childFailure, s Strategy) {
	child := f.c
	child.mu.Lock()
	if child.ext().token != f.token || child.dead || !child.is(Failed) {
		child.mu.Unlock()
		return // stopped or restarted by a sibling's failure in the meantime
	}
	rare := child.seldom()
	child.mu.Unlock()
	v := s.Decide(&rare.history, child.pol.Restart, c.rt.host.now(), c.rt.host.float())
	c.rt.notify(Event{Kind: EventVerdict, Path: child.path(), Actor: child.pol.Kind, Err: f.err, Action: v.Action, After: v.After})
	switch v.Action {
	case ActStop:
		child.mu.Lock()
		rare.cause = f.err
		child.mu.Unlock()
		child.stopNow()
	case ActEscalate:
		if !c.is(Failed) { // else its own restart will take the child along
			panic(&EscalatedError{Child: child.path(), Err: f.err})
		}
	case ActRestart, ActPark:
		if v.After <= 0 {
			c.restartGroup(f, v.Rest)
			return
		}
		child.holdOff(v, f.token, func() { c.restartGroup(f, v.Rest) })
	}
}

// restartGroup tells the last of the group first: what feeds another stops before it.
func (c *cell) restartGroup(f *childFailure, rest bool) {
	if rest && c != f.c {
		for _, o := range slices.Backward(c.childrenInOrder()) {
			if o.seq > f.c.seq {
				o.askRestart()
			}
		}
	}
	f.c.PostSystemMessage(&restartNow{f.token})
}

// askRestart restarts a sibling of one that failed. A temporary one is stopped instead.
func (c *cell) askRestart() {
	if c.pol.Restart == Temporary {
		c.stopNow()
		return
	}
	c.mu.Lock()
	token := c.ext().token
	c.mu.Unlock()
	c.PostSystemMessage(&restartNow{token})
}

// holdOff answers everything that waits for a failed actor that comes back only later, and calls
// back then.
func (c *cell) holdOff(v Verdict, token uint32, back func()) {
	c.mu.Lock()
	rare := c.seldom()
	if c.x.token != token || c.dead || !c.is(Failed) {
		c.mu.Unlock()
		return
	}
	if v.Action == ActPark {
		rare.parked = c.rt.host.nano() + int64(v.After)
	}
	c.refuse = true
	rare.delayed = c.rt.host.afterFunc(v.After, func() {
		if c.tokenIs(token) {
			back()
		}
	})
	lost := append(c.control.takeAll(), c.data.takeAll()...)
	c.mu.Unlock()
	for _, m := range lost {
		c.undelivered(m, ErrRestarting)
	}
}

func (c *cell) tokenIs(token uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.x.token == token && !c.dead
}
