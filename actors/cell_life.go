package actors

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

var (
	errGoexit     = errors.New("runtime.Goexit was called in Receive")
	errNotStopped = errors.New("a permanent actor was stopped by someone other than its supervisor")
)

// Messages without content are shared.
var (
	startedMessage = &actor.Started{}
	restartMessage = &actor.Restart{}
	stopMessage    = &actor.Stop{}
)

// failed records a panic and asks the supervisor what to do. The message in hand is lost; those
// behind it wait. What the incarnation owned goes at once: its successor may come late.
func (c *cell) failed(r, m any, stack []byte) {
	pe := c.panicked(r, m, stack)
	c.mu.Lock()
	token := c.ext().token
	c.mu.Unlock()
	c.release(pe, false)
	if m != nil {
		c.undelivered(m, pe)
	}
	if c.at() >= Stopping {
		c.cutOff(pe)
		return
	}
	c.susp = true
	c.setPhase(Failed)
	f := &childFailure{c, pe, token}
	if c.parent == nil {
		c.rt.rootFailed(f)
		return
	}
	c.parent.PostSystemMessage(&actor.Failure{Who: c.self, Reason: f})
}

// panicked puts a panic on record.
func (c *cell) panicked(r, m any, stack []byte) *PanicError {
	if e, ok := m.(*actor.MessageEnvelope); ok {
		m = e.Message
	}
	pe, ok := r.(*PanicError)
	if !ok {
		pe = &PanicError{Path: c.path(), Value: r, Message: fmt.Sprintf("%T", m), At: c.rt.host.now(), Stack: stack}
	}
	c.mu.Lock()
	rare := c.seldom()
	rare.failures++
	rare.last = pe
	c.mu.Unlock()
	c.rt.record(pe, c.pol.Kind)
	return pe
}

// cutOff ends an actor whose stop was torn by a panic: proto.actor would never finish it.
// Everything that the kit knows of is contained, so this is for a user's own middleware.
func (c *cell) cutOff(pe *PanicError) {
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		return
	}
	c.abandon(pe)
}

// restart replaces the incarnation once the children have ended; relink sees to the rest.
func (c *cell) restart(m *restartNow) {
	c.mu.Lock()
	x := c.ext()
	if m.token != x.token || c.is(Restarting) {
		c.mu.Unlock()
		return // another restart came first
	}
	x.token++
	fresh := c.is(Failed) // what it owned is gone; what is asked since then waits for the next one
	c.mu.Unlock()
	if !c.setPhase(Restarting) {
		return
	}
	c.susp = true
	if !fresh {
		c.release(ErrRestarting, false)
	}
	c.tellOfChildren()
	c.inv.InvokeSystemMessage(restartMessage)
}

// relink finishes a restart: proto.actor has replaced the actor behind the context, and the new
// one has not been told so far.
func (c *cell) relink() {
	if c.wrap == nil || !c.is(Restarting) {
		return
	}
	w, ok := c.inv.(actor.Context).Actor().(*wrapper)
	if !ok || w == c.wrap {
		return
	}
	w.c, c.wrap = c, w
	if c.revived() {
		c.inv.InvokeUserMessage(startedMessage)
		c.started()
	}
}

// revived prepares the next incarnation, which has not been told Started yet.
func (c *cell) revived() bool {
	if !c.setPhase(Starting) {
		return false
	}
	c.inc++
	c.cur = startedMessage // what a panic is on from here
	c.susp = false
	c.begun = true
	c.mu.Lock()
	rare := c.seldom()
	rare.restarts++
	rare.parked = 0
	c.refuse = false
	c.mu.Unlock()
	return true
}

// started marks the incarnation as up.
func (c *cell) started() {
	c.phase.CompareAndSwap(uint32(Starting), uint32(Alive))
}

