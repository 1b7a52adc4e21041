package simnet

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

func TestAStreamThroughNATs(t *testing.T) {
	for _, b := range behaviors {
		w := newWorld(t, 1)
		w.link(Link{Latency: 10 * time.Millisecond})
		x := w.host("inside", HostOptions{NAT: &NAT{Mapping: b, Filtering: b}})
		y := w.host("outside", HostOptions{})
		a, c := w.connect(x, y)
		ext, _ := x.External()
		if ip, _ := netip.ParseAddr(c.c.Endpoints().Remote[0].Value()); ip != ext {
			t.Errorf("%s: the remote sees %s, want %s", b, ip, ext)
		}
		if !a.c.Endpoints().Local.Equal(ma.StringCast(fmt.Sprintf("/ip4/%s/tcp/32768", x.addrs[0]))) {
			t.Errorf("%s: the dialler sees itself at %s", b, a.c.Endpoints().Local)
		}
		a.write(t, "up")
		c.write(t, "down")
		w.s.run(time.Second)
		if a.got.String() != "down" || c.got.String() != "up" {
			t.Errorf("%s: got %q and %q", b, a.got.String(), c.got.String())
		}
		w.over(a, c)
	}
}

// RFC 5382, REQ-4: an unsolicited Syn is dropped without an answer.
func TestNobodyDialsIntoANAT(t *testing.T) {
	for _, firewall := range []bool{false, true} {
		w := newWorld(t, 1)
		x := w.host("inside", HostOptions{NAT: &NAT{Firewall: firewall, Filtering: AddressPortDependent}})
		y := w.host("outside", HostOptions{})
		acc := w.listen(x, "/ip4/0.0.0.0/tcp/4001")
		err := w.outcome(y.Transport(nil, TransportConfig{}), addrOf(x, 4001))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("firewall %v: %v", firewall, err)
		}
		if err := w.outcome(x.Transport(nil, TransportConfig{}), acc.l.Addr()); err != nil {
			t.Errorf("firewall %v: its own loopback: %v", firewall, err)
		}
		w.s.settle(t)
	}
}

func TestAForwardedPortTakesStreams(t *testing.T) {
	w := newWorld(t, 1)
	x := w.host("inside", HostOptions{NAT: &NAT{Mapping: AddressPortDependent, Filtering: AddressPortDependent}})
	y := w.host("outside", HostOptions{})
	acc := w.listen(x, "/ip4/0.0.0.0/tcp/4001")
	if err := x.Forward("tcp", 80, netip.AddrPortFrom(x.addrs[0], 4001)); err != nil {
		t.Fatal(err)
	}
	d := w.dial(y.Transport(nil, TransportConfig{}), addrOf(x, 80))
	w.s.run(time.Second)
	if d.err != nil || len(acc.ends) != 1 {
		t.Fatal(d.err)
	}
	d.write(t, "hello")
	acc.ends[0].write(t, "welcome")
	w.s.run(time.Second)
	if d.got.String() != "welcome" || acc.ends[0].got.String() != "hello" {
		t.Errorf("%q and %q", d.got.String(), acc.ends[0].got.String())
	}
	w.over(d.end, acc.ends[0])
}

// A mapping that has expired cuts its stream off: the remote cannot send, and what the host sends
// seems to come from a stranger.
func TestAStreamWhoseMappingExpiresIsLost(t *testing.T) {
	w := newWorld(t, 3)
	x := w.host("inside", HostOptions{NAT: &NAT{Lifetime: time.Minute}})
	y := w.host("outside", HostOptions{})
	a, b := w.connect(x, y)
	for range 5 { // what comes in is acknowledged, and that keeps the mapping
		w.s.run(50 * time.Second)
		b.write(t, "x")
	}
	w.s.run(2 * time.Minute)
	if a.got.Len() != 5 {
		t.Errorf("%d bytes while the mapping was kept", a.got.Len())
	}
	b.write(t, "lost")
	w.s.run(time.Minute)
	a.write(t, "who are you?")
	w.s.run(time.Hour)
	if len(a.ended) != 1 || !errors.Is(a.ended[0], syscall.ECONNRESET) {
		t.Errorf("inside: %v", a.ended)
	}
	if len(b.ended) != 1 || !errors.Is(b.ended[0], syscall.ETIMEDOUT) {
		t.Errorf("outside: %v", b.ended)
	}
	w.over(a, b)
}

// punch makes the hosts dial each other from their listening ports, the second one a little later.
func (w *world) punch(x, y *Host, toX, toY ma.Multiaddr, later time.Duration) (a, b *dialled) {
	reuse := TransportConfig{ReusePort: true}
	tx, ty := x.Transport(nil, reuse), y.Transport(nil, reuse)
	a = w.dial(tx, toY)
	w.s.run(later)
	b = w.dial(ty, toX)
	w.s.run(20 * time.Second)
	return a, b
}

// hole lets x dial a server from its listening port, and says where the server saw it.
func (w *world) hole(x *Host, server *acceptor) ma.Multiaddr {
	w.t.Helper()
	seen := len(server.ends)
	d := w.dial(x.Transport(nil, TransportConfig{ReusePort: true}), addrOf(server.l.(*listener).h, 1))
	w.s.run(time.Second)
	if d.err != nil {
		w.t.Fatal(d.err)
	}
	return server.ends[seen].c.Endpoints().Remote
}

