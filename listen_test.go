package troupe_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/protocols/echo"

	ma "github.com/multiformats/go-multiaddr"
)

// A listener that has lost its address takes the same one again, however it lost it; what was
// established goes on meanwhile.
func TestListenerComesBackOnTheSamePort(t *testing.T) {
	for _, row := range []struct {
		name string
		lose func(t *testing.T, n *troupe.System, a *adapter)
	}{
		{"its actor was killed", func(t *testing.T, n *troupe.System, _ *adapter) {
			if !n.Runtime().Kill(pathOf(t, n, "listener"), "a test") {
				t.Fatal("there is no listener")
			}
		}},
		{"the adapter failed", func(_ *testing.T, _ *troupe.System, a *adapter) {
			a.fail(errors.New("the network card was pulled out"))
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var a adapter
			n := newNode(t, a.use)
			register(t, n, echo.Protocol, echo.Handler())
			events := n.Subscribe(t.Context(), 0)
			at := n.ListenAddrs()[0]
			old := newNode(t)
			connect(t, old, n)
			held := heldStream(t, old, n)
			for i := range 3 {
				row.lose(t, n, &a)
				for { // the address of the first binding may still be told
					e := next(t, events, troupe.EventListening)
					if len(e.Addrs) != 1 || !e.Addrs[0].Equal(at) {
						t.Fatalf("listens on %v, want %v", e.Addrs, at)
					}
					a.mu.Lock()
					bound := len(a.listeners)
					a.mu.Unlock()
					if bound == i+2 {
						break
					}
				}
				until(t, "the address", func() bool { return len(n.ListenAddrs()) == 1 && n.ListenAddrs()[0].Equal(at) })
				fresh := newNode(t)
				if _, err := fresh.Dial(bounded(t), n.ID(), at); err != nil {
					t.Fatal(err)
				}
				if err := echoes(bounded(t), fresh, n, "served again"); err != nil {
					t.Fatal(err)
				}
			}
			if err := roundTrip(held, "never noticed"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Somebody else may be faster. The listener waits its turn, and says why.
func TestListenerWaitsForItsPort(t *testing.T) {
	var a adapter
	n := newNode(t, a.use)
	register(t, n, echo.Protocol, echo.Handler())
	events := n.Subscribe(t.Context(), 0)
	at := n.ListenAddrs()[0]
	_, port, _ := strings.Cut(at.String(), "/tcp/")

	// The port is taken in the moment in which the adapter has let go of it.
	a.mu.Lock()
	l := a.listeners[0]
	a.mu.Unlock()
	_ = l.Close()
	thief, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = thief.Close() }()
	l.sink.Failed(errors.New("lost"))

	for range 3 { // it tries again and again
		e := next(t, events, troupe.EventListenError)
		for !strings.Contains(fmt.Sprint(e.Err), "in use") {
			e = next(t, events, troupe.EventListenError)
		}
	}
	until(t, "no address on show", func() bool { return len(n.ListenAddrs()) == 0 })
	until(t, "the reason in the tree", func() bool {
		k, _ := find(n.Tree().Roots, ofKind("listener"))
		return strings.Contains(fmt.Sprint(k.Info), "in use")
	})
	_ = thief.Close()
	next(t, events, troupe.EventListening)
	if _, err := newNode(t).Dial(bounded(t), n.ID(), at); err != nil {
		t.Fatal(err)
	}
}

func TestListenOnSeveralAddresses(t *testing.T) {
	w := newRealm(t)
	n := w.node()
	second, err := n.Listen(bounded(t), multiaddr(t, "/memory/4001"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Listen(bounded(t), multiaddr(t, "/memory/4001")); !errors.Is(err, troupe.ErrListen) {
		t.Fatalf("the same address twice: %v", err)
	}
	register(t, n, echo.Protocol, echo.Handler())
	for _, at := range []ma.Multiaddr{n.ListenAddrs()[0], second} {
		other := w.node()
		if _, err := other.Dial(bounded(t), n.ID(), at); err != nil {
			t.Fatal(err)
		}
		if err := echoes(bounded(t), other, n, "through "+at.String()); err != nil {
			t.Fatal(err)
		}
	}
}
