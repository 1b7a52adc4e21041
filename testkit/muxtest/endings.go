package muxtest

import (
	"context"
	"errors"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/stream"
)

// Ending collects what an actor handler was told, in order.
type Ending struct {
	Told chan string
	Err  chan error
}

// NewEnding makes one.
func NewEnding() *Ending {
	return &Ending{make(chan string, 100), make(chan error, 1)}
}

// Handler is the handler that tells.
func (e *Ending) Handler() stream.Handler {
	return ActorHandler(func(*stream.Stream) actor.Actor { return ActorFunc(e.receive) })
}

func (e *Ending) receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *stream.Opened:
		e.Told <- "opened"
	case *stream.Data:
		e.Told <- "data " + string(m.B)
	case *stream.RemoteClosed:
		e.Told <- "remote closed"
	case *stream.Ended:
		e.Told <- "ended"
		e.Err <- m.Err
	case *actor.Stopped:
		e.Told <- "stopped"
	}
}

// Want says what the handler has to be told next.
func (e *Ending) Want(t *testing.T, why string, told ...string) {
	t.Helper()
	for _, w := range told {
		if got := Within(t, why, e.Told); got != w {
			t.Fatalf("%s: told %q, want %q", why, got, w)
		}
	}
}

// WantReset checks the error that a stream has ended with.
func WantReset(t testing.TB, who string, err error, code uint32, remote bool) {
	t.Helper()
	var r *mux.ResetError
	if !errors.As(err, &r) || r.Code != code || r.Remote != remote {
		t.Errorf("%s: %v", who, err)
	}
}

var endingTests = []test{
	{"Reset takes its code across", resetTakesItsCodeAcross},
	{"Reset wakes whoever is blocked", aResetWakesWhoeverIsBlocked},
	{"CloseRead drops what comes and lets the remote finish", closeReadDropsWhatComes},
	{"the end of the connection is the end of its streams", theEndOfTheConnection},
}

func resetTakesItsCodeAcross(t *testing.T, k Subject) {
	w := NewWorld(t, k, Setup{})
	e := NewEnding()
	w.B.Handle("/actor", e.Handler())
	seen := make(chan error, 1)
	w.B.Handle("/task", RunHandler(func(c ctx, s *stream.Blocking) {
		_, err := s.Read(make([]byte, 1))
		seen <- err
		_, err = s.Read(make([]byte, 1))
		<-c.Done()
		seen <- err
	}))
	w.B.Handle("/ours", RunHandler(func(_ ctx, s *stream.Blocking) {
		_, _ = s.Read(make([]byte, 1))
		_ = s.Reset(78)
	}))

	s := w.A.Open("/actor")
	if _, err := s.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	e.Want(t, "a handler that lives", "opened", "data x")
	_ = s.Reset(77)
	e.Want(t, "a reset", "ended", "stopped")
	WantReset(t, "the actor", <-e.Err, 77, true)
	_, err := s.Write([]byte("x"))
	if err == nil {
		t.Error("a write after our reset succeeds")
	}
	WantReset(t, "ourselves", s.Close(), 77, false)

	s = w.A.Open("/task")
	if _, err := s.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := Within(t, "the task reads", seen); err != nil {
		t.Fatal(err)
	}
	_ = s.Reset(76)
	WantReset(t, "the task", Within(t, "the task sees it", seen), 76, true)

	s = w.A.Open("/ours")
	if _, err := s.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	_, err = s.Read(make([]byte, 1))
	WantReset(t, "our Read", err, 78, true)
	_, err = s.Write(make([]byte, 1))
	WantReset(t, "our Write", err, 78, true)
	WantReset(t, "our Close", s.Close(), 78, true)
	if c := context.Cause(s.Context()); !errors.Is(c, err) {
		t.Errorf("the context says %v", c)
	}
}

func aResetWakesWhoeverIsBlocked(t *testing.T, k Subject) {
	w := NewWorld(t, k, Setup{})
	begun := make(chan *stream.Stream, 1)
	w.B.Handle("/deaf", ActorHandler(func(s *stream.Stream) actor.Actor {
		return ActorFunc(func(ctx actor.Context) {
			if d, ok := ctx.Message().(*stream.Data); ok {
				d.Hold() // and never reads on
				begun <- s
			}
		})
	}))
	s := w.A.Open("/deaf")
	wrote, read := make(chan error, 1), make(chan error, 1)
	w.Runtime.Pump("writer", func() {
		_, err := s.Write(make([]byte, 8<<20))
		wrote <- err
	}, nil)
	w.Runtime.Pump("reader", func() {
		_, err := s.Read(make([]byte, 1))
		read <- err
	}, nil)
	far := Within(t, "the handler has data", begun)
	far.Reset(5)
	WantReset(t, "the writer", Within(t, "the writer wakes", wrote), 5, true)
	WantReset(t, "the reader", Within(t, "the reader wakes", read), 5, true)
	far.Handler().Stop()
	w.Kept++ // what a dead handler holds stays with it
}

// ConnClosed says whether an error of a stream is the end of its connection. A conduit with streams
// of its own may say so stream by stream.
func ConnClosed(err error) bool {
	var r *mux.ResetError
	return errors.Is(err, stream.ErrConnClosed) || errors.As(err, &r) && r.Err != nil
}

