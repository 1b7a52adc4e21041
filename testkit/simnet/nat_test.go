package simnet

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// talker is a UDP program that writes down what comes.
type talker struct {
	c    *PacketConn
	got  []string         // payloads
	from []netip.AddrPort // their sources
}

func (w *world) talk(h *Host, at string) *talker {
	w.t.Helper()
	k := &talker{}
	c, err := h.ListenPacket(netip.MustParseAddrPort(at), func(from netip.AddrPort, p []byte) {
		k.got = append(k.got, string(p))
		k.from = append(k.from, from)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	k.c = c
	return k
}

// send sends text and lets it arrive. It reports whether to got it.
func (w *world) send(k *talker, dst netip.AddrPort, to *talker, text string) bool {
	w.t.Helper()
	before := len(to.got)
	if err := k.c.Send(dst, []byte(text)); err != nil {
		w.t.Fatal(err)
	}
	w.s.run(time.Millisecond)
	return len(to.got) > before
}

// at is the endpoint of a talker as its own host knows it.
func (k *talker) at() netip.AddrPort {
	a := k.c.at.Addr()
	if a.IsUnspecified() {
		a, _ = k.c.h.addrOf(true)
	}
	return netip.AddrPortFrom(a, k.c.at.Port())
}

// lastFrom is where the last datagram seemed to come from.
func (k *talker) lastFrom() netip.AddrPort { return k.from[len(k.from)-1] }

var behaviors = []Behavior{EndpointIndependent, AddressDependent, AddressPortDependent}

// RFC 4787, section 4.1: which destinations see the same external endpoint.
func TestMappingBehaviors(t *testing.T) {
	for _, b := range behaviors {
		t.Run(b.String(), func(t *testing.T) {
			w := newWorld(t, 1)
			nat := &NAT{Mapping: b}
			x := w.talk(w.host("inside", HostOptions{NAT: nat}), "0.0.0.0:5000")
			h := w.hosts("y1", "y2")
			y1, y1b := w.talk(h[0], "0.0.0.0:1"), w.talk(h[0], "0.0.0.0:2")
			y2 := w.talk(h[1], "0.0.0.0:1")
			for _, y := range []*talker{y1, y1b, y2, y1} {
				if !w.send(x, y.at(), y, "hello") {
					t.Fatal("nothing comes out")
				}
			}
			ext, _ := x.c.h.External()
			for _, y := range []*talker{y1, y1b, y2} {
				if y.lastFrom().Addr() != ext {
					t.Errorf("from %s, want %s", y.lastFrom(), ext)
				}
			}
			if y1.from[0] != y1.from[1] {
				t.Error("one destination saw two endpoints")
			}
			if same := y1.from[0] == y1b.from[0]; same != (b != AddressPortDependent) {
				t.Errorf("two ports of one address see the same endpoint: %v", same)
			}
			if same := y1.from[0] == y2.from[0]; same != (b == EndpointIndependent) {
				t.Errorf("two addresses see the same endpoint: %v", same)
			}
		})
	}
}

// RFC 4787, section 5: who may answer.
func TestFilteringBehaviors(t *testing.T) {
	for _, firewall := range []bool{false, true} {
		for _, b := range behaviors {
			t.Run(fmt.Sprintf("firewall %v %s", firewall, b), func(t *testing.T) {
				w := newWorld(t, 1)
				x := w.talk(w.host("inside", HostOptions{NAT: &NAT{Filtering: b, Firewall: firewall}}), "0.0.0.0:5000")
				h := w.hosts("friend", "stranger")
				friend, otherPort := w.talk(h[0], "0.0.0.0:1"), w.talk(h[0], "0.0.0.0:2")
				stranger := w.talk(h[1], "0.0.0.0:1")
				if w.send(stranger, netip.AddrPortFrom(addr(x.c.h), 5000), x, "before") {
					t.Error("a stranger comes in before anything has gone out")
				}
				w.send(x, friend.at(), friend, "hello")
				hole := friend.lastFrom()
				if firewall && hole != x.at() {
					t.Errorf("a firewall has changed %s to %s", x.at(), hole)
				}
				for _, c := range []struct {
					k    *talker
					want bool
				}{{friend, true}, {otherPort, b != AddressPortDependent}, {stranger, b == EndpointIndependent}} {
					if got := w.send(c.k, hole, x, "answer"); got != c.want {
						t.Errorf("%s may answer: %v, want %v", c.k.at(), got, c.want)
					}
				}
				if x.got[0] != "answer" || x.from[0] != friend.at() {
					t.Errorf("got %q from %s", x.got[0], x.from[0])
				}
			})
		}
	}
}

// addr is where others find the host.
func addr(h *Host) netip.Addr {
	if a, ok := h.External(); ok {
		return a
	}
	return h.addrs[0]
}

// A hole for one destination of a symmetric NAT is none for another, even if that filters nothing.
func TestASymmetricNATHasAHoleForEachDestination(t *testing.T) {
	w := newWorld(t, 1)
	x := w.talk(w.host("inside", HostOptions{NAT: &NAT{Mapping: AddressPortDependent, Filtering: AddressPortDependent}}), "0.0.0.0:5000")
	h := w.hosts("a", "b")
	a, b := w.talk(h[0], "0.0.0.0:1"), w.talk(h[1], "0.0.0.0:1")
	w.send(x, a.at(), a, "to a")
	w.send(x, b.at(), b, "to b")
	if w.send(b, a.lastFrom(), x, "through a's hole") || w.send(a, b.lastFrom(), x, "through b's hole") {
		t.Error("the holes are for everybody")
	}
	if !w.send(a, a.lastFrom(), x, "own") || !w.send(b, b.lastFrom(), x, "own") {
		t.Error("the holes are for nobody")
	}
}

// RFC 4787, section 4.3 and REQ-6: holes close, packets outward keep them open, others do not.
func TestLifetime(t *testing.T) {
	for _, c := range []struct{ set, want time.Duration }{{0, udpLifetime}, {30 * time.Second, 30 * time.Second}} {
		w := newWorld(t, 1)
		x := w.talk(w.host("inside", HostOptions{NAT: &NAT{Lifetime: c.set, Filtering: AddressDependent}}), "0.0.0.0:5000")
		y := w.talk(w.host("y", HostOptions{}), "0.0.0.0:1")
		w.send(x, y.at(), y, "1")
		hole := y.lastFrom()
		w.s.run(c.want - time.Second)
		if !w.send(y, hole, x, "in time") {
			t.Errorf("lifetime %v: closed too early", c.set)
		}
		w.send(x, y.at(), y, "2")
		if y.lastFrom() != hole {
			t.Error("a live mapping has changed")
		}
		w.s.run(c.want - time.Second)
		if !w.send(y, hole, x, "kept open") {
			t.Errorf("lifetime %v: a packet outward does not keep it open", c.set)
		}
		w.s.run(2 * time.Second)
		if w.send(y, hole, x, "late") {
			t.Errorf("lifetime %v: a packet inward has kept it open", c.set)
		}
		w.send(x, y.at(), y, "3")
		if y.lastFrom() == hole {
			t.Error("the new mapping has the old port (which chance may do once in sixty thousand)")
		}
	}
}

// One remote's permission ends on its own when others keep the mapping alive.
func TestAPermissionEndsOnItsOwn(t *testing.T) {
	w := newWorld(t, 1)
	x := w.talk(w.host("inside", HostOptions{NAT: &NAT{Filtering: AddressDependent, Lifetime: time.Minute}}), "0.0.0.0:5000")
	h := w.hosts("a", "b")
	a, b := w.talk(h[0], "0.0.0.0:1"), w.talk(h[1], "0.0.0.0:1")
	w.send(x, a.at(), a, "once")
	for range 4 {
		w.send(x, b.at(), b, "again")
		w.s.run(30 * time.Second)
	}
	if w.send(a, a.lastFrom(), x, "late") {
		t.Error("who was written to two minutes ago may still answer")
	}
	if !w.send(b, b.lastFrom(), x, "in time") {
		t.Error("who was written to lately may not")
	}
}

// RFC 4787, REQ-9.
func TestHairpin(t *testing.T) {
	for _, on := range []bool{false, true} {
		w := newWorld(t, 1)
		nat := &NAT{Hairpin: on}
		x1, x2 := w.talk(w.host("x1", HostOptions{NAT: nat}), "0.0.0.0:1000"), w.talk(w.host("x2", HostOptions{NAT: nat}), "0.0.0.0:2000")
		y := w.talk(w.host("y", HostOptions{}), "0.0.0.0:1")
		w.send(x1, y.at(), y, "x1")
		hole1 := y.lastFrom()
		w.send(x2, y.at(), y, "x2")
		hole2 := y.lastFrom()
		if hole1.Addr() != hole2.Addr() || hole1 == hole2 {
			t.Errorf("two hosts behind one NAT are seen at %s and %s", hole1, hole2)
		}
		if got := w.send(x1, hole2, x2, "over the outside"); got != on {
			t.Errorf("hairpin %v: %v", on, got)
		}
		if on && x2.lastFrom() != hole1 {
			t.Errorf("it seems to come from %s, want the external %s", x2.lastFrom(), hole1)
		}
		if !w.send(x1, x2.at(), x2, "directly") || x2.lastFrom() != x1.at() {
			t.Error("neighbours do not reach each other directly")
		}
	}
}

func TestHairpinIsFilteredToo(t *testing.T) {
	w := newWorld(t, 1)
	nat := &NAT{Hairpin: true, Filtering: AddressPortDependent}
	x1, x2 := w.talk(w.host("x1", HostOptions{NAT: nat}), "0.0.0.0:1000"), w.talk(w.host("x2", HostOptions{NAT: nat}), "0.0.0.0:2000")
	y := w.talk(w.host("y", HostOptions{}), "0.0.0.0:1")
	w.send(x1, y.at(), y, "x1")
	hole1 := y.lastFrom()
	w.send(x2, y.at(), y, "x2")
	hole2 := y.lastFrom()
	if w.send(x1, hole2, x2, "unasked") {
		t.Error("unasked")
	}
	if !w.send(x2, hole1, x1, "now it is punched") || !w.send(x1, hole2, x2, "on both sides") {
		t.Error("punching does not open it")
	}
}

func TestPortPreservation(t *testing.T) {
	for _, on := range []bool{false, true} {
		w := newWorld(t, 7)
		nat := &NAT{PortPreserving: on}
		x1, x2 := w.talk(w.host("x1", HostOptions{NAT: nat}), "0.0.0.0:1000"), w.talk(w.host("x2", HostOptions{NAT: nat}), "0.0.0.0:1000")
		y := w.talk(w.host("y", HostOptions{}), "0.0.0.0:1")
		w.send(x1, y.at(), y, "x1")
		if got := y.lastFrom().Port() == 1000; got != on {
			t.Errorf("preserving %v: port %d", on, y.lastFrom().Port())
		}
		w.send(x2, y.at(), y, "x2")
		if p := y.lastFrom().Port(); p == 1000 || p < firstMapped {
			t.Errorf("the second host got port %d", p)
		}
		w.s.run(udpLifetime + time.Second)
		w.send(x2, y.at(), y, "x2 again")
		if got := y.lastFrom().Port() == 1000; got != on {
			t.Errorf("preserving %v: after the first mapping's end port %d", on, y.lastFrom().Port())
		}
	}
}

func TestANATRunsOutOfPorts(t *testing.T) {
	w := newWorld(t, 1)
	h := w.host("inside", HostOptions{NAT: &NAT{Mapping: AddressPortDependent}})
	g := h.gate
	src := netip.MustParseAddrPort("10.0.0.2:1")
	const left = 100
	for i := range uint16(maxMappings - left) {
		in := netip.AddrPortFrom(src.Addr(), firstMapped+i)
		g.tables[udp].add(&mapping{key: natKey{in: in}, in: in, out: netip.AddrPortFrom(g.external, firstMapped+i), used: w.s.now})
	}
	for i := range left {
		dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{9, 9, 9, byte(i)}), 1)
		if _, ok := g.outward(udp, src, dst); !ok {
			t.Fatalf("no port for mapping %d of the last %d", i, left)
		}
	}
	last := netip.MustParseAddrPort("8.8.8.8:8")
	if _, ok := g.outward(udp, src, last); ok {
		t.Error("one port too many")
	}
	if len(g.tables[udp].byOut) != maxMappings || len(g.tables[udp].byKey) != maxMappings {
		t.Error("ports were given twice")
	}
	w.s.now = w.s.now.Add(udpLifetime + time.Second)
	if _, ok := g.outward(udp, src, last); !ok {
		t.Error("the expired ports are not given back")
	}
	if n := len(g.tables[udp].byOut); n != 1 {
		t.Errorf("%d mappings, one is alive", n)
	}
}

