package actors

import (
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// abandonedSignal unwinds a stuck handler that came back after it had been given up.
type abandonedSignal struct{}

// reaper looks after stops: an actor that is still inside one message stuckAfter after its stop
// is abandoned. All waits are equally long, so the queue is in order of time and one timer does.
type reaper struct {
	rt    *Runtime
	after time.Duration
	mu    sync.Mutex
	queue []reaperEntry
	armed bool
}

type reaperEntry struct {
	c      *cell
	due    int64
	sysSeq uint32
}

// watch is called with c.mu held.
func (r *reaper) watch(c *cell, sysSeq uint32) {
	r.mu.Lock()
	r.queue = append(r.queue, reaperEntry{c, r.rt.host.nano() + int64(r.after), sysSeq})
	r.arm()
	r.mu.Unlock()
}

// arm is called with r.mu held.
func (r *reaper) arm() {
	if r.armed || len(r.queue) == 0 {
		return
	}
	r.armed = true
	d := max(time.Duration(r.queue[0].due-r.rt.host.nano()), 0)
	r.rt.host.afterFunc(d, r.sweep)
}

func (r *reaper) sweep() {
	now := r.rt.host.nano()
	r.mu.Lock()
	n := 0
	for n < len(r.queue) && r.queue[n].due <= now {
		n++
	}
	due := append([]reaperEntry(nil), r.queue[:n]...)
	r.queue = append(r.queue[:0], r.queue[n:]...)
	if len(r.queue) == 0 {
		r.queue = nil
	}
	r.armed = false
	r.mu.Unlock()
	for _, e := range due {
		e.c.checkStuck(e.sysSeq)
	}
	r.mu.Lock()
	r.arm()
	r.mu.Unlock()
}

// checkStuck looks at a stop that was posted stuckAfter ago, when seen system messages had been
// taken. Between two messages a stop is always seen, so an actor that is running and has taken
// no system message since is inside the same one.
func (c *cell) checkStuck(seen uint32) {
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		return
	}
	if c.run == runRunning && c.sysSeq == seen {
		c.abandon() // gives mu up
		return
	}
	// It waits for its children, or for a worker. They have deadlines of their own.
	c.rt.reaper.watch(c, c.sysSeq)
	c.mu.Unlock()
}

// abandon cuts a stuck actor off. It is called with mu held and gives it up.
func (c *cell) abandon() {
	c.dead = true
	c.setPhase(Abandoned)
	x := c.ext()
	x.cause = ErrAbandoned
	c.sys = nil
	watchers, done := x.watchers, x.done
	x.done = nil
	c.mu.Unlock()
	c.release(ErrAbandoned, true)
	for _, k := range c.childrenInOrder() {
		k.command()
	}
	c.rt.sys.ProcessRegistry.Remove(c.self)
	c.rt.abandon(c)
	gone := &actor.Terminated{Who: c.self}
	for _, w := range watchers {
		c.rt.sendSystem(w, gone)
	}
	if c.parent != nil {
		c.parent.PostSystemMessage(gone)
	}
	for _, d := range done {
		close(d)
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
	c.mu.Unlock()
	c.rt.returned(c)
	return true
}
