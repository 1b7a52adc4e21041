package actors

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

var (
	errGoexit     = errors.New("runtime.Goexit was called in Receive")
	errNotStopped = errors.New("a permanent actor was stopped by someone other than its supervisor")
)

// childFailure travels inside proto.actor's Failure from a child to its supervisor.
type childFailure struct {
	c   *cell
	err *PanicError
}

// childEnd is what a parent may know about a child whose Terminated is in hand.
type childEnd struct {
	c   *cell
	set bool
}

// failed records a panic and asks the supervisor what to do. The message in hand is lost; those
// behind it wait.
func (c *cell) failed(r, m any, stack []byte) {
	pe, ok := r.(*PanicError)
	if !ok {
		pe = &PanicError{Path: c.path(), Value: r, Message: fmt.Sprintf("%T", m), At: c.rt.host.now(), Stack: stack}
	}
	stopping := Phase(c.phase.Load()) >= Stopping
	c.mu.Lock()
	x := c.ext()
	x.failures++
	x.last = pe
	asks := x.takeAsks()
	c.mu.Unlock()
	c.rt.graves.failure(pe)
	failAsks(asks, pe)
	if m != nil {
		c.undelivered(m, pe)
	}
	if stopping {
		return
	}
	c.susp = true
	c.setPhase(Failed)
	c.rt.notify(Event{Kind: EventFailed, Path: c.path(), Actor: c.pol.Kind, Err: pe})
	f := &childFailure{c, pe}
	if c.parent == nil {
		c.rt.rootFailed(f)
		return
	}
	c.parent.PostSystemMessage(&actor.Failure{Who: c.self, Reason: f})
}

// childFailed is the supervisor's turn: ask the strategy, then act.
func (c *cell) childFailed(f *childFailure) {
	c.supervise(f, c.pol.Children, c.laterSiblings)
}

func (c *cell) laterSiblings(child *cell) []*cell {
	return slices.DeleteFunc(c.childrenInOrder(), func(o *cell) bool { return o.seq <= child.seq })
}

func (c *cell) supervise(f *childFailure, s Strategy, later func(*cell) []*cell) {
	child := f.c
	if !child.is(Failed) {
		return // stopped or restarted by a sibling's failure in the meantime
	}
	child.mu.Lock()
	h := &child.ext().history
	child.mu.Unlock()
	v := s.Decide(h, child.pol.Restart, c.rt.host.now(), c.rt.host.float())
	c.rt.notify(Event{Kind: EventVerdict, Path: child.path(), Actor: child.pol.Kind, Err: f.err, Action: v.Action, After: v.After})
	switch v.Action {
	case ActStop:
		child.mu.Lock()
		child.x.cause = f.err
		child.mu.Unlock()
		child.command()
	case ActEscalate:
		panic(&EscalatedError{Child: child.path(), Err: f.err})
	case ActRestart, ActPark:
		group := []*cell{child}
		if v.Rest {
			group = append(group, later(child)...)
		}
		if v.After <= 0 {
			restartAll(group)
			return
		}
		token := child.holdOff(v)
		c.rt.host.afterFunc(v.After, func() {
			if child.tokenIs(token) {
				restartAll(group)
			}
		})
	}
}

// restartAll tells the last of the group first: what feeds another stops before it.
func restartAll(group []*cell) {
	for _, c := range slices.Backward(group) {
		c.PostSystemMessage(&actor.Restart{})
	}
}

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

// holdOff answers everything that waits for a failed actor that comes back only later.
func (c *cell) holdOff(v Verdict) (token uint32) {
	c.mu.Lock()
	x := c.ext()
	if v.Action == ActPark {
		x.parked = c.rt.host.nano() + int64(v.After)
	}
	c.refuse = true
	token = x.token
	lost := append(c.control.takeAll(), c.data.takeAll()...)
	c.mu.Unlock()
	for _, m := range lost {
		c.undelivered(m, ErrRestarting)
	}
	return token
}

func (c *cell) tokenIs(token uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.x.token == token && !c.dead
}

// restart replaces the incarnation once the children have ended; relink sees to the rest.
func (c *cell) restart() {
	c.setPhase(Restarting)
	c.susp = true
	c.mu.Lock()
	c.ext().token++
	c.mu.Unlock()
	c.release(ErrRestarting, false)
	c.inv.InvokeSystemMessage(&actor.Restart{})
}