// stop ends the actor. A permanent one that was stopped behind its supervisor's back counts as
// failed: it will be back.
func (c *cell) stop() {
	c.mu.Lock()
	commanded := c.asked || c.parent == nil || c.parent.closing()
	c.mu.Unlock()
	if c.pol.Restart == Permanent && !commanded {
		if p := c.at(); p == Starting || p == Alive {
			c.failed(errNotStopped, stopMessage, nil)
		}
		return
	}
	if !c.setPhase(Stopping) {
		return
	}
	c.release(ErrStopped, true)
	if c.pol.StopOrdered {
		order := c.childrenInOrder()
		c.mu.Lock()
		c.seldom().order = order
		c.mu.Unlock()
		c.stopNext(nil)
		return
	}
	c.finishStop()
}

func (c *cell) finishStop() {
	// A stop that overtook a restart whose children were ending: proto.actor has made the next
	// incarnation by now. It is told of its end so that the end is seen, but nothing else.
	if w, ok := c.inv.(actor.Context).Actor().(*wrapper); ok && c.wrap != nil {
		w.c, c.wrap = c, w
	}
	c.tellOfChildren()
	c.inv.InvokeSystemMessage(stopMessage)
	c.checkEnded()
}

// stopNow stops the actor on behalf of its supervisor. Once is enough: a stop is never lost.
func (c *cell) stopNow() {
	c.mu.Lock()
	again := c.asked
	c.asked = true
	c.mu.Unlock()
	if !again {
		c.PostSystemMessage(stopMessage)
	}
}

// Stop ends the actor whose turn this is, after the message in hand. A permanent one is restarted.
func Stop(ctx actor.Context) {
	if c := cellOf(ctx); c != nil {
		c.PostSystemMessage(stopMessage)
	}
}

// Grace is how long an actor has to end by itself after StopLater, and how long it may stay inside of
// one message after StopAfter.
const Grace = 100 * time.Millisecond

// StopLater ends the actor whose turn this is, and its children, in Grace from now, unless it has
// ended. It costs no timer: there is one for all actors of the runtime.
func StopLater(ctx actor.Context) {
	if c := cellOf(ctx); c != nil {
		c.mu.Lock()
		if !c.dead {
			c.rt.reaper.watch(c, &c.rt.reaper.graces)
		}
		c.mu.Unlock()
	}
}

// stopAfter stops the actor when it comes up in the control lane, or when it is lost there.
type stopAfter struct{ c *cell }

func (s *stopAfter) open(*cell) (any, bool) {
	s.c.stopNow()
	return nil, false
}

// Discard implements Discarder.
func (s *stopAfter) Discard(error) { s.c.stopNow() }

// stopNext is the deadline of the child that StopOrdered is waiting for.
type stopNext struct{ child *cell }

func (c *cell) stopNext(late *stopNext) {
	c.mu.Lock()
	x := c.seldom()
	n := len(x.order)
	if c.dead || late != nil && (n == 0 || x.order[n-1] != late.child) {
		c.mu.Unlock()
		return
	}
	if late != nil {
		x.order = x.order[:n-1] // it goes on stopping; the next one need not wait
	}
	if x.stopper != nil {
		x.stopper.Stop()
		x.stopper = nil
	}
	for len(x.order) > 0 {
		child := x.order[len(x.order)-1]
		if c.x.kids.get(child.name) != child {
			x.order = x.order[:len(x.order)-1]
			continue
		}
		d := c.pol.StopTimeout
		if d <= 0 {
			d = 2 * time.Second
		}
		x.stopper = c.rt.host.afterFunc(d, func() { c.PostSystemMessage(&stopNext{child}) })
		c.mu.Unlock()
		child.stopNow()
		return
	}
	x.order = nil
	c.mu.Unlock()
	c.finishStop()
}

