package mux_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/stream"
)

// panics are handlers that fail in every way there is.
var panics = map[string]stream.Handler{
	"/panic/spec": {Actor: func(*stream.Stream) actors.Spec { panic("in the spec") }},
	"/panic/new":  {Actor: func(*stream.Stream) actors.Spec { return actors.Spec{New: func() actor.Actor { panic("in New") }} }},
	"/panic/none": {Actor: func(*stream.Stream) actors.Spec { return actors.Spec{} }},
	"/panic/opened": actorHandler(func(*stream.Stream) actor.Actor {
		return supervisor(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*stream.Opened); ok {
				panic("on Opened")
			}
		})
	}),
	"/panic/data": actorHandler(func(*stream.Stream) actor.Actor {
		return supervisor(func(ctx actor.Context) {
			if m, ok := ctx.Message().(*stream.Data); ok {
				_ = m.Stream.WriteCopy(m.B)
				panic("on Data")
			}
		})
	}),
	"/panic/taken": actorHandler(func(*stream.Stream) actor.Actor {
		return supervisor(func(ctx actor.Context) {
			if m, ok := ctx.Message().(*stream.Data); ok {
				_ = m.Stream.Write(m.Take())
				panic(errors.New("after Take"))
			}
		})
	}),
	"/panic/task": runHandler(func(_ ctx, s *stream.Blocking) {
		_, _ = s.Read(make([]byte, 1))
		panic("in Run")
	}),
	"/panic/goexit": runHandler(func(_ ctx, s *stream.Blocking) {
		var m map[string]int
		m["nil map"]++ //nolint:staticcheck // the bug is the point
	}),
}

func TestAThousandPanickingHandlersBesideAHundredEchoStreams(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{})
		w.bug = func(e *actors.PanicError) bool {
			return wanted(e) || fmt.Sprint(e.Value) == "in the spec" || e.Unwrap() != nil
		}
		var names []string
		for name, h := range panics {
			w.b.handle(name, h)
			names = append(names, name)
		}
		w.b.handle("/echo/actor", echoByActor)
		w.b.handle("/echo/task", echoByTask)
		var crashed atomic.Int64
		gather(w, 110, func(i int) {
			if i >= 10 {
				exchange(t, w, w.a.open([]string{"/echo/actor", "/echo/task"}[i%2]), uint64(i), 300_000, 20_000)
				return
			}
			for n := range 100 {
				name := names[(i+n)%len(names)]
				s := w.a.open(name)
				_, _ = s.Write(make([]byte, 5000))
				var err error
				for err == nil {
					_, err = s.Read(make([]byte, 100))
				}
				wantReset(t, name, err, stream.CodeHandlerPanic, true)
				crashed.Add(1)
				_ = s.Close()
			}
		})
		if n := crashed.Load(); n != 1000 {
			t.Errorf("%d streams of 1000 saw the panic", n)
		}
		if n := len(w.rt.Tree("b").Failures); n == 0 {
			t.Error("the tree shows no failure")
		}
		w.eventually("the actors of all streams end", func() bool { return w.b.count("stream") == 0 && w.a.count("stream") == 0 })
		exchange(t, w, w.a.open("/echo/actor"), 1, 100_000, 1000)
	})
}

func TestHungAndStuckHandlersCostNothingOnceTheirPeerIsGone(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{})
		let := make(chan struct{})
		w.b.handle("/hang", runHandler(func(ctx, *stream.Blocking) { <-let }))
		w.b.handle("/stuck", actorHandler(func(*stream.Stream) actor.Actor {
			return supervisor(func(ctx actor.Context) {
				if m, ok := ctx.Message().(*stream.Data); ok {
					if len(m.B)%2 == 0 {
						m.Stream.CloseWrite()
					}
					<-let
				}
			})
		}))
		hung, stuck := 300, 50
		for range hung {
			s := w.a.open("/hang")
			if _, err := s.Write(make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range stuck {
			s := w.a.open("/stuck")
			if _, err := s.Write(make([]byte, 1000+i)); err != nil {
				t.Fatal(err)
			}
			if i < 10 { // both directions are closed in order, and the handler does not see it
				_ = s.CloseWrite()
			}
		}
		w.eventually("all handlers run", func() bool {
			return w.b.count("task") == hung && w.b.count("handler") == stuck
		})
		began := time.Now()
		w.a.close(0)
		w.within("the session ends", w.b.gone)
		if used, _ := w.b.streams.Used(); used != 0 {
			t.Errorf("%d streams on the books", used)
		}
		tree := w.rt.Tree("b")
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
	})
}

