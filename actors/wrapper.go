package actors

import (
	"fmt"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
)

// wrapper stands between proto.actor and the actor that was asked for. It builds the actor in
// the actor's own first turn, contains panics in lifecycle messages (each of which would wedge
// or resurrect an actor), and lets nothing through once the actor is stopping.
type wrapper struct {
	c       *cell
	a       actor.Actor
	stopped bool
}

// Receive implements actor.Actor.
func (w *wrapper) Receive(ctx actor.Context) {
	c := w.c
	if c == nil {
		return // a fresh incarnation; relink starts it once it knows its cell
	}
	if !c.inSys {
		w.a.Receive(ctx)
		return
	}
	switch ctx.Message().(type) {
	case *actor.Started:
		w.a = c.build()
		w.a.Receive(ctx)
	case *actor.Stopping, *actor.Restarting:
		w.contain(ctx)
	case *actor.Stopped:
		w.contain(ctx)
		w.stopped = true
	default:
		// Terminated, or a continuation. A stopping actor has had its last word.
		switch p := Phase(c.phase.Load()); {
		case p >= Stopping, w.a == nil:
		case p >= Restarting:
			w.contain(ctx)
		default:
			w.a.Receive(ctx)
		}
	}
}

func (w *wrapper) contain(ctx actor.Context) {
	if w.a == nil {
		return // New failed
	}
	defer func() {
		if r := recover(); r != nil {
			w.c.lifecyclePanic(r, ctx.Message(), debug.Stack())
		}
		if w.c.is(Abandoned) {
			panic(abandonedSignal{})
		}
	}()
	w.a.Receive(ctx)
}

// lifecyclePanic keeps a panic that must not change what happens next.
func (c *cell) lifecyclePanic(r, m any, stack []byte) {
	pe, ok := r.(*PanicError)
	if !ok {
		pe = &PanicError{Path: c.path(), Value: r, Message: fmt.Sprintf("%T", m), At: c.rt.host.now(), Stack: stack}
	}
	c.mu.Lock()
	x := c.ext()
	x.failures++
	x.last = pe
	c.mu.Unlock()
	c.rt.graves.failure(pe)
	c.rt.notify(Event{Kind: EventFailed, Path: c.path(), Actor: c.pol.Kind, Err: pe})
}

// containForeign does the same for actors that were spawned with proto.actor's own calls and so
// have no wrapper.
func containForeign(next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(ctx actor.ReceiverContext, e *actor.MessageEnvelope) {
		switch e.Message.(type) {
		case *actor.Stopping, *actor.Stopped, *actor.Restarting:
			defer func() {
				if r := recover(); r != nil {
					if c := foreignCell(ctx); c != nil {
						c.lifecyclePanic(r, e.Message, debug.Stack())
					}
				}
			}()
		}
		next(ctx, e)
	}
}