func TestTablesStayAsSmallAsWhatIsAlive(t *testing.T) {
	w := newWorld(t, 1)
	h := w.host("inside", HostOptions{NAT: &NAT{Filtering: AddressPortDependent}})
	g, tab := h.gate, &h.gate.tables[udp]
	for i := range 100_000 { // one new port and one new remote a second
		src := netip.AddrPortFrom(h.addrs[0], uint16(1+i%60_000))
		dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{9, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
		g.outward(udp, src, dst)
		g.outward(udp, netip.AddrPortFrom(h.addrs[0], 65000), dst)
		w.s.now = w.s.now.Add(time.Second)
		if len(tab.byOut) > 1000 || len(tab.byOut) != len(tab.byKey) {
			t.Fatalf("%d mappings after %d", len(tab.byOut), i)
		}
	}
	for _, m := range tab.byOut {
		if len(m.allowed) > 1000 {
			t.Errorf("%d permissions", len(m.allowed))
		}
	}
}

func TestForwardedPorts(t *testing.T) {
	w := newWorld(t, 1)
	nat := &NAT{Mapping: AddressPortDependent, Filtering: AddressPortDependent}
	h := w.host("inside", HostOptions{NAT: nat})
	x := w.talk(h, "0.0.0.0:5000")
	y := w.talk(w.host("y", HostOptions{}), "0.0.0.0:1")
	if err := h.Forward("udp", 80, x.at()); err != nil {
		t.Fatal(err)
	}
	out := netip.AddrPortFrom(h.gate.external, 80)
	w.s.run(24 * time.Hour)
	if !w.send(y, out, x, "knock") {
		t.Error("a forwarded port is closed")
	}
	if err := w.n.RebootNAT(nat); err != nil {
		t.Error(err)
	}
	if !w.send(y, out, x, "after the reboot") {
		t.Error("a reboot forgets what was made by hand")
	}
	other := w.host("neighbour", HostOptions{NAT: nat})
	for _, c := range []struct {
		want string
		err  error
	}{
		{"in use", other.Forward("udp", 80, netip.AddrPortFrom(other.addrs[0], 1))},
		{"no ports", h.Forward("icmp", 80, x.at())},
		{"no endpoint", h.Forward("udp", 81, netip.AddrPortFrom(other.addrs[0], 1))},
		{"is none", h.Forward("tcp", 0, x.at())},
		{"not translated", y.c.h.Forward("tcp", 1, y.at())},
		{"no host is behind", w.n.RebootNAT(&NAT{})},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%v, want %q", c.err, c.want)
		}
	}
	if err := h.Forward("tcp", 80, x.at()); err != nil {
		t.Errorf("TCP has ports of its own: %v", err)
	}
}

