package muxtest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/stream"
)

// panics are handlers that fail in every way there is.
var panics = map[string]stream.Handler{
	"/panic/spec": {Actor: func(*stream.Stream) actors.Spec { panic("in the spec") }},
	"/panic/new":  {Actor: func(*stream.Stream) actors.Spec { return actors.Spec{New: func() actor.Actor { panic("in New") }} }},
	"/panic/none": {Actor: func(*stream.Stream) actors.Spec { return actors.Spec{} }},
	"/panic/opened": ActorHandler(func(*stream.Stream) actor.Actor {
		return ActorFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*stream.Opened); ok {
				panic("on Opened")
			}
		})
	}),
	"/panic/data": ActorHandler(func(*stream.Stream) actor.Actor {
		return ActorFunc(func(ctx actor.Context) {
			if m, ok := ctx.Message().(*stream.Data); ok {
				_ = m.Stream.WriteCopy(m.B)
				panic("on Data")
			}
		})
	}),
	"/panic/taken": ActorHandler(func(*stream.Stream) actor.Actor {
		return ActorFunc(func(ctx actor.Context) {
			if m, ok := ctx.Message().(*stream.Data); ok {
				_ = m.Stream.Write(m.Take())
				panic(errors.New("after Take"))
			}
		})
	}),
	"/panic/task": RunHandler(func(_ ctx, s *stream.Blocking) {
		_, _ = s.Read(make([]byte, 1))
		panic("in Run")
	}),
	"/panic/goexit": RunHandler(func(_ ctx, s *stream.Blocking) {
		var m map[string]int
		m["nil map"]++ //nolint:staticcheck // the bug is the point
	}),
}

var faultTests = []test{
	{"a thousand panicking handlers beside a hundred echo streams", aThousandPanickingHandlers},
	{"hung and stuck handlers cost nothing once their peer is gone", hungAndStuckHandlers},
	{"a stuck handler's stream can be reset", aStuckHandlersStreamCanBeReset},
	{"handlers that return early close their stream", handlersThatReturnEarly},
	{"the remote's streams are limited", theRemotesStreamsAreLimited},
	{"our own streams are limited", ourOwnStreamsAreLimited},
}

func aThousandPanickingHandlers(t *testing.T, k Subject) {
	set := patient()
	set.Bulk = true
	w := NewWorld(t, k, set)
	idle := w.idle()
	w.Wanted = func(e *actors.PanicError) bool {
		return Expected(e) || fmt.Sprint(e.Value) == "in the spec" || e.Unwrap() != nil
	}
	var names []string
	for name, h := range panics {
		w.B.Handle(name, h)
		names = append(names, name)
	}
	w.B.Handle("/echo/actor", EchoByActor)
	w.B.Handle("/echo/task", EchoByTask)
	var crashed atomic.Int64
	w.Gather(110, func(i int) {
		if i >= 10 {
			w.Exchange(w.A.Open([]string{"/echo/actor", "/echo/task"}[i%2]), uint64(i), 300_000, 20_000)
			return
		}
		for n := range 100 {
			name := names[(i+n)%len(names)]
			s := w.A.Open(name)
			_, _ = s.Write(make([]byte, 5000))
			var err error
			for err == nil {
				_, err = s.Read(make([]byte, 100))
			}
			WantReset(t, name, err, stream.CodeHandlerPanic, true)
			crashed.Add(1)
			_ = s.Close()
		}
	})
	if n := crashed.Load(); n != 1000 {
		t.Errorf("%d streams of 1000 saw the panic", n)
	}
	if n := len(w.Runtime.Tree("b").Failures); n == 0 {
		t.Error("the tree shows no failure")
	}
	w.Eventually("the actors of all streams end", idle)
	w.Exchange(w.A.Open("/echo/actor"), 1, 100_000, 1000)
}