func TestHolePunching(t *testing.T) {
	sym := NAT{Mapping: AddressPortDependent, Filtering: AddressPortDependent}
	restricted := NAT{Filtering: AddressPortDependent}
	byAddress := NAT{Filtering: AddressDependent}
	open := NAT{}
	for _, c := range []struct {
		name string
		x, y NAT
		want bool
	}{
		{"two endpoint-independent mappings", restricted, restricted, true},
		{"filters by address", byAddress, restricted, true},
		{"no filter", open, open, true},
		{"symmetric against a filter by address", sym, byAddress, true},
		{"symmetric against a filter by port", sym, restricted, false},
		{"two symmetric ones", sym, sym, false},
		{"firewalls", NAT{Firewall: true, Filtering: AddressPortDependent}, NAT{Firewall: true, Filtering: AddressPortDependent}, true},
	} {
		for _, later := range []time.Duration{0, 15 * time.Millisecond, 300 * time.Millisecond} {
			t.Run(fmt.Sprint(c.name, " ", later), func(t *testing.T) {
				w := newWorld(t, 5)
				w.link(Link{Latency: 20 * time.Millisecond})
				x, y := w.host("x", HostOptions{NAT: &c.x}), w.host("y", HostOptions{NAT: &c.y})
				server := w.listen(w.host("server", HostOptions{}), "/ip4/0.0.0.0/tcp/1")
				lx, ly := w.listen(x, "/ip4/0.0.0.0/tcp/4001"), w.listen(y, "/ip4/0.0.0.0/tcp/4001")
				a, b := w.punch(x, y, w.hole(x, server), w.hole(y, server), later)
				if got := a.err == nil || b.err == nil; got != c.want {
					t.Fatalf("%v and %v", a.err, b.err)
				}
				if !c.want {
					return
				}
				w.carries(a, b, lx, ly)
			})
		}
	}
}

// carries checks that two crossing dials gave one stream: between the dials if both Syns met, or
// between one of them and the other's listener.
func (w *world) carries(a, b *dialled, lx, ly *acceptor) {
	w.t.Helper()
	ends := []*end{}
	for _, d := range []*dialled{a, b} {
		if d.err == nil {
			if dir := d.c.Endpoints().Direction; dir != conduit.Outbound {
				w.t.Errorf("a dial gave an %s stream", dir)
			}
			ends = append(ends, d.end)
		}
	}
	ends = append(append(ends, lx.ends...), ly.ends...)
	if len(ends)%2 != 0 {
		w.t.Fatalf("%d ends\n%s", len(ends), w.n)
	}
	for i, e := range ends {
		e.write(w.t, fmt.Sprint(i))
	}
	w.s.run(time.Second)
	for i, e := range ends {
		if e.got.Len() != 1 || e.got.String() == fmt.Sprint(i) {
			w.t.Errorf("end %d got %q", i, e.got.String())
		}
	}
}

// Both Syns cross on the open network: one stream, outbound at both ends.
func TestSimultaneousOpenIsOneStream(t *testing.T) {
	for _, l := range []Link{{}, {Latency: 20 * time.Millisecond}, {Latency: 20 * time.Millisecond, Jitter: 200 * time.Millisecond}, {Loss: 0.3, Latency: time.Millisecond}} {
		for seed := range uint64(30) {
			w := newWorld(t, seed)
			w.link(l)
			h := w.hosts("x", "y")
			lx, ly := w.listen(h[0], "/ip4/0.0.0.0/tcp/4001"), w.listen(h[1], "/ip4/0.0.0.0/tcp/4001")
			a, b := w.punch(h[0], h[1], addrOf(h[0], 4001), addrOf(h[1], 4001), 0)
			if l.Loss == 0 && (a.err != nil || b.err != nil) {
				t.Fatalf("seed %d, %+v: %v and %v\n%s", seed, l, a.err, b.err, w.n)
			}
			if n := len(lx.ends) + len(ly.ends); n > 0 && l.Loss == 0 && l.Jitter == 0 && l.Latency > 0 {
				t.Errorf("seed %d: %d accepted", seed, n)
			}
			if a.err == nil && b.err == nil && len(lx.ends)+len(ly.ends) == 0 {
				if a.c.(*stream).num != b.c.(*stream).num {
					t.Errorf("seed %d: one stream, two numbers", seed)
				}
			}
			w.link(Link{})
			if a.err == nil && b.err == nil {
				w.carries(a, b, lx, ly)
			}
			for _, d := range []*dialled{a, b} {
				if d.end != nil {
					_ = d.c.Close()
				}
			}
			for _, e := range append(lx.ends, ly.ends...) {
				_ = e.c.Close()
			}
			w.over()
		}
	}
}

func TestADialCanReuseTheListenersPort(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("x", "y")
	lx, ly := w.listen(h[0], "/ip4/0.0.0.0/tcp/4001"), w.listen(h[1], "/ip4/0.0.0.0/tcp/1")
	tr := h[0].Transport(nil, TransportConfig{ReusePort: true})
	first, second := w.dial(tr, addrOf(h[1], 1)), w.dial(tr, addrOf(h[1], 1))
	w.s.run(time.Second)
	if first.err != nil || second.err != nil {
		t.Fatal(first.err, second.err)
	}
	ports := map[string]bool{}
	for _, e := range ly.ends {
		ports[e.c.Endpoints().Remote[1].Value()] = true
	}
	if !ports["4001"] || len(ports) != 2 {
		t.Errorf("ports %v: want the listener's once, and one of its own", ports)
	}
	// The port is still free for who dials it.
	third := w.dial(h[1].Transport(nil, TransportConfig{}), addrOf(h[0], 4001))
	w.s.run(time.Second)
	if third.err != nil || len(lx.ends) != 1 {
		t.Errorf("%v, %d accepted", third.err, len(lx.ends))
	}
	w.over(append([]*end{first.end, second.end, third.end, lx.ends[0]}, ly.ends...)...)
}
