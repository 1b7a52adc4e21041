package troupe_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/protocols/echo"
)

// The rows of docs/supervision.md. Each kills one kind of actor in a node that serves a
// neighbour, with every kind of call pending, and demands: the process lives, every pending call
// has its answer within a second, and the node serves a fresh stream within a second.

// within is the promise: an answer, and service again.
const within = time.Second

func TestSupervision(t *testing.T) {
	for _, row := range []struct {
		name string // the row of docs/supervision.md
		kind string
	}{
		{"node", "node"},
		{"keepers", "supervisor"},
		{"book", "book"},
		{"router", "router"},
		{"services", ""},
		{"identify", "identify"},
		{"movers", ""},
		{"peers", "peers"},
		{"peer", "peer"},
		{"connection", "connection"},
		{"stream", "stream"},
		{"handler", "handler"},
		{"gate", "gate"},
		{"listeners", "listeners"},
		{"listener", "listener"},
	} {
		t.Run(row.name, func(t *testing.T) { kills(t, row.name, row.kind) })
	}
}

func kills(t *testing.T, name, kind string) {
	a := newNode(t)
	b := newNode(t)
	if err := a.Handle(echo.Protocol, echo.Handler()); err != nil {
		t.Fatal(err)
	}
	connect(t, b, a)
	at := addr(a) // the port must be the same after whatever happens
	// A stream with a handler, so that there is one of every kind.
	held, err := b.Open(bounded(t), a.ID(), echo.Protocol)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := held.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	var one [1]byte
	if _, err := held.Read(one[:]); err != nil {
		t.Fatal(err)
	}
	path := ""
	switch name {
	case "keepers", "services", "movers":
		path = pathOf(t, a, "node") + "/" + name
	case "stream", "handler":
		// The one that echoes: those of identify come and go.
		until(t, "the stream that echoes", func() bool {
			n, ok := find(a.Tree().Roots, func(n node) bool {
				return n.Kind == "stream" && slices.Contains(n.Info, actors.KeyValue{Key: "protocol", Value: echo.Protocol})
			})
			path = n.Path
			return ok
		})
		if name == "handler" {
			path += "/handler"
		}
	default:
		path = pathOf(t, a, kind)
	}

	calls := pending(t, a, b)
	killed := time.Now()
	if !a.Runtime().Kill(path, "test of the row "+name) {
		t.Fatalf("there is no %s", path)
	}
	until(t, "the failure in the tree", func() bool { return len(a.Tree().Failures) > 0 })
	serves(t, at, a, b, killed)
	calls.settle(t)
}

// waits are calls that wait when an actor dies: for a remote that says nothing, and for a handler
// that thinks. Each must come back: with an error if it hung on the dead actor, else as soon as
// what it waits for has come.
type waits struct {
	left    map[string]chan error
	release func()
}

func pending(t *testing.T, a, b *troupe.System) waits {
	t.Helper()
	ctx := bounded(t)
	mute, hangUp := silentUntil(t)
	nobody := stranger()
	think, arrived := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(think); hangUp() })
	t.Cleanup(release)
	answers(t, b, troupe.RequestOptions{}, func(_ context.Context, what string) (string, error) {
		close(arrived)
		<-think
		return what, nil
	})
	w := waits{map[string]chan error{}, release}
	start := func(what string, call func() error) {
		done := make(chan error, 1)
		w.left[what] = done
		go func() { done <- call() }()
	}
	events := a.Subscribe(ctx, 0)
	start("Request", func() error {
		_, err := troupe.Request[text](ctx, a, b.ID(), asked, wrapperspb.String("?"))
		return err
	})
	start("DialAddr", func() error {
		_, err := a.DialAddr(ctx, mute.String()+"/p2p/"+nobody.String())
		return err
	})
	<-arrived
	until(t, "the dial", func() bool {
		_, ok := find(a.Tree().Roots, ofKind("upgrade"))
		return ok
	})
	start("Open", func() error { _, err := a.Open(ctx, nobody, troupe.PingProtocol); return err })
	start("Next", func() error {
		for { // the start of the calls has events too
			if e, _, err := events.Next(ctx); err != nil || e.Kind == troupe.EventPanic {
				return err
			}
		}
	})
	return w
}

// settle demands the answers within a second of what they wait for.
func (w waits) settle(t *testing.T) {
	t.Helper()
	w.release()
	late := time.NewTimer(within)
	defer late.Stop()
	for what, done := range w.left {
		select {
		case <-done:
		case <-late.C:
			t.Fatalf("%s has no answer", what)
		}
	}
}

// silent is a remote that accepts connections and says nothing, until hangUp.
// serves demands a fresh stream, dialling anew if need be, within a second of the kill.
func serves(t *testing.T, at string, a, b *troupe.System, killed time.Time) {
	t.Helper()
	var err error
	for time.Since(killed) < within {
		ctx, cancel := context.WithDeadline(t.Context(), killed.Add(within))
		if _, err = b.DialAddr(ctx, at); err == nil {
			err = echoes(ctx, b, a, "again")
		}
		cancel()
		if err == nil {
			t.Logf("serves again after %v", time.Since(killed))
			return
		}
		pause()
	}
	t.Fatalf("the node does not serve again: %v", err)
}