func hungAndStuckHandlers(t *testing.T, k Subject) {
	w := NewWorld(t, k, Setup{})
	const hung, stuck = 300, 50
	let, begun := make(chan struct{}), make(chan struct{}, hung+stuck)
	w.B.Handle("/hang", RunHandler(func(ctx, *stream.Blocking) { begun <- struct{}{}; <-let }))
	w.B.Handle("/stuck", ActorHandler(func(*stream.Stream) actor.Actor {
		return ActorFunc(func(ctx actor.Context) {
			if m, ok := ctx.Message().(*stream.Data); ok {
				if len(m.B)%2 == 0 {
					m.Stream.CloseWrite()
				}
				begun <- struct{}{}
				<-let
			}
		})
	}))
	for range hung {
		s := w.A.Open("/hang")
		if _, err := s.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range stuck {
		s := w.A.Open("/stuck")
		if _, err := s.Write(make([]byte, 1000+i)); err != nil {
			t.Fatal(err)
		}
		if i < 10 { // both directions are closed in order, and the handler does not see it
			_ = s.CloseWrite()
		}
	}
	for range hung + stuck {
		w.Within("all handlers run", begun)
	}
	began := time.Now()
	w.A.Close(0)
	w.Within("the session ends", w.B.Gone)
	if used, _ := w.B.Streams.Used(); used != 0 {
		t.Errorf("%d streams on the books", used)
	}
	tree := w.Runtime.TreeWithStacks("b")
	if n := len(tree.Strays); n != hung {
		t.Errorf("%d strays of %d", n, hung)
	}
	if n := len(tree.Abandoned); n != stuck {
		t.Errorf("%d of %d abandoned", n, stuck)
	}
	for _, n := range append(tree.Strays, tree.Abandoned...) {
		if n.Stack == "" {
			t.Errorf("%s has no stack", n.Path)
			break
		}
	}
	t.Logf("all given up after %v", time.Since(began))
	close(let)
}

func aStuckHandlersStreamCanBeReset(t *testing.T, k Subject) {
	w := NewWorld(t, k, Setup{})
	idle := w.idle()
	let := make(chan struct{})
	begun := make(chan struct{}, 1)
	w.B.Handle("/stuck", ActorHandler(func(*stream.Stream) actor.Actor {
		return ActorFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*stream.Data); ok {
				begun <- struct{}{}
				<-let
			}
		})
	}))
	w.B.Handle("/echo", EchoByTask)
	s := w.A.Open("/stuck")
	if _, err := s.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	w.Within("the handler is stuck", begun)
	_ = s.Reset(1)
	w.Eventually("quota and actors are back", func() bool {
		return w.B.Used() == 0 && idle()
	})
	w.Exchange(w.A.Open("/echo"), 1, 1000, 100)
	close(let)
}

func handlersThatReturnEarly(t *testing.T, k Subject) {
	w := NewWorld(t, k, Setup{})
	w.B.Handle("/task", RunHandler(func(_ ctx, s *stream.Blocking) {
		_, _ = s.Write([]byte("bye"))
	}))
	w.B.Handle("/actor", ActorHandler(func(*stream.Stream) actor.Actor {
		return ActorFunc(func(ctx actor.Context) {
			if m, ok := ctx.Message().(*stream.Opened); ok {
				_ = m.Stream.WriteCopy([]byte("bye"))
				ctx.Stop(ctx.Self())
			}
		})
	}))
	for _, p := range []string{"/task", "/actor"} {
		s := w.A.Open(p)
		if _, err := s.Write(make([]byte, 2<<20)); err != nil { // more than any window: it is dropped
			t.Error(p, err)
		}
		b := make([]byte, 10)
		n, err := s.Read(b)
		if err != nil || string(b[:n]) != "bye" {
			t.Errorf("%s: %q, %v", p, b[:n], err)
		}
		if err := s.Close(); err != nil {
			t.Error(p, err)
		}
		w.Within("the stream ends", s.Context().Done())
		if err := s.Err(); err != nil {
			t.Errorf("%s: an orderly end, but: %v", p, err)
		}
	}
}

// theRemotesStreamsAreLimited: what is over the limit is reset with a code that says so, and an end
// makes room.
func theRemotesStreamsAreLimited(t *testing.T, k Subject) {
	const limit, more = 10, 20
	w := NewWorld(t, k, Setup{RemoteStreams: limit})
	w.B.Handle("/echo", EchoByActor)
	talk := func(s *stream.Blocking) error {
		if _, err := s.Write([]byte("x")); err != nil {
			return err
		}
		_, err := s.Read(make([]byte, 1))
		return err
	}
	var held []*stream.Blocking
	for range limit {
		s := w.A.Open("/echo")
		if err := talk(s); err != nil {
			t.Fatalf("stream %d of %d: %v", len(held)+1, limit, err)
		}
		held = append(held, s)
	}
	for range more {
		WantReset(t, "a stream over the limit", talk(w.A.Open("/echo")), mux.CodeResourceLimit, true)
	}
	if n := w.B.Used(); n != limit {
		t.Errorf("%d streams on the books", n)
	}
	if err := held[0].Close(); err != nil {
		t.Error(err)
	}
	w.Eventually("an end makes room", func() bool { return w.B.Used() < limit })
	if err := talk(w.A.Open("/echo")); err != nil {
		t.Error("there is room:", err)
	}
}

func ourOwnStreamsAreLimited(t *testing.T, k Subject) {
	const limit = 10
	w := NewWorld(t, k, Setup{Streams: limit, RemoteStreams: 2 * limit})
	w.B.Handle("/echo", EchoByActor)
	var held []*stream.Blocking
	for range limit {
		held = append(held, w.A.Open("/echo"))
	}
	if _, err := w.A.Ask(messages.OpenStream{Protocols: []string{"/echo"}}); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("one stream too many: %v", err)
	}
	_ = held[0].Reset(0)
	w.Eventually("an end makes room", func() bool { return w.A.Used() < limit })
	w.Exchange(w.A.Open("/echo"), 1, 1000, 100)
}
