package troupe_test

import (
	"context"
	"crypto/rand"
	"net"
	"sync"
	"testing"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/memory"

	ma "github.com/multiformats/go-multiaddr"
)

func newKey(t testing.TB) (identity.PrivateKey, identity.ID) {
	t.Helper()
	k, err := identity.GenerateKey(identity.Ed25519, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.IDFromKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return k, id
}

// silent is where connections are accepted and never told anything.
func silent(t testing.TB) ma.Multiaddr {
	at, _ := silentUntil(t)
	return at
}

// silentUntil is silent until hangUp, which the end of the test calls too.
func silentUntil(t testing.TB) (at ma.Multiaddr, hangUp func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, c)
		}
	}()
	hangUp = sync.OnceFunc(func() {
		_ = l.Close()
		<-over
		for _, c := range conns {
			_ = c.Close()
		}
	})
	t.Cleanup(hangUp)
	return tcpAddr(t, l.Addr()), hangUp
}

// closed is a TCP address where nobody listens.
func closed(t testing.TB) ma.Multiaddr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	return tcpAddr(t, l.Addr())
}

func tcpAddr(t testing.TB, a net.Addr) ma.Multiaddr {
	t.Helper()
	_, port, err := net.SplitHostPort(a.String())
	if err != nil {
		t.Fatal(err)
	}
	return multiaddr(t, "/ip4/127.0.0.1/tcp/"+port)
}

// fake is a remote that has no node: it does on each stream what the test says.
type fake struct {
	id   identity.ID
	addr ma.Multiaddr
}

// newFake makes a fake remote and a node beside it.
func newFake(t *testing.T, onData func(conduit.Muxed, conduit.MuxedStream), edit ...func(*troupe.Config)) (*fake, *troupe.System) {
	t.Helper()
	hub := troupe.NewMemoryHub()
	key, id := newKey(t)
	rt := actors.Live(actors.Options{})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if left := rt.Close(ctx); len(left) > 0 {
			t.Errorf("the fake remote leaves %v", left)
		}
	})
	l, err := memory.New(rt, memory.Config{Hub: hub, Muxed: true, Key: key.Public()}).
		Listen(multiaddr(t, "/memory/0"), &fakeListener{onData})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	n := newMuxedNode(t, hub, edit...)
	return &fake{id: id, addr: l.Addr()}, n
}

// newMuxedNode makes a node over conduits that carry streams by themselves, as QUIC's do.
func newMuxedNode(t *testing.T, hub *troupe.MemoryHub, edit ...func(*troupe.Config)) *troupe.System {
	t.Helper()
	return realm{t, nearby{hub}}.node(append([]func(*troupe.Config){func(c *troupe.Config) {
		c.Transports, c.Listen = []troupe.Transport{troupe.MemoryMuxed(hub)}, nil
	}}, edit...)...)
}

type fakeListener struct {
	onData func(conduit.Muxed, conduit.MuxedStream)
}

func (l *fakeListener) Accepted(c conduit.Conduit) { c.Muxed.Bind(&fakeConn{l, c.Muxed}) }
func (l *fakeListener) Failed(error)               {}
func (l *fakeListener) Degraded(error)             {}

type fakeConn struct {
	*fakeListener
	c conduit.Muxed
}

func (c *fakeConn) Accepted(s conduit.MuxedStream) { s.Bind(&fakeStream{c, s}, 1) }
func (c *fakeConn) CanOpen()                       {}
func (c *fakeConn) Ended(uint32, bool, error)      {}

type fakeStream struct {
	*fakeConn
	s conduit.MuxedStream
}

func (s *fakeStream) Offer(b *buf.Buf) {
	b.Release()
	s.onData(s.c, s.s)
	s.s.More()
}
func (s *fakeStream) Writable()                 {}
func (s *fakeStream) RemoteClosed()             {}
func (s *fakeStream) Reset(uint32, bool, error) {}
