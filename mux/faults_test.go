package mux_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/testkit/muxtest"
)

func TestKillingAnyActorOfAStreamCostsThatStream(t *testing.T) {
	both(t, func(t *testing.T, k muxtest.Subject) {
		w := muxtest.NewWorld(t, k, muxtest.Setup{})
		w.B.Handle("/echo", muxtest.EchoByActor)
		w.B.Handle("/task", muxtest.EchoByTask)
		other := w.A.Open("/echo")
		if _, err := other.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ protocol, side, kind string }{
			{"/echo", "b", "handler"}, {"/echo", "b", "stream"}, {"/task", "b", "stream"}, {"/echo", "a", "stream"},
		} {
			s := w.A.Open(c.protocol)
			if _, err := s.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			blocked := make(chan error, 1)
			w.Runtime.Pump("writer", func() {
				_, err := s.Write(make([]byte, 64<<20))
				blocked <- err
			}, nil)
			path := newest(w, c.side, c.kind)
			if !w.Runtime.Kill(path, "the test says so") {
				t.Fatalf("no actor at %s", path)
			}
			err := muxtest.Within(t, fmt.Sprintf("the writer is told about %+v %s", c, path), blocked)
			var pe *actors.PanicError
			if c.side == "b" {
				muxtest.WantReset(t, c.kind, err, stream.CodeHandlerPanic, true)
			} else if err == nil || errors.As(err, &pe) {
				t.Errorf("%s of %s: %v", c.kind, c.side, err)
			}
		}
		w.Exchange(other, 1, 1000, 100)
	})
}

// newest is the path of the actor of a kind that was spawned last.
func newest(w *muxtest.World, side, kind string) (path string) {
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
	for _, r := range w.Runtime.Tree(side).Roots {
		find(r)
	}
	return path
}

func TestAStuckSessionIsGivenUpAndItsConduitClosed(t *testing.T) {
	both(t, func(t *testing.T, k muxtest.Subject) {
		let, begun := make(chan struct{}), make(chan struct{}, 1)
		w := muxtest.NewWorld(t, k, muxtest.Setup{})
		w.B.Handle("/deaf", muxtest.RunHandler(func(c ctx, _ *stream.Blocking) { <-c.Done() }))
		w.B.OnLookup = func(name string) {
			if name == "/stick" {
				begun <- struct{}{}
				<-let
			}
		}
		s := w.A.Open("/deaf")
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		w.Eventually("the handler runs", func() bool { return w.B.Count("task") == 1 })
		if _, err := w.A.Open("/stick").Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		w.Within("the session is stuck", begun)
		_ = w.B.Session.Control(&messages.Probe{})
		w.B.Session.Stop()
		w.Within("it is given up", w.B.Gone)
		w.Within("the other side sees the end of the connection", w.A.Gone)
		close(let)
	})
}