func TestAStuckHandlersStreamCanBeReset(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{})
		let := make(chan struct{})
		begun := make(chan struct{}, 1)
		w.b.handle("/stuck", actorHandler(func(*stream.Stream) actor.Actor {
			return supervisor(func(ctx actor.Context) {
				if _, ok := ctx.Message().(*stream.Data); ok {
					begun <- struct{}{}
					<-let
				}
			})
		}))
		w.b.handle("/echo", echoByTask)
		s := w.a.open("/stuck")
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		w.within("the handler is stuck", begun)
		_ = s.Reset(1)
		w.eventually("quota and actors are back", func() bool {
			used, _ := w.b.streams.Used()
			return used == 0 && w.b.count("stream") == 0
		})
		exchange(t, w, w.a.open("/echo"), 1, 1000, 100)
		close(let)
	})
}

func TestHandlersThatReturnEarlyCloseTheirStream(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{})
		w.b.handle("/task", runHandler(func(_ ctx, s *stream.Blocking) {
			_, _ = s.Write([]byte("bye"))
		}))
		w.b.handle("/actor", actorHandler(func(*stream.Stream) actor.Actor {
			return supervisor(func(ctx actor.Context) {
				if m, ok := ctx.Message().(*stream.Opened); ok {
					_ = m.Stream.WriteCopy([]byte("bye"))
					ctx.Stop(ctx.Self())
				}
			})
		}))
		for _, p := range []string{"/task", "/actor"} {
			s := w.a.open(p)
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
			w.within("the stream ends", s.Context().Done())
			if err := s.Err(); err != nil {
				t.Errorf("%s: an orderly end, but: %v", p, err)
			}
		}
	})
}

func TestKillingAnyActorOfAStreamCostsThatStream(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{})
		w.b.handle("/echo", echoByActor)
		w.b.handle("/task", echoByTask)
		other := w.a.open("/echo")
		if _, err := other.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ protocol, side, kind string }{
			{"/echo", "b", "handler"}, {"/echo", "b", "stream"}, {"/task", "b", "stream"}, {"/echo", "a", "stream"},
		} {
			s := w.a.open(c.protocol)
			if _, err := s.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			blocked := make(chan error, 1)
			w.rt.Pump("writer", func() {
				_, err := s.Write(make([]byte, 64<<20))
				blocked <- err
			}, nil)
			path := w.newest(c.side, c.kind)
			if !w.rt.Kill(path, "the test says so") {
				t.Fatalf("no actor at %s", path)
			}
			err := within(t, fmt.Sprintf("the writer is told about %+v %s", c, path), blocked)
			var pe *actors.PanicError
			if c.side == "b" {
				wantReset(t, c.kind, err, stream.CodeHandlerPanic, true)
			} else if err == nil || errors.As(err, &pe) {
				t.Errorf("%s of %s: %v", c.kind, c.side, err)
			}
		}
		exchange(t, w, other, 1, 1000, 100)
	})
}

// newest is the path of the actor of a kind that was spawned last.
func (w *world) newest(side, kind string) (path string) {
	var find func(n actors.Node)
	var age time.Duration
	find = func(n actors.Node) {
		if n.Kind == kind && (path == "" || n.Age < age) {
			path, age = n.Path, n.Age
		}
		for _, c := range n.Children {
			find(c)
		}
	}
	for _, r := range w.rt.Tree(side).Roots {
		find(r)
	}
	return path
}

func TestAStuckSessionIsGivenUpAndItsConduitClosed(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		let, begun := make(chan struct{}), make(chan struct{}, 1)
		w := newWorld(t, k, setup{})
		w.b.handle("/deaf", runHandler(func(c ctx, _ *stream.Blocking) { <-c.Done() }))
		w.b.onLookup = func(name string) {
			if name == "/stick" {
				begun <- struct{}{}
				<-let
			}
		}
		s := w.a.open("/deaf")
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		w.eventually("the handler runs", func() bool { return w.b.count("task") == 1 })
		if _, err := w.a.open("/stick").Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		w.within("the session is stuck", begun)
		_ = w.b.session.Control(&messages.Probe{})
		w.b.session.Stop()
		w.within("it is given up", w.b.gone)
		w.within("the other side sees the end of the connection", w.a.gone)
		close(let)
	})
}
