package mux

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/stream"
)

// handlerGrace is how long a handler has to take its Ended before it is stopped.
const handlerGrace = 100 * time.Millisecond

// streamMsg is what a stream's actor receives.
type streamMsg interface{ stream() }

type (
	// streamGone: the session knows the stream no more.
	streamGone struct{ streamMsg }
	// handlerReturned: a blocking handler is through, or has panicked.
	handlerReturned struct {
		streamMsg
		err error
	}
	graceOver struct{ streamMsg }
	// handlerUp tells the session that the handler takes messages.
	handlerUp struct {
		messages.Session
		id uint64
	}
)

// streamActor owns one stream's handler: it starts it, turns its end into the stream's, and the
// stream's end into its.
type streamActor struct {
	s       *stream.Stream
	b       *stream.Blocking
	h       stream.Handler
	session actors.Ref[messages.Session]
	handler actors.Ref[any]
	task    *actors.Task
	running bool
	gone    bool
}

func streamSpec(s *stream.Stream, b *stream.Blocking, h stream.Handler, session actors.Ref[messages.Session]) actors.Spec {
	return actors.Spec{
		Kind:    "stream",
		New:     func() actor.Actor { return &streamActor{s: s, b: b, h: h, session: session} },
		Restart: actors.Temporary,
	}
}

// Receive implements actor.Actor.
func (a *streamActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		a.start(ctx)
	case *streamGone:
		a.streamGone(ctx)
	case *handlerReturned:
		a.handlerEnded(ctx, m.err)
	case *actor.Terminated:
		if end, ok := actors.ChildEnd(ctx); ok {
			a.handlerEnded(ctx, end.Err)
		}
	case *graceOver:
		a.handler.Stop()
	case *actor.Stopping:
		a.s.End(stream.ErrConnClosed)
	}
}

func (a *streamActor) start(ctx actor.Context) {
	actors.Publish(ctx, "protocol", a.s.Protocol())
	actors.Publish(ctx, "direction", a.s.Info().Direction.String())
	switch {
	case a.h.Actor != nil:
		spec := a.h.Actor(a.s)
		spec.Name, spec.Restart = "handler", actors.Temporary
		if spec.Kind == "" {
			spec.Kind = "handler"
		}
		h, err := actors.Spawn[any](ctx, spec)
		if err != nil {
			panic(err)
		}
		a.handler, a.running = h, true
		a.s.Serve(h)
		_ = a.session.Control(&handlerUp{id: a.s.ID()})
	case a.h.Run != nil:
		a.running = true
		run, b := a.h.Run, a.b
		a.task = actors.StartTask(ctx, "handler", func(ctx context.Context) any {
			both, cancel := context.WithCancelCause(ctx)
			defer cancel(nil)
			defer context.AfterFunc(b.Context(), func() { cancel(context.Cause(b.Context())) })()
			run(both, b)
			return &handlerReturned{}
		}, func(e *actors.PanicError) any { return &handlerReturned{err: e} })
	}
	// A stream that is opened and used from outside has no handler here.
}

// handlerEnded ends the stream in order, or with a code that says whose bug it was.
func (a *streamActor) handlerEnded(ctx actor.Context, err error) {
	a.running = false
	switch {
	case a.gone:
		ctx.Stop(ctx.Self())
	case err == nil:
		a.s.Close()
	case errors.Is(err, actors.ErrAbandoned):
		a.s.Fail(stream.CodeHandlerStuck, err)
	default:
		a.s.Fail(stream.CodeHandlerPanic, err)
	}
}

func (a *streamActor) streamGone(ctx actor.Context) {
	a.gone = true
	if !a.running {
		ctx.Stop(ctx.Self())
		return
	}
	if a.task != nil {
		// A task that does not return is a stray of its own; nothing waits for it.
		ctx.Stop(ctx.Self())
		return
	}
	a.handler.StopAfter()
	actors.NewTimer(ctx, &graceOver{}).After(handlerGrace)
}
