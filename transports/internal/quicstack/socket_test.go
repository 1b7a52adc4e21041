package quicstack

import (
	"context"
	"net"
	"testing"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/internal/halfopen"

	quicgo "github.com/quic-go/quic-go"
)

// from is an address of the n-th network.
func from(n int) net.Addr {
	return &net.UDPAddr{IP: net.IPv4(192, byte(n>>8), byte(n), 1), Port: 1}
}

func TestHandshakesUnderWayAreBounded(t *testing.T) {
	st := New(transporttest.Runtime(t), Config{Key: transporttest.Key(1), HalfOpen: halfopen.Default})
	s, err := st.socketToDial("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.leave(s) }()
	ctx, cancel := context.WithCancel(t.Context())
	taken := 0
	for n := range 100 * halfopen.Default {
		if s.stack.VerifySourceAddress(from(n)) != (taken >= halfopen.Default/2) {
			t.Fatalf("Retry with %d handshakes under way", taken)
		}
		if _, err := s.stack.ConnContext(ctx, &quicgo.ClientInfo{RemoteAddr: from(n)}); err == nil {
			taken++
		}
	}
	if taken != halfopen.Default {
		t.Errorf("%d handshakes were taken, at most %d may be", taken, halfopen.Default)
	}
	cancel()
	transporttest.Settle(t, "handshakes under way", 0, s.halfOpen.Len)
	if n := s.halfOpen.Networks(); n > 0 {
		t.Errorf("it remembers %d networks", n)
	}
}

// A key of resets is one address's, or a node's second socket would tell how to reset what runs over the
// first.
func TestEachAddressHasAResetKeyOfItsOwn(t *testing.T) {
	key := func(n byte, port int) quicgo.StatelessResetKey {
		k, err := resetKey(transporttest.Key(n), &net.UDPAddr{IP: net.IPv4zero, Port: port})
		if err != nil {
			t.Fatal(err)
		}
		return *k
	}
	if before, after := key(1, 1), key(1, 1); before != after {
		t.Error("a node that is back has another key")
	}
	if key(1, 1) == key(1, 2) || key(1, 1) == key(2, 1) {
		t.Error("two addresses or two nodes have one key")
	}
}

// All connections together do not grow without bound, and what one has grown by is there for others
// when it ends.
func TestGrowthIsSharedByAllConnections(t *testing.T) {
	const most, step = 128 << 20, 256 << 10
	g := growth{most: most}
	conns := make([]quicgo.Conn, 100)
	var sum uint64
	for range 100 {
		for i := range conns {
			if g.widen(&conns[i], step) {
				sum += step
			}
		}
	}
	if sum == 0 || sum > most || sum != g.sum {
		t.Fatalf("windows grew by %d, at most %d may be", sum, most)
	}
	for i := range conns {
		g.ended(&conns[i])
		g.ended(&conns[i])
	}
	if g.sum != 0 || len(g.of) > 0 {
		t.Errorf("%d bytes are taken by nobody", g.sum)
	}
}
