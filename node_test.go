package troupe_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/protocols/echo"
)

// patience is how long a test waits for what must come. It is no measure of speed.
const patience = 20 * time.Second

// newNode makes a node that listens on a free port of the loopback interface and is closed, with
// nothing left over, at the end of the test.
func newNode(t *testing.T, edit ...func(*troupe.Config)) *troupe.System {
	t.Helper()
	cfg := troupe.Config{Listen: []string{"/ip4/127.0.0.1/tcp/0"}}
	for _, f := range edit {
		f(&cfg)
	}
	n, err := troupe.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := n.Close(ctx); err != nil {
			t.Errorf("the node was not closed clean: %v", err)
		}
	})
	return n
}

// addr is where the node may be dialled.
func addr(n *troupe.System) string {
	return n.ListenAddrs()[0].String() + "/p2p/" + n.ID().String()
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// connect dials to from and waits for both ends to know.
func connect(t *testing.T, from, to *troupe.System) {
	t.Helper()
	if _, err := from.DialAddr(bounded(t), addr(to)); err != nil {
		t.Fatal(err)
	}
}

// echoes proves that a node serves: a fresh stream echoes text.
func echoes(ctx context.Context, from, to *troupe.System, text string) error {
	s, err := from.Open(ctx, to.ID(), echo.Protocol)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if d, ok := ctx.Deadline(); ok {
		_ = s.SetDeadline(d)
	}
	if _, err := s.Write([]byte(text)); err != nil {
		return err
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	got, err := io.ReadAll(s)
	if err == nil && string(got) != text {
		err = errors.New("echoed " + string(got))
	}
	return err
}

// until calls ok, with the scheduler's help in between, until it is true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: did not come about", what)
		}
		pause()
	}
}

// pause lets others work: tests that poll a tree or a counter have no event to wait for.
func pause() {
	t := time.NewTimer(2 * time.Millisecond)
	<-t.C
	runtime.Gosched()
}

// node is one actor of a tree.
type node = actors.Node

// find gives the first node of the tree whose path ends like that, at any depth.
func find(nodes []actors.Node, match func(actors.Node) bool) (actors.Node, bool) {
	for _, n := range nodes {
		if match(n) {
			return n, true
		}
		if k, ok := find(n.Children, match); ok {
			return k, true
		}
	}
	return actors.Node{}, false
}

func ofKind(kind string) func(actors.Node) bool {
	return func(n actors.Node) bool { return n.Kind == kind }
}

func pathOf(t *testing.T, n *troupe.System, kind string) string {
	t.Helper()
	var path string
	until(t, "an actor of kind "+kind, func() bool {
		k, ok := find(n.Tree().Roots, ofKind(kind))
		path = k.Path
		return ok
	})
	return path
}
