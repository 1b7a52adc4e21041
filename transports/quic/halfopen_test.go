package quic

import (
	"context"
	"net"
	"testing"

	"github.com/troupe-p2p/troupe/testkit/transporttest"

	quicgo "github.com/quic-go/quic-go"
)

// Where many handshakes are under way a remote has to show first that it is where it says.
func TestAnAddressIsProvenWhenHandshakesPileUp(t *testing.T) {
	for _, halfOpen := range []int{1, 100} {
		_, b := pair(t, func(c *Config) { c.HalfOpen = halfOpen })
		if a := b.qc.Context().Value(arrivalKey{}).(*arrival); a.verified != (halfOpen == 1) {
			t.Errorf("with room for %d handshakes: verified is %v", halfOpen, a.verified)
		}
	}
}

// from is an address of the n-th network.
func from(n int) net.Addr {
	return &net.UDPAddr{IP: net.IPv4(192, byte(n>>8), byte(n), 1), Port: 1}
}

func TestHandshakesUnderWayAreBounded(t *testing.T) {
	tr := New(transporttest.Runtime(t), Config{Key: transporttest.Key(1)})
	l, err := tr.Listen(anyPort, &transporttest.Acceptor{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	s := l.(*listener).s
	ctx, cancel := context.WithCancel(t.Context())
	taken := 0
	for n := range 100 * DefaultHalfOpen {
		if s.stack.VerifySourceAddress(from(n)) != (taken >= DefaultHalfOpen/2) {
			t.Fatalf("Retry with %d handshakes under way", taken)
		}
		if _, err := s.stack.ConnContext(ctx, &quicgo.ClientInfo{RemoteAddr: from(n)}); err == nil {
			taken++
		}
	}
	if taken != DefaultHalfOpen {
		t.Errorf("%d handshakes were taken, at most %d may be", taken, DefaultHalfOpen)
	}
	cancel()
	transporttest.Settle(t, "handshakes under way", 0, s.halfOpen.Len)
	if n := s.halfOpen.Networks(); n > 0 {
		t.Errorf("it remembers %d networks", n)
	}
}