// Who may come in by a hole that was made for somebody else gets the answer from that hole.
func TestAnAnswerGoesOutWhereTheQuestionCameIn(t *testing.T) {
	w := newWorld(t, 1)
	x := w.talk(w.host("inside", HostOptions{NAT: &NAT{Mapping: AddressPortDependent}}), "0.0.0.0:5000")
	h := w.hosts("a", "b")
	a, b := w.talk(h[0], "0.0.0.0:1"), w.talk(h[1], "0.0.0.0:1")
	w.send(x, a.at(), a, "to a")
	hole := a.lastFrom()
	if !w.send(b, hole, x, "by a's hole") || !w.send(x, b.at(), b, "answer") || b.lastFrom() != hole {
		t.Errorf("from %v, want %s", b.from, hole)
	}
	w.s.run(udpLifetime + time.Second)
	w.send(x, b.at(), b, "much later")
	if b.lastFrom() == hole {
		t.Error("it is kept for ever")
	}
	tab := &x.c.h.gate.tables[udp]
	w.send(x, a.at(), a, "to a")
	for i := range uint16(2000) {
		k := w.talk(h[1], fmt.Sprint("0.0.0.0:", 10+i))
		w.send(k, a.lastFrom(), x, "knock")
		w.s.run(time.Second)
		w.send(x, a.at(), a, "keep")
	}
	if n := len(tab.replies); n > 500 {
		t.Errorf("%d replies are expected", n)
	}
}

