package simnet

import (
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDatagramsArriveWhole(t *testing.T) {
	w := newWorld(t, 1)
	w.link(Link{Latency: 10 * time.Millisecond})
	h := w.hosts("a", "b")
	a, b := w.talk(h[0], "0.0.0.0:0"), w.talk(h[1], "0.0.0.0:53")
	if p := a.c.Addr().Port(); p < firstEphemeral {
		t.Errorf("port %d", p)
	}
	big := string(pattern(maxDatagram))
	for _, text := range []string{"", "x", big} {
		if err := a.c.Send(b.at(), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	w.s.run(10 * time.Millisecond)
	if len(b.got) != 3 || len(b.got[0])+len(b.got[1])+len(b.got[2]) != maxDatagram+1 {
		t.Fatalf("%d came", len(b.got))
	}
	if b.lastFrom() != a.at() {
		t.Errorf("from %s, want %s", b.lastFrom(), a.at())
	}
	local := w.talk(h[0], "127.0.0.1:7")
	if !w.send(a, netip.MustParseAddrPort("127.0.0.1:7"), local, "to myself") {
		t.Error("loopback does not work")
	}
}

func TestDatagramsAreLostDoubledAndOvertaken(t *testing.T) {
	w := newWorld(t, 1)
	w.link(Link{Latency: 10 * time.Millisecond, Jitter: 50 * time.Millisecond, Loss: 0.3})
	h := w.hosts("a", "b")
	a, b := w.talk(h[0], "0.0.0.0:1"), w.talk(h[1], "0.0.0.0:1")
	double := w.fault(Fault{Name: "double", Match: func(s Segment) bool { return s.Kind == Datagram }, Do: Duplicate})
	const n = 1000
	for i := range n {
		if err := a.c.Send(b.at(), []byte{byte(i >> 8), byte(i)}); err != nil {
			t.Fatal(err)
		}
		w.s.run(time.Millisecond)
		double.Remove()
	}
	w.s.run(time.Second)
	seen, last, overtaken := map[string]int{}, "", 0
	for _, p := range b.got {
		seen[p]++
		if p < last {
			overtaken++
		}
		last = p
	}
	if lost := n - len(seen); lost < n/5 || lost > n*2/5 {
		t.Errorf("%d of %d lost", lost, n)
	}
	if overtaken < n/10 {
		t.Errorf("%d overtaken", overtaken)
	}
	if double.Hits() != 1 || len(b.got) > len(seen)+1 {
		t.Errorf("%d hits, %d came of %d", double.Hits(), len(b.got), len(seen))
	}
}

func TestADuplicateComesTwice(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("a", "b")
	a, b := w.talk(h[0], "0.0.0.0:1"), w.talk(h[1], "0.0.0.0:1")
	r := w.fault(Fault{Name: "double", Match: func(Segment) bool { return true }, K: 2, Do: Duplicate})
	for _, p := range []string{"1", "2", "3"} {
		w.send(a, b.at(), b, p)
	}
	if got := strings.Join(b.got, ""); got != "1223" || r.Matched() != 3 {
		t.Errorf("got %s, %d matched", got, r.Matched())
	}
	x, y := w.connect(h[0], h[1])
	if r.Matched() != 3 {
		t.Error("the rule looks at streams")
	}
	w.over(x, y)
}

func TestASlowLinkDropsDatagramsRatherThanQueueThemForEver(t *testing.T) {
	w := newWorld(t, 1)
	w.link(Link{Bandwidth: 10_000})
	h := w.hosts("a", "b")
	a, b := w.talk(h[0], "0.0.0.0:1"), w.talk(h[1], "0.0.0.0:1")
	for range 500 {
		if err := a.c.Send(b.at(), make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	w.s.run(time.Minute)
	if n := len(b.got); n < 20 || n > 22 { // 2 s worth of bytes
		t.Errorf("%d came", n)
	}
	w.link(Link{Latency: time.Second})
	b.got = nil
	for range 2 * maxFlying {
		_ = a.c.Send(b.at(), nil)
	}
	w.s.run(time.Minute)
	if n := len(b.got); n != maxFlying {
		t.Errorf("%d came of those under way, want %d", n, maxFlying)
	}
	b.got = nil
	if !w.sendSlow(a, b) {
		t.Error("sending does not go on")
	}
}

func (w *world) sendSlow(a, b *talker) bool {
	_ = a.c.Send(b.at(), []byte("x"))
	w.s.run(time.Minute)
	return len(b.got) == 1
}

func TestDatagramsInPartitionsAndCrashesAreLost(t *testing.T) {
	w := newWorld(t, 1)
	w.link(Link{Latency: 10 * time.Millisecond})
	h := w.hosts("a", "b")
	a, b := w.talk(h[0], "0.0.0.0:1"), w.talk(h[1], "0.0.0.0:1")
	_ = a.c.Send(b.at(), []byte("flying"))
	w.n.Partition(h[:1], h[1:])
	_ = a.c.Send(b.at(), []byte("cut"))
	w.s.run(time.Second)
	w.n.Heal()
	w.s.run(time.Second)
	_ = a.c.Send(b.at(), []byte("to the dead"))
	h[1].Crash()
	w.s.run(time.Second)
	if len(b.got) > 0 {
		t.Errorf("got %q", b.got)
	}
	if err := b.c.Send(a.at(), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("a crashed host sends: %v", err)
	}
	if _, err := h[1].ListenPacket(b.c.Addr(), func(netip.AddrPort, []byte) {}); !errors.Is(err, ErrDown) {
		t.Errorf("a crashed host listens: %v", err)
	}
	h[1].Restore()
	b2 := w.talk(h[1], "0.0.0.0:1")
	_ = a.c.Send(b2.at(), []byte("again"))
	w.s.run(time.Second)
	if len(b2.got) != 1 || len(b.got) != 0 {
		t.Errorf("got %q and %q", b2.got, b.got)
	}
}

func TestPacketConnsThatCannotBe(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("a", "b")
	a := w.talk(h[0], "0.0.0.0:1")
	recv := func(netip.AddrPort, []byte) {}
	for name, c := range map[string]struct {
		at   netip.AddrPort
		want error
	}{
		"taken":              {netip.MustParseAddrPort("0.0.0.0:1"), syscall.EADDRINUSE},
		"taken by 0.0.0.0":   {netip.AddrPortFrom(h[0].addrs[0], 1), syscall.EADDRINUSE},
		"somebody's address": {netip.AddrPortFrom(h[1].addrs[0], 1), syscall.EADDRNOTAVAIL},
	} {
		if _, err := h[0].ListenPacket(c.at, recv); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h[0].ListenPacket(netip.AddrPort{}, recv); err == nil {
		t.Error("no address at all")
	}
	if _, err := h[0].ListenPacket(netip.MustParseAddrPort("0.0.0.0:2"), nil); err == nil {
		t.Error("no receiver")
	}
	if _, err := h[0].ListenPacket(netip.MustParseAddrPort("[::]:1"), recv); err != nil {
		t.Errorf("IPv6 has ports of its own: %v", err)
	}
	for name, err := range map[string]error{
		"too large":   a.c.Send(netip.AddrPortFrom(h[1].addrs[0], 1), make([]byte, maxDatagram+1)),
		"nowhere":     a.c.Send(netip.MustParseAddrPort("9.9.9.9:1"), nil),
		"no port":     a.c.Send(netip.AddrPortFrom(h[1].addrs[0], 0), nil),
		"no address":  a.c.Send(netip.AddrPort{}, nil),
		"unspecified": a.c.Send(netip.MustParseAddrPort("0.0.0.0:1"), nil),
		"IPv6":        a.c.Send(netip.MustParseAddrPort("[2001:db8::1]:1"), nil),
	} {
		if err == nil || !strings.Contains(err.Error(), "simnet") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := a.c.Send(netip.MustParseAddrPort("9.9.9.9:1"), nil); !errors.Is(err, syscall.EHOSTUNREACH) || !errors.Is(err, ErrNoHost) {
		t.Errorf("nowhere: %v", err)
	}
	_, _ = a.c.Close(), a.c.Close()
	if err := a.c.Send(netip.AddrPortFrom(h[1].addrs[0], 1), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	w.talk(h[0], "0.0.0.0:1")
}
