package muxtest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/stream"
)

// Patience is how long anything may take that has to happen.
const Patience = 60 * time.Second

// patience is shorter where a failure is what is waited for.
var patience = Patience

// Ask opens a stream.
func (s *Side) Ask(m messages.OpenStream) (*stream.Stream, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return actors.Ask(ctx, s.Session, func(r actors.Reply[*stream.Stream]) messages.Session {
		m.Reply = r
		return &m
	})
}

// Open opens a stream for the test's goroutine.
func (s *Side) Open(protocol string) *stream.Blocking {
	s.w.t.Helper()
	st, err := s.Ask(messages.OpenStream{Protocols: []string{protocol}})
	if err != nil {
		s.w.t.Fatalf("opening %s: %v", protocol, err)
	}
	return st.Blocking()
}

// Probe asks for a sign of life.
func (s *Side) Probe() (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return actors.Ask(ctx, s.Session, func(r actors.Reply[time.Duration]) messages.Session {
		return &messages.Probe{Reply: r}
	})
}

// Close asks the session to end the connection.
func (s *Side) Close(code uint32) {
	_ = s.Session.Control(&messages.CloseConn{Code: code, Reason: "the test says so"})
}

// InUse is whether the connection carries streams, as the owner was told.
func (s *Side) InUse() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy
}

// Ended is what the owner was told of the end; nil if nothing.
func (s *Side) Ended() *messages.ConnEnded {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// Used is how many streams are on the side's books.
func (s *Side) Used() int {
	n, _ := s.Streams.Used()
	return int(n)
}

// Count is how many actors of a kind live on a side, by the kit's tree; those of every kind
// for "".
func (s *Side) Count(kind string) int {
	var in func(n actors.Node) int
	in = func(n actors.Node) (k int) {
		if kind == "" || n.Kind == kind {
			k++
		}
		for _, c := range n.Children {
			k += in(c)
		}
		return k
	}
	n := 0
	for _, r := range s.w.Runtime.Tree(s.Name).Roots {
		n += in(r)
	}
	return n
}

// idle is how many actors a side has when its session serves no stream: its supervisor and the
// session with whatever that needs.
func (w *World) idle() func() bool {
	a, b := w.A.Count(""), w.B.Count("")
	return func() bool { return w.A.Count("") <= a && w.B.Count("") <= b }
}

// Within waits for a channel.
func Within[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: did not happen", what)
		panic("unreachable")
	}
}

// Within waits for a channel.
func (w *World) Within(what string, ch <-chan struct{}) {
	w.t.Helper()
	Within(w.t, what, ch)
}

// Eventually waits for what no event tells: a count of the tree, a budget.
func (w *World) Eventually(what string, ok func() bool) {
	w.t.Helper()
	for limit := time.Now().Add(patience); !ok(); {
		if time.Now().After(limit) {
			w.t.Fatalf("%s: did not happen\n%s", what, w.Tree())
		}
		<-time.After(time.Millisecond)
	}
}

// Tree shows the live actors.
func (w *World) Tree() string {
	var b strings.Builder
	var show func(n actors.Node, depth int)
	show = func(n actors.Node, depth int) {
		fmt.Fprintf(&b, "%s%s %s %s\n", strings.Repeat("  ", depth), n.Name, n.Kind, n.Phase)
		for _, c := range n.Children {
			show(c, depth+1)
		}
	}
	for _, n := range w.Runtime.Tree("").Roots {
		show(n, 0)
	}
	return b.String()
}

// Gather runs n functions beside each other and waits for them: three times as long as for one
// thing, because they share the machine.
func (w *World) Gather(n int, f func(i int)) {
	w.t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		w.Runtime.Pump("test", func() {
			defer wg.Done()
			f(i)
		}, func(pe *actors.PanicError) { w.t.Errorf("%v\n%s", pe, pe.Stack) })
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	select { // order-free: the later one only counts if the other never comes
	case <-done:
	case <-time.After(3 * patience):
		w.t.Fatalf("not all of them are through\n%s", w.Tree())
	}
}
