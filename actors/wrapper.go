package actors

import (
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
)

// wrapper stands between proto.actor and the actor that was asked for. It builds the actor in
// the actor's own first turn, contains panics in lifecycle messages (each of which would wedge
// or resurrect an actor), and lets nothing through once the actor is stopping.
type wrapper struct {
	c *cell
	a actor.Actor // nil until Started, and if New failed
}

// Receive implements actor.Actor.
func (w *wrapper) Receive(ctx actor.Context) {
	c := w.c
	if c == nil {
		return // a fresh incarnation; relink starts it once it knows its cell
	}
	if c.rt.sim != nil {
		ctx = simContext{ctx}
	}
	if !c.inSys {
		w.a.Receive(ctx)
		return
	}
	if _, ok := ctx.Message().(*actor.Started); ok {
		w.a = c.build()
		if c.pol.Restart == Temporary {
			c.build = nil // there is no other incarnation; what it was made from may go
		}
		w.a.Receive(ctx)
		return
	}
	c.lifecycle(ctx.Message(), func() {
		if w.a != nil {
			w.a.Receive(ctx)
		}
	})
}

// lifecycle delivers a lifecycle message in a way that leaves proto.actor's bookkeeping whole,
// whatever the actor does.
func (c *cell) lifecycle(m any, deliver func()) {
	switch m.(type) {
	case *actor.Stopping, *actor.Restarting:
		c.contain(m, deliver)
	case *actor.Stopped:
		c.contain(m, deliver)
		c.end()
	default: // Terminated
		switch p := c.at(); {
		case p >= Stopping, p == Failed:
			// A stopping actor has had its last word, and a failed one must not have
			// another: its successor starts without children.
		case p == Restarting:
			c.contain(m, deliver)
		default:
			deliver()
		}
	}
}

// contain keeps a panic from changing what happens next, and unwinds an actor that was abandoned
// while it was in there.
func (c *cell) contain(m any, deliver func()) {
	clean := false
	defer func() {
		if !clean {
			r := recover()
			if r == nil {
				r = errGoexit
			}
			c.panicked(r, m, debug.Stack())
		}
		if !c.moved() {
			panic(abandonedSignal{})
		}
	}()
	deliver()
	clean = true
}

// foreign does the same for an actor that was spawned with proto.actor's own calls and so has no
// wrapper.
func (c *cell) foreign(next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(ctx actor.ReceiverContext, e *actor.MessageEnvelope) {
		if !c.inSys {
			next(ctx, e)
			return
		}
		if _, ok := e.Message.(*actor.Started); !ok {
			c.lifecycle(e.Message, func() { next(ctx, e) })
			return
		}
		again := c.is(Restarting)
		if again && !c.revived() {
			return
		}
		next(ctx, e)
		if again {
			c.started()
		}
	}
}
