package mux

import (
	"context"
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/stream"
)

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
)

var gone = &streamGone{}

// streamActor owns one stream's handler: it starts it, turns its end into the stream's, and the
// stream's end into its.
type streamActor struct {
	s       *stream.Stream
	h       stream.Handler
	session actors.Ref[messages.Session]
	handler actors.Ref[any]
	running bool
	gone    bool
}

func streamSpec(s *stream.Stream, h stream.Handler, session actors.Ref[messages.Session]) actors.Spec {
	return actors.Spec{
		Kind:    "stream",
		New:     func() actor.Actor { return &streamActor{s: s, h: h, session: session} },
		Restart: actors.Temporary,
		Eager:   h.Actor == nil || h.Inline,
		Inline:  true,
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
	case *actor.Stopping:
		if !a.gone {
			a.s.Fail(stream.CodeHandlerPanic, errNoActor)
		}
		if a.session.Ended() {
			a.s.End(stream.ErrConnClosed) // a session that was abandoned tells nobody
		}
	}
}

var errNoActor = errors.New("local: the stream's actor has ended")

func (a *streamActor) start(ctx actor.Context) {
	protocol, direction := a.s.Protocol(), a.s.Info().Direction
	actors.Describe(ctx, func() []actors.KeyValue {
		return []actors.KeyValue{{Key: "protocol", Value: protocol}, {Key: "direction", Value: direction.String()}}
	})
	switch {
	case a.h.Actor != nil:
		a.spawn(ctx)
	case a.h.Run != nil:
		a.running = true
		run, b := a.h.Run, a.s.Blocking()
		actors.StartTask(ctx, "handler", func(context.Context) any {
			defer func() { _ = b.CloseRead() }() // nobody reads what is left, also after a panic
			run(b.Context(), b)
			return &handlerReturned{}
		}, func(e *actors.PanicError) any { return &handlerReturned{err: e} })
	}
	// A stream that is opened and used from outside has no handler here.
}

// spawn starts a handler actor. Making its Spec is the user's code too.
func (a *streamActor) spawn(ctx actor.Context) {
	defer func() {
		if r := recover(); r != nil {
			a.s.Fail(stream.CodeHandlerPanic, fmt.Errorf("local: the handler panicked before it began: %v", r))
			panic(r)
		}
	}()
	spec := a.h.Actor(a.s)
	spec.Name, spec.Restart, spec.Follow = "handler", actors.Temporary, true
	spec.Inline, spec.Pace = a.h.Bounded, a.h.Pace
	if spec.Kind == "" {
		spec.Kind = "handler"
	}
	h, err := actors.Spawn[any](ctx, spec)
	if err != nil {
		panic(err)
	}
	a.handler, a.running = h, true
	a.s.Serve(h)
}

// handlerEnded ends the stream in order, or with a code that says whose bug it was.
func (a *streamActor) handlerEnded(ctx actor.Context, err error) {
	a.running = false
	switch {
	case a.gone:
		actors.Stop(ctx)
	case err == nil:
		a.s.Close()
	case errors.Is(err, actors.ErrAbandoned):
		a.s.Fail(stream.CodeHandlerStuck, err)
	default:
		a.s.Fail(stream.CodeHandlerPanic, err)
	}
}

// streamGone leaves the handler a moment to end by itself. An actor is told first, however long it
// takes until it has its turn; one that does not come back from it is abandoned. A task that does not
// return is a stray of its own. Nothing waits for them.
func (a *streamActor) streamGone(ctx actor.Context) {
	a.gone = true
	switch {
	case !a.running:
		actors.Stop(ctx)
	case a.handler.IsZero():
		actors.StopLater(ctx)
	default:
		a.handler.StopAfter()
	}
}