func theEndOfTheConnection(t *testing.T, k Subject) {
	for name, c := range map[string]struct {
		end    func(w *World)
		aEnds  func(e *messages.ConnEnded) bool // what a's owner is told
		bEnds  func(e *messages.ConnEnded) bool
		remote bool
	}{
		"CloseConn with a code": {
			end:   func(w *World) { w.B.Close(99) },
			aEnds: func(e *messages.ConnEnded) bool { return e.Code == 99 && e.Remote },
			bEnds: func(e *messages.ConnEnded) bool { return e.Code == 99 && !e.Remote },
		},
		"CloseConn without": {
			end:   func(w *World) { w.B.Close(0) },
			aEnds: func(e *messages.ConnEnded) bool { return e.Code == 0 && e.Remote },
			bEnds: func(e *messages.ConnEnded) bool { return e.Code == 0 && !e.Remote },
		},
		"the conduit breaks": {
			end: func(w *World) {
				w.Subject.Break(w.A.Link)
			},
			aEnds: func(e *messages.ConnEnded) bool { return e.Code == 0 },
			bEnds: func(e *messages.ConnEnded) bool { return e.Code == 0 },
		},
		"the session fails": {
			end:   func(w *World) { w.Runtime.Kill("b/conn", "the test says so") },
			aEnds: func(e *messages.ConnEnded) bool { return e.Code == 0 && (e.Remote || e.Err != nil) },
			bEnds: func(e *messages.ConnEnded) bool { return e == nil },
		},
		"the session is stopped": {
			end:   func(w *World) { w.B.Session.Stop() },
			aEnds: func(e *messages.ConnEnded) bool { return e.Code == 0 && (e.Remote || e.Err != nil) },
			bEnds: func(e *messages.ConnEnded) bool { return e == nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := NewWorld(t, k, Setup{})
			e := NewEnding()
			w.B.Handle("/actor", e.Handler())
			atB := make(chan error, 2)
			w.B.Handle("/task", RunHandler(func(_ ctx, s *stream.Blocking) {
				_, _ = s.Read(make([]byte, 1))
				_, err := s.Write(make([]byte, 8<<20))
				atB <- err
			}))
			w.B.Handle("/wait", RunHandler(func(c ctx, _ *stream.Blocking) {
				<-c.Done()
				atB <- context.Cause(c)
			}))
			calls := map[string]func(s *stream.Blocking) error{
				"a blocked Read": func(s *stream.Blocking) error {
					_, err := s.Read(make([]byte, 1))
					return err
				},
				"a blocked Write": func(s *stream.Blocking) error {
					_, err := s.Write(make([]byte, 8<<20))
					return err
				},
			}
			first := w.A.Open("/actor")
			if _, err := first.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			e.Want(t, "a handler that lives", "opened", "data x")
			answers := make(chan error, 10)
			for _, call := range calls {
				s := w.A.Open("/wait")
				w.Runtime.Pump("caller", func() { answers <- call(s) }, nil)
			}
			wake := w.A.Open("/task")
			if _, err := wake.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			idle := w.A.Open("/wait")
			if _, err := idle.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			w.Eventually("all handlers run", func() bool { return w.B.Count("task") == 4 })
			c.end(w)
			for range calls {
				if err := Within(t, "whoever is blocked is told", answers); !ConnClosed(err) {
					t.Error("a blocked call:", err)
				}
			}
			for range 4 {
				if err := Within(t, "handlers are told", atB); !ConnClosed(err) {
					t.Error("a handler's call:", err)
				}
			}
			for _, s := range []*stream.Blocking{first, wake, idle} {
				w.Within("the stream ends", s.Context().Done())
				if _, err := s.Read(make([]byte, 1)); !ConnClosed(err) {
					t.Error("Read afterwards:", err)
				}
				if _, err := s.Write(make([]byte, 1)); !ConnClosed(err) {
					t.Error("Write afterwards:", err)
				}
				if err := s.Close(); !ConnClosed(err) {
					t.Error("Close afterwards:", err)
				}
			}
			if told := Within(t, "the actor is told", e.Told); told == "ended" {
				if err := <-e.Err; !ConnClosed(err) {
					t.Error("Ended says:", err)
				}
			} else if told != "stopped" {
				t.Error("the actor was told", told)
			}
			w.Within("a ends", w.A.Gone)
			w.Within("b ends", w.B.Gone)
			if e := w.A.Ended(); !c.aEnds(e) {
				t.Errorf("a's owner was told %+v", e)
			}
			if e := w.B.Ended(); !c.bEnds(e) {
				t.Errorf("b's owner was told %+v", e)
			}
			if _, err := w.A.Ask(messages.OpenStream{Protocols: []string{"/actor"}}); err == nil {
				t.Error("a stream was opened on a dead connection")
			}
			if _, err := w.A.Probe(); err == nil {
				t.Error("a dead connection answers a probe")
			}
		})
	}
}

func closeReadDropsWhatComes(t *testing.T, k Subject) {
	w := NewWorld(t, k, Setup{})
	wrote := make(chan error, 1)
	w.B.Handle("/talk", RunHandler(func(_ ctx, s *stream.Blocking) {
		_, err := s.Write(make([]byte, 4<<20))
		wrote <- err
	}))
	s := w.A.Open("/talk")
	if _, err := s.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	_ = s.CloseRead()
	if err := Within(t, "the remote gets rid of its bytes", wrote); err != nil {
		t.Error(err)
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, stream.ErrClosed) {
		t.Error("Read after CloseRead:", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	<-s.Context().Done()
	if err := s.Err(); err != nil {
		t.Error("an orderly end, but:", err)
	}
}
