package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

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

	answers := pending(t, a, b)
	if !a.Runtime().Kill(path, "test of the row "+name) {
		t.Fatalf("there is no %s", path)
	}
	for range cap(answers) {
		select {
		case <-answers:
		case <-time.After(patience):
			t.Fatal("a pending call has no answer")
		}
	}
	until(t, "the failure in the tree", func() bool { return len(a.Tree().Failures) > 0 })
	serves(t, at, a, b)
}

// pending starts one call of every kind at a while it is about to fail. Each must come back,
// with whatever result.
func pending(t *testing.T, a, b *troupe.System) chan error {
	ctx, cancel := context.WithTimeout(context.Background(), within+patience/2)
	t.Cleanup(cancel)
	answers := make(chan error, 4)
	begin := make(chan struct{}, cap(answers))
	go func() {
		begin <- struct{}{}
		_, err := a.Open(ctx, b.ID(), troupe.PingProtocol)
		answers <- err
	}()
	go func() {
		begin <- struct{}{}
		// Nobody listens there.
		_, err := a.DialAddr(ctx, "/ip4/127.0.0.1/tcp/1")
		answers <- err
	}()
	go func() {
		begin <- struct{}{}
		_, err := a.Conns(ctx)
		answers <- err
	}()
	go func() {
		begin <- struct{}{}
		_, _, err := a.Subscribe(ctx, 1).Next(ctx)
		answers <- err
	}()
	for range cap(begin) {
		<-begin
	}
	return answers
}

// serves demands a fresh stream, dialling anew if need be.
func serves(t *testing.T, at string, a, b *troupe.System) {
	t.Helper()
	start := time.Now()
	var err error
	for time.Since(start) < patience {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		if _, err = b.DialAddr(ctx, at); err == nil {
			err = echoes(ctx, b, a, "again")
		}
		cancel()
		if err == nil {
			return
		}
		pause()
	}
	t.Fatalf("the node does not serve again: %v", errors.Join(err, fmt.Errorf("after %v", time.Since(start))))
}
