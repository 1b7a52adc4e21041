package transporttest

import (
	"context"
	"testing"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

type dialed struct {
	c   conduit.Conduit
	err error
}

// Dial dials for whoever is there and waits for the outcome.
func Dial(ctx context.Context, tr conduit.Transport, a ma.Multiaddr) (conduit.Conduit, error) {
	return DialPeer(ctx, tr, a, "")
}

// DialPeer dials for one peer and waits for the outcome.
func DialPeer(ctx context.Context, tr conduit.Transport, a ma.Multiaddr, peer identity.ID) (conduit.Conduit, error) {
	got := make(chan dialed, 2)
	tr.Dial(ctx, a, peer, func(c conduit.Conduit, err error) { got <- dialed{c, err} })
	d := <-got
	return d.c, d.err
}

// Listen listens until the end of the test.
func Listen(t testing.TB, tr conduit.Transport, at ma.Multiaddr) (conduit.Listener, *Acceptor) {
	t.Helper()
	acc := &Acceptor{}
	l, err := tr.Listen(at, acc)
	if err != nil {
		t.Fatalf("listen on %s: %v", at, err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, acc
}

// Connect makes a connection from one transport to another, which listens until the end of the test.
func Connect(t testing.TB, from, to conduit.Transport, at ma.Multiaddr) (dialler, acceptor conduit.Conduit, l conduit.Listener) {
	t.Helper()
	l, acc := Listen(t, to, at)
	c, err := Dial(t.Context(), from, l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return c, acc.Next(t, 0), l
}

// Pair connects a transport to itself, once.
func Pair(t testing.TB, tr conduit.Transport, listen ma.Multiaddr) (dialler, listener conduit.Conduit) {
	t.Helper()
	dialler, listener, l := Connect(t, tr, tr, listen)
	_ = l.Close()
	return dialler, listener
}

// Ends is Connect for transports whose conduits are C. They are closed at the end of the test.
func Ends[C conduit.Muxed](t testing.TB, from, to conduit.Transport, at ma.Multiaddr) (dialler, acceptor C) {
	t.Helper()
	a, b, _ := Connect(t, from, to, at)
	t.Cleanup(func() { a.Abandon(); b.Abandon() })
	return a.Muxed.(C), b.Muxed.(C)
}
