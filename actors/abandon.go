package actors

import (
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// abandonedSignal unwinds a stuck handler that came back after it had been given up.
type abandonedSignal struct{}

// reaper looks at actors again after a while: at a stop, whose actor is abandoned when it is still
// inside one message after StuckAfter, and at those that have a Grace to end. An actor is in one of the
// lists at most, and leaves it when it ends, so that a flood of short-lived actors is not kept in
// memory. Lock order: cell, then reaper.
type reaper struct {
	rt     *Runtime
	mu     sync.Mutex
	stops  waits
	turns  waits    // of those that a StopAfter waits for; see checkTurn
	graces waits    // of StopLater
	free   []*watch // at most freeWatches: actors end all the time
}

// waits is a list of actors whose waits are equally long, so that it is in order of time and one
// timer does.
type waits struct {
	after       time.Duration
	late        func(*cell, watch)
	first, last *watch
	armed       bool
}

// freeWatches is how many places the reaper keeps for the next actors.
const freeWatches = 64

// watch is a cell's place in the reaper.
type watch struct {
	c          *cell
	in         *waits
	since      int64
	turn       uint32 // the turn under way; 0: none
	taken      uint32
	prev, next *watch
}

func (r *reaper) init(rt *Runtime, stuck time.Duration) {
	r.rt = rt
	r.stops = waits{after: stuck, late: (*cell).checkStuck}
	r.turns = waits{after: Grace, late: (*cell).checkTurn}
	r.graces = waits{after: Grace, late: func(c *cell, _ watch) { c.stopNow() }}
}

// watch is called with c.mu held. A stop takes the place of anything else.
func (r *reaper) watch(c *cell, in *waits) {
	x := c.ext()
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := x.watch; w != nil {
		if w.in == in || in != &r.stops {
			return
		}
		r.remove(w)
	}
	var w *watch
	if n := len(r.free); n > 0 {
		w, r.free = r.free[n-1], r.free[:n-1]
	} else {
		w = new(watch)
	}
	x.watch = w
	*w = watch{c: c, in: in, since: r.rt.host.nano(), turn: c.turnNow(), taken: c.taken, prev: in.last}
	if in.last != nil {
		in.last.next = w
	} else {
		in.first = w
	}
	in.last = w
	r.arm(in)
}

// forget is called with c.mu held.
func (r *reaper) forget(c *cell) {
	if c.x == nil {
		return
	}
	r.mu.Lock()
	if w := c.x.watch; w != nil {
		r.remove(w)
	}
	r.mu.Unlock()
}

// remove is called with r.mu held.
func (r *reaper) remove(w *watch) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		w.in.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		w.in.last = w.prev
	}
	w.c.x.watch = nil
	*w = watch{}
	if len(r.free) < freeWatches {
		r.free = append(r.free, w)
	}
}

// arm is called with r.mu held.
func (r *reaper) arm(in *waits) {
	if in.armed || in.first == nil {
		return
	}
	in.armed = true
	d := max(time.Duration(in.first.since-r.rt.host.nano())+in.after, 0)
	r.rt.host.afterFunc(d, func() { r.sweep(in) })
}

func (r *reaper) sweep(in *waits) {
	now := r.rt.host.nano()
	for {
		r.mu.Lock()
		w := in.first
		if w == nil || w.since+int64(in.after) > now {
			in.armed = false
			r.arm(in)
			r.mu.Unlock()
			return
		}
		c, seen := w.c, *w
		r.remove(w)
		r.mu.Unlock()
		in.late(c, seen)
	}
}

// checkStuck looks at a stop that was posted stuckAfter ago. Between two messages a stop is always
// seen, so an actor that is in the same turn as then and has taken no message since is stuck.
func (c *cell) checkStuck(seen watch) {
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		return
	}
	if c.within(seen) {
		c.abandon(ErrAbandoned)
		return
	}
	// It waits for its children, which have deadlines of their own, or for a worker, or the
	// stop comes after other system messages.
	if c.at() >= Stopping || c.sys.hasStop() {
		c.rt.reaper.watch(c, &c.rt.reaper.stops)
	}
	c.mu.Unlock()
}

// within says that the actor has been inside one message since it was seen. It is called with mu held.
func (c *cell) within(seen watch) bool {
	return seen.turn != 0 && seen.turn == c.turnNow() && seen.taken == c.taken
}

// checkTurn is for an actor that is to stop when it has handled what waits in its control lane. One
// that waits for a worker gets there; one that is inside a message is stopped as soon as it comes back.
func (c *cell) checkTurn(seen watch) {
	c.mu.Lock()
	again := !c.dead && !c.within(seen)
	if again {
		c.rt.reaper.watch(c, &c.rt.reaper.turns)
	}
	gone := c.dead
	c.mu.Unlock()
	if !again && !gone {
		c.stopNow()
	}
}

// turnNow is called with mu held.
func (c *cell) turnNow() uint32 {
	if c.run != runRunning {
		return 0
	}
	return max(c.turns, 1)
}

// moved notes, between two pieces of foreign code in one message, that the actor is not stuck.
// It reports false if it has been abandoned meanwhile.
func (c *cell) moved() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken++
	return !c.is(Abandoned)
}

// abandon cuts an actor off. It is called with mu held and gives it up.
func (c *cell) abandon(why error) {
	c.dead = true
	c.phase.Store(uint32(Abandoned))
	c.rt.reaper.forget(c)
	x := c.seldom()
	x.cause = why
	watchers, done := x.watchers, x.done
	x.watchers, x.done, c.sys = nil, nil, sysQueue{}
	for _, k := range c.x.kids.all() {
		if k.at() >= Ended {
			c.x.kids.remove(k)
		} else {
			c.rt.adopt(k)
		}
	}
	c.rt.lost(c) // before it can come back: see returned
	c.mu.Unlock()
	children := c.childrenInOrder()
	c.rt.graves.bury(c.rt, c, why)
	c.rt.notify(Event{Kind: EventAbandoned, Path: c.path(), Actor: c.pol.Kind, Err: why})
	c.release(why, true)
	for _, k := range slices.Backward(children) {
		k.stopNow()
	}
	c.rt.sys.ProcessRegistry.Remove(c.self)
	if done != nil {
		close(done)
	}
	c.tell(watchers)
	if c.parent != nil {
		c.parent.PostSystemMessage(&actor.Terminated{Who: c.self})
	}
}

// adopt makes Close wait for a child of an abandoned actor.
func (rt *Runtime) adopt(c *cell) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if c.at() < Ended { // else it has been and gone
		rt.orphans[c] = struct{}{}
	}
}

// abandonedHere is called with mu held when a turn begins or ends. If the actor was abandoned
// it notes that it has come back, gives mu up and reports true.
func (c *cell) abandonedHere() bool {
	if !c.is(Abandoned) {
		return false
	}
	c.run = runIdle
	c.worker = nil
	c.inv, c.wrap, c.build = nil, nil, nil // a Ref must not keep the actor
	c.mu.Unlock()
	c.rt.returned(c)
	return true
}
