package actors

import (
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// abandonedSignal unwinds a stuck handler that came back after it had been given up.
type abandonedSignal struct{}

// reaper looks after stops: an actor that is still inside one message stuckAfter after its stop
// is abandoned. All waits are equally long, so the list is in order of time and one timer does.
// An actor is in it at most once, and leaves when it ends, so that a flood of short-lived actors
// is not kept in memory. Lock order: cell, then reaper.
type reaper struct {
	rt          *Runtime
	after       time.Duration
	mu          sync.Mutex
	first, last *watch
	armed       bool
	free        []*watch // at most freeWatches: actors end all the time
}

// freeWatches is how many places the reaper keeps for the next stops.
const freeWatches = 64

// watch is a cell's place in the reaper's list.
type watch struct {
	c          *cell
	since      int64
	turn       uint32 // the turn under way; 0: none
	sysSeq     uint32
	prev, next *watch
}

// watch is called with c.mu held.
func (r *reaper) watch(c *cell) {
	x := c.ext()
	r.mu.Lock()
	defer r.mu.Unlock()
	if x.watch != nil {
		return
	}
	var w *watch
	if n := len(r.free); n > 0 {
		w, r.free = r.free[n-1], r.free[:n-1]
	} else {
		w = new(watch)
	}
	x.watch = w
	*w = watch{c: c, since: r.rt.host.nano(), turn: c.turnNow(), sysSeq: c.sysSeq, prev: r.last}
	if r.last != nil {
		r.last.next = w
	} else {
		r.first = w
	}
	r.last = w
	r.arm()
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
		r.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		r.last = w.prev
	}
	w.c.x.watch = nil
	*w = watch{}
	if len(r.free) < freeWatches {
		r.free = append(r.free, w)
	}
}

// arm is called with r.mu held.
func (r *reaper) arm() {
	if r.armed || r.first == nil {
		return
	}
	r.armed = true
	d := max(time.Duration(r.first.since-r.rt.host.nano())+r.after, 0)
	r.rt.host.afterFunc(d, r.sweep)
}

func (r *reaper) sweep() {
	now := r.rt.host.nano()
	for {
		r.mu.Lock()
		w := r.first
		if w == nil || w.since+int64(r.after) > now {
			r.armed = false
			r.arm()
			r.mu.Unlock()
			return
		}
		c, seen := w.c, *w
		r.remove(w)
		r.mu.Unlock()
		c.checkStuck(seen)
	}
}

// checkStuck looks at a stop that was posted stuckAfter ago, when seen.sysSeq system messages
// had been taken. Between two messages a stop is always seen, so an actor that is in the same
// turn as then and has taken no system message since is inside the same message.
func (c *cell) checkStuck(seen watch) {
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		return
	}
	if seen.turn != 0 && seen.turn == c.turnNow() && seen.sysSeq == c.sysSeq {
		c.abandon(ErrAbandoned)
		return
	}
	// It waits for its children, which have deadlines of their own, or for a worker, or the
	// stop comes after other system messages.
	if c.at() >= Stopping || c.sys.hasStop() {
		c.rt.reaper.watch(c)
	}
	c.mu.Unlock()
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
	c.sysSeq++
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
		}
	}
	c.mu.Unlock()
	children := c.childrenInOrder()
	for _, k := range children {
		c.rt.adopt(k)
	}
	c.rt.abandon(c, why)
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
