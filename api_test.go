package troupe_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"

	ma "github.com/multiformats/go-multiaddr"
)

// realm is a memory of its own for the nodes of one test. They are closed, with nothing left
// over, at its end.
type realm struct {
	t testing.TB
	nearby
}

func newRealm(t testing.TB) realm { return realm{t, newNearby()} }

func (w realm) node(edit ...func(*troupe.Config)) *troupe.System {
	w.t.Helper()
	cfg := troupe.Config{Listen: []string{"/memory/0"}, Transports: []troupe.Transport{troupe.Memory(w.hub)}}
	for _, f := range edit {
		f(&cfg)
	}
	n, err := troupe.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := n.Close(ctx); err != nil {
			w.t.Errorf("the node was not closed clean: %v", err)
		}
	})
	return n
}

// couple is two nodes, the first of which is connected to the second.
func couple(t *testing.T, edit ...func(*troupe.Config)) (a, b *troupe.System) {
	t.Helper()
	w := newRealm(t)
	a, b = w.node(edit...), w.node(edit...)
	connect(t, a, b)
	return a, b
}

func register(t testing.TB, n *troupe.System, protocol string, h troupe.Handler) {
	t.Helper()
	if err := n.Handle(protocol, h); err != nil {
		t.Fatal(err)
	}
}

// open opens a stream that is reset at the end of the test.
func open(t *testing.T, from *troupe.System, to identity.ID, protocol string) *troupe.Stream {
	t.Helper()
	s, err := from.Open(bounded(t), to, protocol)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Reset(0) })
	return s
}

// exchange writes all of p on a fresh stream, ends it and reads the answer.
func exchange(t *testing.T, from *troupe.System, to identity.ID, protocol string, p []byte) ([]byte, error) {
	t.Helper()
	s := open(t, from, to, protocol)
	if _, err := s.Write(p); err != nil {
		return nil, err
	}
	_ = s.CloseWrite()
	return io.ReadAll(s)
}

// wantError demands one of the exported errors and returns it.
func wantError(t testing.TB, err error, want *troupe.Error) *troupe.Error {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", want.Code)
	}
	var e *troupe.Error
	if !errors.As(err, &e) {
		t.Fatalf("%T is not a *troupe.Error: %v", err, err)
	}
	if !errors.Is(err, want) {
		t.Fatalf("%v\nwant %s", err, want.Code)
	}
	return e
}

// next waits for an event of a kind.
func next(t testing.TB, sub *troupe.Subscription, kind troupe.EventKind) troupe.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		e, lost, err := sub.Next(ctx)
		if err != nil {
			t.Fatalf("waiting for %s: %v", kind, err)
		}
		if lost > 0 {
			t.Fatalf("waiting for %s: %d events were lost", kind, lost)
		}
		if e.Kind == kind {
			return e
		}
	}
}

func multiaddr(t testing.TB, text string) ma.Multiaddr {
	t.Helper()
	a, err := ma.NewMultiaddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// comes says whether ok becomes true in time: until for goroutines that may not end the test.
func comes(ok func() bool) bool {
	for deadline := time.Now().Add(patience); !ok(); pause() {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// streamPath is the actor of a stream of a protocol, once there is one.
func streamPath(t *testing.T, n *troupe.System, protocol string) (path string) {
	t.Helper()
	until(t, "a stream of "+protocol, func() bool {
		k, ok := find(n.Tree().Roots, func(k node) bool {
			return k.Kind == "stream" && slices.Contains(k.Info, actors.KeyValue{Key: "protocol", Value: protocol})
		})
		path = k.Path
		return ok
	})
	return path
}
