package actors

import (
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// envelope is a kit message that is opened in the receiver's turn: it decides then whether it
// still counts.
type envelope interface {
	open(c *cell) (m any, ok bool)
}

// turn handles up to n messages and reports whether more are waiting. Order: system messages
// before anything else, checked between every two; then control, then data.
// A turn that somebody else has begun meanwhile is theirs.
func (c *cell) turn(n int, w *worker) (more bool) {
	c.mu.Lock()
	if c.run != runQueued {
		c.mu.Unlock()
		return false
	}
	c.run = runRunning
	c.turns++
	c.worker = w
	if c.abandonedHere() {
		return false
	}
	pace, began := c.pol.Pace, int64(0)
	if pace != nil {
		began = c.rt.host.nano()
	}
	clean := false
	defer func() {
		if pace != nil {
			pace.took(time.Duration(c.rt.host.nano() - began))
		}
		if clean {
			return
		}
		if more = c.broken(recover()); more {
			c.mu.Lock()
			c.run = runQueued
			c.mu.Unlock()
		}
	}()
	for {
		m, kind := c.take()
		if kind == takeNone {
			clean = true
			return false // take gave mu up and left the actor idle
		}
		c.mu.Unlock()
		if kind == takeSystem {
			c.system(m)
		} else {
			c.user(m)
		}
		if n--; n == 0 {
			clean = true
			c.mu.Lock()
			c.run = runQueued
			c.turnAt = c.rt.host.nano()
			c.mu.Unlock()
			return true
		}
		c.mu.Lock()
	}
}

// inlineTurn handles one message on the goroutine of whoever offered it, which is w's, or nobody's.
func (c *cell) inlineTurn(m any, w *worker) {
	clean := false
	defer func() {
		if !clean && !c.broken(recover()) {
			return
		}
		c.mu.Lock()
		if c.abandonedHere() {
			return
		}
		c.worker = nil
		if c.sys.empty() && c.control.n == 0 && c.data.n == 0 {
			c.run = runIdle
			c.mu.Unlock()
			return
		}
		c.run = runQueued
		here := clean && !c.sys.empty()
		c.mu.Unlock()
		if here {
			c.beginHere(w) // the end of a child, or its own: no worker need be woken for it
			return
		}
		c.rt.host.schedule(c)
	}()
	c.more = false
	c.user(m)
	clean = true
}

type takeKind uint8

const (
	takeNone takeKind = iota
	takeSystem
	takeUser
)

// take is called with mu held. When nothing is to be done it leaves the actor idle and gives
// mu up; else mu stays held.
func (c *cell) take() (any, takeKind) {
	if !c.sys.empty() {
		m := c.sys.pop()
		c.taken++
		c.more = false
		return m, takeSystem
	}
	if !c.susp && !c.dead {
		if c.control.n > 0 {
			m := c.control.pop(c.rt.host.nano)
			c.taken++
			c.more = c.control.sure() || c.data.sure()
			return m, takeUser
		}
		if c.data.n > 0 {
			m := c.data.pop(c.rt.host.nano)
			c.taken++
			c.more = c.data.sure()
			return m, takeUser
		}
	}
	if c.abandonedHere() {
		return nil, takeNone
	}
	c.run = runIdle
	c.worker = nil
	c.mu.Unlock()
	return nil, takeNone
}

// user delivers one control or data message.
func (c *cell) user(m any) {
	if c.at() >= Stopping {
		c.undelivered(m, ErrStopped)
		return
	}
	c.cur = m
	if c.rt.sim != nil {
		c.rt.sim.noteTurn("turn", c, m)
	}
	if e, ok := m.(envelope); ok {
		var live bool
		if m, live = e.open(c); !live {
			c.cur = nil
			return
		}
		c.cur = m
	}
	c.inv.InvokeUserMessage(m)
	c.cur = nil
	if f, ok := m.(Finisher); ok {
		f.Finish()
	}
}

// system handles one lifecycle message. Strict stop: once a Stop was taken no user message
// reaches the actor, and neither a Restart nor a panic can bring it back.
func (c *cell) system(m any) {
	c.inSys = true
	c.cur = m
	if c.rt.sim != nil {
		c.rt.sim.noteTurn("system", c, m)
	}
	stopping := c.at() >= Stopping
	switch m := m.(type) {
	case *actor.Started:
		if !c.begun && c.is(Starting) {
			c.begun = true
			c.inv.InvokeSystemMessage(m)
			c.started()
		}
	case *restartNow:
		if !stopping {
			c.restart(m)
		}
	case *actor.Stop:
		if !stopping {
			c.stop()
		}
	case *actor.Terminated:
		c.terminated(m)
	case *actor.Failure:
		if f, ok := m.Reason.(*childFailure); ok {
			c.childFailed(f)
		}
	case *stopNext:
		c.stopNext(m)
	case *actor.SuspendMailbox, *actor.ResumeMailbox, *actor.Restart:
		// proto.actor's own supervision, which the kit replaces: a resume that comes after
		// a panic in Started would let messages through to a failed actor.
	default: // a continuation of ReenterAfter
		if !stopping && !c.susp {
			c.inv.InvokeSystemMessage(m)
		}
	}
	c.relink()
	c.cur = nil
	c.inSys = false
}

// broken is called in the deferred part of a turn that did not end by itself: r is nil after
// runtime.Goexit. It reports whether the actor has more to do.
func (c *cell) broken(r any) bool {
	if _, ok := r.(abandonedSignal); ok {
		c.mu.Lock()
		c.abandonedHere()
		return false
	}
	if r == nil {
		r = errGoexit
	}
	stack := debug.Stack()
	if pe, ok := r.(*PanicError); ok {
		stack = pe.Stack
	}
	m := c.cur
	c.cur, c.inSys = nil, false
	c.mu.Lock()
	if c.x != nil {
		c.x.ending = nil
	}
	c.mu.Unlock()
	c.failed(r, m, stack)
	return true
}
