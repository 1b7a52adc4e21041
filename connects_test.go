package troupe_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/protocols/echo"

	ma "github.com/multiformats/go-multiaddr"
)

// Two nodes that dial each other at once may get two connections. They end with one, and it is
// the same one for both: that of the smaller peer ID, if it was there.
func TestSimultaneousConnectsEndWithOneConnection(t *testing.T) {
	var twice atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		w := newRealm(t)
		a, b := w.node(), w.node()
		for _, n := range []*troupe.System{a, b} {
			register(t, n, echo.Protocol, echo.Handler())
		}
		all.Go(func() {
			for round := range 4 {
				if err := meet(t, a, b, &twice); err != nil {
					t.Errorf("round %d: %v", round, err)
					return
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d of 32 meetings began with two connections", twice.Load())
}

func meet(t *testing.T, a, b *troupe.System, twice *atomic.Int64) error {
	var both sync.WaitGroup
	begin := make(chan struct{})
	var errs [2]error
	for i, n := range []*troupe.System{a, b} {
		other := []*troupe.System{b, a}[i]
		both.Go(func() {
			<-begin
			_, errs[i] = n.Dial(bounded(t), other.ID(), other.ListenAddrs()...)
		})
	}
	close(begin)
	both.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	seenTwo := false
	var kept, mirrored []*troupe.Conn
	if !comes(func() bool {
		var err error
		if kept, err = a.Conns(bounded(t)); err != nil {
			return false
		}
		if mirrored, err = b.Conns(bounded(t)); err != nil {
			return false
		}
		seenTwo = seenTwo || len(kept) == 2 || len(mirrored) == 2
		return len(kept) == 1 && len(mirrored) == 1 && same(kept[0], mirrored[0])
	}) {
		return fmt.Errorf("%d and %d connections are left", len(kept), len(mirrored))
	}
	if seenTwo {
		twice.Add(1)
		smaller := a
		conn := kept[0]
		if b.ID() < a.ID() {
			smaller, conn = b, mirrored[0]
		}
		if conn.Direction.String() != "outbound" {
			return fmt.Errorf("the connection that stays was not dialled by %s, the smaller", smaller.ID())
		}
	}
	for i, n := range []*troupe.System{a, b} {
		if err := echoes(bounded(t), n, []*troupe.System{b, a}[i], "over the one that is left"); err != nil {
			return err
		}
	}
	// A second connection may still be on its way here, so once is not enough.
	if !comes(func() bool {
		a.Disconnect(b.ID())
		b.Disconnect(a.ID())
		kept, _ = a.Conns(bounded(t))
		mirrored, _ = b.Conns(bounded(t))
		return len(kept)+len(mirrored) == 0
	}) {
		return fmt.Errorf("%d and %d connections do not end", len(kept), len(mirrored))
	}
	return nil
}

// same says that two nodes mean the same connection.
func same(x, y *troupe.Conn) bool {
	return x.Local.Equal(y.Remote) && x.Remote.Equal(y.Local) && x.Direction != y.Direction
}

// A dial for somebody else neither gets a connection nor disturbs one.
func TestDialForAnotherPeerDisturbsNobody(t *testing.T) {
	a, b := couple(t)
	register(t, b, echo.Protocol, echo.Handler())
	held := heldStream(t, a, b)
	for range 5 {
		who := stranger()
		_, err := a.Dial(bounded(t), who, b.ListenAddrs()...)
		if e := wantError(t, err, troupe.ErrIdentityMismatch); e.Peer != who || !strings.Contains(err.Error(), b.ID().String()) {
			t.Fatalf("%v does not say who answered", err)
		}
	}
	if err := roundTrip(held, "still here"); err != nil {
		t.Fatal(err)
	}
	wantConns(t, a, 1)
	wantConns(t, b, 1)
}

// However many want a connection at once, one is dialled.
func TestConcurrentOpensShareOneDial(t *testing.T) {
	w := newRealm(t)
	var wires adapter
	a, b := w.node(wires.use), w.node()
	register(t, b, echo.Protocol, echo.Handler())
	arrivals := b.Subscribe(t.Context(), 0)
	a.AddAddrs(b.ID(), 0, b.ListenAddrs()...)
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range 100 {
		all.Go(func() {
			<-begin
			if err := echoes(bounded(t), a, b, fmt.Sprint("stream ", i)); err != nil {
				t.Error(err)
			}
		})
	}
	close(begin)
	all.Wait()
	if n := wires.dials.Load(); n != 1 {
		t.Errorf("%d dials", n)
	}
	next(t, arrivals, troupe.EventConnected)
	wantConns(t, a, 1)
	wantConns(t, b, 1)
}

// An address that has just failed is not tried again by the way; who asks for the dial itself
// gets it.
func TestBackoffHoldsOpensBackAndNotDials(t *testing.T) {
	var wires adapter
	a := newNode(t, wires.use)
	key, id := newKey(t)
	dead := closed(t)
	a.AddAddrs(id, 0, dead)

	_, err := a.Open(bounded(t), id, echo.Protocol)
	if e := wantError(t, err, troupe.ErrDialFailed); e.Origin != troupe.OriginRemote || wires.dials.Load() != 1 {
		t.Fatalf("%d dials: %v", wires.dials.Load(), err)
	}
	for range 3 {
		_, err = a.Open(bounded(t), id, echo.Protocol)
		e := wantError(t, err, troupe.ErrDialFailed)
		if e.Origin != troupe.OriginLocal || wires.dials.Load() != 1 {
			t.Fatalf("%d dials: %v", wires.dials.Load(), err)
		}
		for _, want := range []string{"not tried before", "refused", dead.String()} {
			if !strings.Contains(err.Error(), want) {
				t.Fatalf("%q does not say %q", err, want)
			}
		}
	}
	if _, err = a.Dial(bounded(t), id); !errors.Is(err, troupe.ErrDialFailed) || wires.dials.Load() != 2 {
		t.Fatalf("%d dials: %v", wires.dials.Load(), err)
	}

	// The peer comes up where it was expected. The explicit dial ends the backoff for all.
	b := newNode(t, func(c *troupe.Config) { c.Key, c.Listen = key, []string{dead.String()} })
	register(t, b, echo.Protocol, echo.Handler())
	if _, err = a.Dial(bounded(t), id); err != nil {
		t.Fatal(err)
	}
	a.Disconnect(id)
	wantConns(t, a, 0)
	if err := echoes(bounded(t), a, b, "no backoff is left"); err != nil {
		t.Fatal(err)
	}
}

// A dial that fails says of every address why.
func TestUnreachablePeerIsExplainedAddressByAddress(t *testing.T) {
	n := newNode(t)
	other := newNode(t)
	full, err := net.Listen("tcp", "127.0.0.1:0") // hangs up on everybody
	if err != nil {
		t.Fatal(err)
	}
	var over sync.WaitGroup
	over.Go(func() {
		for {
			c, err := full.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	})
	defer over.Wait()
	defer func() { _ = full.Close() }()

	refused, rude, wrong := closed(t), tcpAddr(t, full.Addr()), other.ListenAddrs()[0]
	foreign, vague, own := multiaddr(t, "/memory/7"), multiaddr(t, "/ip4/0.0.0.0/tcp/1"), n.ListenAddrs()[0]
	who := stranger()
	reasons := map[*ma.Multiaddr]string{
		&refused: "connection refused",
		&rude:    "",
		&wrong:   "expected peer",
		&foreign: "no transport of this node",
		&vague:   "address to listen on, not to dial",
		&own:     "our own address",
	}
	_, err = n.Dial(bounded(t), who, refused, rude, wrong, foreign, vague, own)
	wantError(t, err, troupe.ErrIdentityMismatch)
	for a := range reasons {
		_, err := n.Dial(bounded(t), who, *a)
		var e *troupe.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), (*a).String()) || !strings.Contains(err.Error(), reasons[a]) {
			t.Errorf("%v: %v", *a, err)
		}
	}
	_, err = n.Dial(bounded(t), who, refused, foreign, vague)
	wantError(t, err, troupe.ErrDialFailed)
	for _, a := range []*ma.Multiaddr{&refused, &foreign, &vague} {
		if !strings.Contains(err.Error(), (*a).String()+": ") || !strings.Contains(err.Error(), reasons[a]) {
			t.Errorf("%q does not say of %v that %q", err, *a, reasons[a])
		}
	}
}