// terminated takes the end of a child (or of anyone watched). A child's name is free again after
// it, and not before: proto.actor keeps its children by name and would forget a namesake.
func (c *cell) terminated(m *actor.Terminated) {
	c.mu.Lock()
	x := c.ext()
	child := x.child(m.Who)
	if child != nil && (child.self != m.Who || m.Why == actor.TerminatedReason_NotFound && child.at() < Ended) {
		c.mu.Unlock()
		if child.self != m.Who {
			c.inv.InvokeUserMessage(m) // the end of an earlier actor of that name, which was watched
		}
		return // else: its real end is still to come
	}
	next := false
	if child != nil {
		x.kids.remove(child)
		if r := x.rare; r != nil && len(r.order) > 0 {
			next = r.order[len(r.order)-1] == child
		}
	}
	x.ending = child
	c.mu.Unlock()
	c.inv.InvokeSystemMessage(m)
	x.ending = nil
	if next {
		c.stopNext(nil)
	}
	c.checkEnded()
}

// checkEnded is for actors that were spawned past the kit: their own middleware may have kept
// Stopped from arriving where the kit waits for it.
func (c *cell) checkEnded() {
	if c.wrap != nil || !c.is(Stopping) {
		return
	}
	if _, ok := c.rt.sys.ProcessRegistry.GetLocal(c.self.Id); !ok {
		c.end()
	}
}

// end is called when the actor has been told Stopped: it is gone for everyone from here on.
// proto.actor tells the parent next, which finds it ended.
func (c *cell) end() {
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		panic(abandonedSignal{})
	}
	c.dead = true
	c.phase.Store(uint32(Ended))
	c.rt.reaper.forget(c)
	var watchers []*actor.PID
	var done chan struct{}
	var cause error
	if r := c.seen(); r != nil {
		watchers, done, cause = r.watchers, r.done, r.cause
		r.watchers, r.done = nil, nil
	}
	c.sys = sysQueue{}
	// A Ref may be kept for long: it must not keep the actor.
	c.inv, c.wrap, c.build = nil, nil, nil
	c.mu.Unlock()
	if done != nil {
		close(done)
	}
	c.rt.ended(c, cause)
	c.tell(watchers)
}

func (c *cell) tell(watchers []*actor.PID) {
	if len(watchers) == 0 {
		return
	}
	gone := &actor.Terminated{Who: c.self}
	for _, w := range watchers {
		c.rt.sendSystem(w, gone)
	}
}

// release gives back what the incarnation owned; with drain, what waits for the actor too.
func (c *cell) release(why error, drain bool) {
	c.mu.Lock()
	var asks []*ask
	var tasks []*Task
	var timers []*Timer
	if x := c.x; x != nil {
		asks, tasks, timers = x.takeAsks(), x.takeTasks(), x.takeTimers()
	}
	var lost []any
	if drain {
		lost = append(c.control.takeAll(), c.data.takeAll()...)
	}
	if r := c.seen(); r != nil && r.delayed != nil {
		r.delayed.Stop()
		r.delayed = nil
	}
	c.mu.Unlock()
	for _, t := range timers {
		t.disarm()
	}
	c.rt.failAsks(asks, why)
	for _, t := range tasks {
		t.orphan(why)
	}
	for _, m := range lost {
		c.undelivered(m, why)
	}
}

// child finds a child by its PID.
func (x *extras) child(who *actor.PID) *cell {
	if x == nil {
		return nil
	}
	k := x.kids.get(who.Id[strings.LastIndexByte(who.Id, '/')+1:])
	if k == nil || !k.self.Equal(who) {
		return nil
	}
	return k
}

// endedBy is the worker that has just run the end of a child, and tells of it; nil when none has.
func (x *extras) endedBy(who *actor.PID) *worker {
	k := x.child(who)
	if k == nil || k.at() != Ended || k.self != who {
		return nil // an abandoned one is spoken for by somebody else
	}
	return k.worker
}

func (c *cell) childrenInOrder() []*cell {
	c.mu.Lock()
	var out []*cell
	if c.x != nil {
		out = c.x.kids.all()
	}
	c.mu.Unlock()
	slices.SortFunc(out, func(a, b *cell) int { return int(a.seq) - int(b.seq) })
	return out
}