// stop ends the actor. A permanent one that was stopped behind its supervisor's back counts as
// failed: it will be back.
func (c *cell) stop() {
	c.mu.Lock()
	x := c.ext()
	commanded := x.command || c.parent == nil || c.parent.closing()
	c.mu.Unlock()
	if c.pol.Restart == Permanent && !commanded {
		if !c.is(Failed) {
			c.failed(errNotStopped, nil, nil)
		}
		return
	}
	c.setPhase(Stopping)
	c.release(ErrStopped, true)
	if c.pol.StopOrdered {
		order := c.childrenInOrder()
		c.mu.Lock()
		x.order = order
		c.mu.Unlock()
		c.stopNext(nil)
		return
	}
	c.finishStop()
}

func (c *cell) finishStop() {
	c.inv.InvokeSystemMessage(&actor.Stop{})
	c.checkEnded()
}

// command stops the actor on behalf of its supervisor.
func (c *cell) command() {
	c.mu.Lock()
	c.ext().command = true
	c.mu.Unlock()
	c.PostSystemMessage(&actor.Stop{})
}

// stopNext is the deadline of the child that StopOrdered is waiting for.
type stopNext struct{ child *cell }

func (c *cell) stopNext(late *stopNext) {
	c.mu.Lock()
	x := c.ext()
	n := len(x.order)
	if late != nil {
		if n == 0 || x.order[n-1] != late.child {
			c.mu.Unlock()
			return
		}
		x.order = x.order[:n-1] // it goes on stopping; the next one need not wait
	}
	if x.stopper != nil {
		x.stopper.Stop()
		x.stopper = nil
	}
	for len(x.order) > 0 {
		child := x.order[len(x.order)-1]
		if x.children[child.self] != child {
			x.order = x.order[:len(x.order)-1]
			continue
		}
		d := c.pol.StopTimeout
		if d <= 0 {
			d = 2 * time.Second
		}
		x.stopper = c.rt.host.afterFunc(d, func() { c.PostSystemMessage(&stopNext{child}) })
		c.mu.Unlock()
		child.command()
		return
	}
	c.mu.Unlock()
	c.finishStop()
}

// terminated takes the end of a child (or of anyone watched).
func (c *cell) terminated(m *actor.Terminated) {
	c.mu.Lock()
	x := c.ext()
	child := x.children[m.Who]
	delete(x.children, m.Who)
	x.ending = childEnd{child, child != nil}
	next := len(x.order) > 0 && x.order[len(x.order)-1] == child
	c.mu.Unlock()
	c.inv.InvokeSystemMessage(m)
	x.ending = childEnd{}
	if next {
		c.stopNext(nil)
	}
	c.checkEnded()
}

// checkEnded notices that proto.actor has finished the stop.
func (c *cell) checkEnded() {
	if !c.is(Stopping) {
		return
	}
	if c.wrap != nil {
		if !c.wrap.stopped {
			return
		}
	} else if _, ok := c.rt.sys.ProcessRegistry.GetLocal(c.self.Id); ok {
		return
	}
	c.setPhase(Ended)
	c.mu.Lock()
	c.dead = true
	c.sys = nil
	done, cause := c.x.done, c.x.cause
	c.x.done = nil
	c.mu.Unlock()
	for _, d := range done {
		close(d)
	}
	c.rt.ended(c, cause)
}

// release gives back what the incarnation owned.
func (c *cell) release(why error, drain bool) {
	c.mu.Lock()
	x := c.ext()
	asks := x.takeAsks()
	tasks := x.takeTasks()
	timers := x.takeTimers()
	var lost []any
	if drain {
		lost = append(c.control.takeAll(), c.data.takeAll()...)
		c.refuse = true
	}
	c.mu.Unlock()
	for t := timers; t != nil; t = t.next {
		t.disarm()
	}
	failAsks(asks, why)
	for _, t := range tasks {
		t.orphan()
	}
	for _, m := range lost {
		c.undelivered(m, why)
	}
}

func (c *cell) childrenInOrder() []*cell {
	c.mu.Lock()
	var out []*cell
	if c.x != nil {
		for _, k := range c.x.children { // order-free: sorted below
			out = append(out, k)
		}
	}
	c.mu.Unlock()
	slices.SortFunc(out, func(a, b *cell) int { return int(a.seq) - int(b.seq) })
	return out
}
