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
	transporttest.Settle(t, "handshakes under way", 0, s.halfOpen.len)
	if len(s.halfOpen.held) > 0 {
		t.Errorf("it remembers %d networks", len(s.halfOpen.held))
	}
}

// Networks that take all they get leave room for one that comes later.
func TestHandshakesOfOneNetworkLeaveRoomForOthers(t *testing.T) {
	for hogs, want := range map[int]int{1: 128, 2: 85, 3: 64, 15: 16} {
		h := halfOpen{max: 256, held: map[newcomer]int{}}
		for range 100 * h.max {
			for n := range hogs {
				_, _ = h.enter(from(n), true)
			}
		}
		if free := h.max - h.n; free < want-hogs || free > want+hogs {
			t.Errorf("%d networks leave %d places, want about %d", hogs, free, want)
		}
		if _, err := h.enter(from(hogs), true); err != nil {
			t.Errorf("after %d networks the next is refused: %v", hogs, err)
		}
	}
}

// Many small networks that are near to each other are a large one.
func TestHandshakesOfNearNetworksCountTogether(t *testing.T) {
	for name, near := range map[string]func(n int) net.IP{
		"an IPv4 /24": func(n int) net.IP { return net.IPv4(192, 0, 2, byte(n)) },
		"an IPv6 /48": func(n int) net.IP { return net.IP{0: 0x20, 1: 1, 6: byte(n), 15: 1} },
		"an IPv6 /32": func(n int) net.IP { return net.IP{0: 0x20, 1: 1, 4: byte(n), 15: 1} },
	} {
		h := halfOpen{max: 256, held: map[newcomer]int{}}
		for n := range 256 {
			for range 4 {
				_, _ = h.enter(&net.UDPAddr{IP: near(n)}, true)
			}
		}
		if h.n != h.max/2 {
			t.Errorf("%s took %d places", name, h.n)
		}
		if _, err := h.enter(from(1), true); err != nil {
			t.Errorf("%s shuts others out: %v", name, err)
		}
	}
}

// Who makes up the addresses of a network takes nothing from those who prove that they are there.
func TestMadeUpAddressesShutNobodyOut(t *testing.T) {
	h := halfOpen{max: 256, held: map[newcomer]int{}}
	for range 100 * h.max {
		if !h.wantsProof(from(1)) {
			_, _ = h.enter(from(1), false)
		}
	}
	if !h.wantsProof(from(1)) || h.n != h.max/2 {
		t.Fatalf("%d places went to addresses that nobody has proven", h.n)
	}
	if _, err := h.enter(from(1), true); err != nil {
		t.Errorf("who proved the same address is refused: %v", err)
	}
}