func TestARebootForgetsMappings(t *testing.T) {
	w := newWorld(t, 1)
	nat := &NAT{}
	x := w.talk(w.host("inside", HostOptions{NAT: nat}), "0.0.0.0:5000")
	y := w.talk(w.host("y", HostOptions{}), "0.0.0.0:1")
	w.send(x, y.at(), y, "1")
	if err := w.n.RebootNAT(nat); err != nil {
		t.Fatal(err)
	}
	if w.send(y, y.lastFrom(), x, "answer") {
		t.Error("it remembers")
	}
}

func TestIPv6IsFilteredAndNotTranslated(t *testing.T) {
	w := newWorld(t, 1)
	a6, b6 := netip.MustParseAddr("2001:db8::a"), netip.MustParseAddr("2001:db8::b")
	x := w.talk(w.host("inside", HostOptions{
		Addrs: []netip.Addr{netip.MustParseAddr("192.168.1.2"), a6}, NAT: &NAT{Filtering: AddressDependent},
	}), "[::]:5000")
	h := w.host("y", HostOptions{Addrs: []netip.Addr{b6, netip.MustParseAddr("5.5.5.5")}})
	y := w.talk(h, "[::]:1")
	home := netip.AddrPortFrom(a6, 5000)
	if w.send(y, home, x, "unasked") {
		t.Error("unasked")
	}
	if !w.send(x, netip.AddrPortFrom(b6, 1), y, "hello") || y.lastFrom() != home {
		t.Errorf("from %v", y.from)
	}
	if !w.send(y, home, x, "asked") {
		t.Error("an answer is filtered")
	}
	if err := x.c.Send(netip.MustParseAddrPort("5.5.5.5:1"), nil); err == nil {
		t.Error("an IPv6 socket sends to IPv4")
	}
}

func TestTwoHomesMayUseTheSameAddresses(t *testing.T) {
	w := newWorld(t, 1)
	private := []netip.Addr{netip.MustParseAddr("192.168.0.2")}
	x1 := w.talk(w.host("x1", HostOptions{NAT: &NAT{}, Addrs: private}), "0.0.0.0:1")
	x2 := w.talk(w.host("x2", HostOptions{NAT: &NAT{}, Addrs: private}), "0.0.0.0:1")
	y := w.talk(w.host("y", HostOptions{}), "0.0.0.0:1")
	w.send(x1, y.at(), y, "1")
	hole1 := y.lastFrom()
	w.send(x2, y.at(), y, "2")
	if !w.send(y, hole1, x1, "for 1") || !w.send(y, y.lastFrom(), x2, "for 2") {
		t.Errorf("got %q and %q", x1.got, x2.got)
	}
}
