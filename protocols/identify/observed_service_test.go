package identify

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/protocols/identify/message"

	ma "github.com/multiformats/go-multiaddr"
)

func TestInterfacesAreWatchedWhileSomebodyListensOnAll(t *testing.T) {
	var mu sync.Mutex // the actor's turns come by timer, of which the test knows nothing
	ips, calls := []netip.Addr{netip.MustParseAddr("10.0.0.1")}, 0
	var heard [][]ma.Multiaddr
	cfg := Config{
		Interfaces: func() []netip.Addr {
			mu.Lock()
			defer mu.Unlock()
			calls++
			return ips
		},
		OnAddrs: func(as []ma.Multiaddr) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, as)
		},
	}
	inVirtualTimeWith(t, cfg, func(n *node) {
		want := func(why string, asked, changes int, last ...string) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			if calls != asked || len(heard) != changes || changes > 0 && !equal(heard[changes-1], addrsOf(last...)) {
				t.Errorf("%s: asked %d times, told %v", why, calls, heard)
			}
		}
		n.tell(&messages.ListenAddrs{Addrs: addrsOf("/ip4/10.0.0.1/tcp/1")})
		pass(time.Hour)
		want("nobody listens on all", 0, 1, "/ip4/10.0.0.1/tcp/1")
		n.tell(&messages.ListenAddrs{Addrs: addrsOf("/ip4/0.0.0.0/tcp/1")})
		want("all are the one that it was", 1, 1, "/ip4/10.0.0.1/tcp/1")
		mu.Lock()
		ips = append(slices.Clone(ips), netip.MustParseAddr("10.0.0.2"))
		mu.Unlock()
		pass(31 * time.Second)
		synctest.Wait()
		both := []string{"/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/1"}
		want("there is another", 2, 2, both...)
		info := n.rt.Tree("identify").Roots[0].Info
		if !slices.Contains(info, actors.KeyValue{Key: "addrs", Value: join(addrsOf(both...))}) {
			t.Errorf("the tree shows %v", info)
		}
		if k := n.kinds(); !slices.Equal(k, []messages.EventKind{messages.EventAddrs, messages.EventAddrs}) {
			t.Errorf("events %v", k)
		}
	})
}

func TestObservedAddressesAreCountedShownAndBounded(t *testing.T) {
	if b := Bounds(); len(b) != 1 || b[0].Cap != maxObserved {
		t.Errorf("bounds: %v", b)
	}
	inVirtualTime(t, func(n *node) {
		seen := func(i int) message.Info {
			return message.Info{Observed: addr(fmt.Sprintf("/ip4/20.0.0.1/tcp/%d", i))}
		}
		for i := range 100 * maxObserved {
			c := n.conn(uint64(i+1), byte(i%50+10), internet)
			n.tell(&told{conn: c, info: seen(i + 1)})
		}
		if got := len(n.cfg.State.seen.list); got != maxObserved {
			t.Errorf("%d inventions are remembered, want %d", got, maxObserved)
		}
		if n.cfg.State.own.Load().views[fromInternet].info.ListenAddrs != nil {
			t.Error("what others claim is advertised")
		}
		// Two agree, one of them again and again: it counts once.
		for range 5 {
			n.tell(&told{conn: n.cfg.State.conns[1].info, info: seen(7)})
		}
		show := func() string {
			for _, kv := range n.rt.Tree("identify").Roots[0].Info {
				if kv.Key == "observed" {
					return kv.Value
				}
			}
			return ""
		}
		want := "/ip4/20.0.0.1/tcp/7 /ip4/20.0.0.1/tcp/2 /ip4/20.0.0.1/tcp/3"
		if got := show(); got != want {
			t.Errorf("on show: %q, want %q", got, want)
		}
		n.crash()
		if got := show(); got != want {
			t.Errorf("on show after a crash: %q", got)
		}
		for id := range 100 * maxObserved {
			n.tell(&messages.ConnDown{Conn: uint64(id + 1)})
		}
		if len(n.cfg.State.seen.list) != 0 || show() != "" {
			t.Errorf("claims outlive their connections: %v, %q", n.cfg.State.seen.list, show())
		}
	})
}

func TestPeerIsIntroducedLater(t *testing.T) {
	inVirtualTime(t, func(n *node) {
		var got int
		other := spawn[messages.Peers](n, "other", func(m any) {
			if _, ok := m.(*messages.PeerIdentified); ok {
				got++
			}
		})
		n.tell(&messages.Introduce{Peers: other})
		n.tell(&told{conn: n.conn(1, 2, home), info: says()})
		n.crash()
		n.tell(&told{conn: n.conn(2, 3, home), info: says()})
		if got != 2 || len(n.told) != 0 {
			t.Errorf("who was introduced was told %d times", got)
		}
	})
}
