package simnet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestObserversSeeEveryDelivery(t *testing.T) {
	w := newWorld(t, 1)
	w.link(Link{Latency: 10 * time.Millisecond})
	h := w.hosts("a", "b")
	var seen []string
	see := func(d Delivery) {
		s := fmt.Sprintf("%v %s %s>%s #%d @%d %d", d.At.Sub(epoch), d.Kind, d.From, d.To, d.Stream, d.Offset, d.Len)
		if d.Len > 0 {
			s += fmt.Sprintf(" %x", d.Hash)
		}
		seen = append(seen, s)
	}
	w.n.Observe(see)
	acc := w.listen(h[1], "/ip4/0.0.0.0/tcp/1")
	d := w.dial(h[0].Transport(nil, TransportConfig{}), addrOf(h[1], 1))
	w.s.run(time.Second)
	d.write(t, "hello")
	w.s.run(time.Second)
	d.write(t, "again")
	_ = acc.ends[0].c.Close()
	w.s.run(time.Second)
	k := w.talk(h[0], "0.0.0.0:5")
	_ = k.c.Send(w.talk(h[1], "0.0.0.0:5").at(), []byte("dg"))
	w.over(d.end)
	want := []string{
		"10ms syn a>b #1 @0 0",
		"20ms synack b>a #1 @0 0",
		"30ms ack a>b #1 @0 0",
		fmt.Sprintf("1.01s data a>b #1 @0 5 %x", Hash([]byte("hello"))),
		"2.01s fin b>a #1 @0 0",
		"2.02s reset b>a #1 @0 0", // of "again", which nobody was there to read
		fmt.Sprintf("3.01s datagram a>b #0 @0 2 %x", Hash([]byte("dg"))),
	}
	if !slices.Equal(seen, want) {
		t.Errorf("seen:\n%s\nwant:\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
	}
}

func TestHashTellsBytesApart(t *testing.T) {
	seen := map[uint64]string{}
	add := func(p []byte) {
		h := Hash(p)
		if old, ok := seen[h]; ok {
			t.Fatalf("%x and %s have the same hash", p, old)
		}
		seen[h] = fmt.Sprintf("%x", p)
	}
	for n := range 100 { // zeros of all lengths, and each bit flipped
		p := make([]byte, n)
		add(p)
		for i := range 8 * n {
			p[i/8] ^= 1 << (i % 8)
			add(p)
			p[i/8] ^= 1 << (i % 8)
		}
	}
	if h := Hash([]byte("the same everywhere")); h != 0xde0a017d9fdb4d7e {
		t.Errorf("%#x: traces of other machines no longer compare", h)
	}
}

func BenchmarkHash(b *testing.B) {
	p := pattern(16 << 10)
	b.SetBytes(int64(len(p)))
	for range b.N {
		Hash(p)
	}
}

func TestTheStateSaysWhoWaitsForWhat(t *testing.T) {
	w := newWorld(t, 1)
	h := []*Host{w.host("b", HostOptions{}), w.host("a", HostOptions{NAT: &NAT{PortPreserving: true}}), w.host("c", HostOptions{NAT: &NAT{Firewall: true}})}
	b, a := w.connect(h[1], h[0])
	b.deaf, a.deaf = true, true
	b.send(pattern(2 * DefaultWindow))
	w.s.run(time.Second)
	w.n.Partition(h[:1], h[1:2])
	a.write(t, "held")
	w.fault(Fault{Name: "f", K: 3, Match: func(Segment) bool { return true }, Do: Drop})
	w.listen(h[0], "/ip4/0.0.0.0/tcp/1")
	k := w.talk(h[2], "0.0.0.0:2")
	_ = k.c.Send(k.at(), nil)
	h[2].Vanish()
	w.s.run(time.Second)
	want := `host a: up 10.0.0.2 behind NAT 0
  stream 1 outbound 10.0.0.2:32768 to 1.0.0.1:32768, open: sent 327680, 0 under way; got 0, 0 unread; writer waits for the remote to read; drains 196608 more
host b: up 1.0.0.1
  listens on tcp 0.0.0.0:1, 0 wait to be accepted
  stream 1 inbound 1.0.0.1:32768 to 1.0.0.2:32768, open: sent 4, 4 under way; got 65536, 262144 unread; sends again since 1s; reader has no credit
host c: dark 1.0.0.3 behind NAT 1
cut: a to b
cut: b to a
NAT 0: 1.0.0.2, mapping endpoint-independent, filtering endpoint-independent
  tcp 10.0.0.2:32768 is 1.0.0.2:32768
NAT 1: firewall, filtering endpoint-independent
fault "f": drop number 3, 1 matched, 0 hit
`
	if got := w.n.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	w.n.Heal()
	w.over(a, b)
}
