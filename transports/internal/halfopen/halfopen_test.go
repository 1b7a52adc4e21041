package halfopen

import (
	"net"
	"testing"
)

// from is an address of the n-th network.
func from(n int) net.Addr {
	return &net.UDPAddr{IP: net.IPv4(192, byte(n>>8), byte(n), 1), Port: 1}
}

// Networks that take all they get leave room for one that comes later.
func TestHandshakesOfOneNetworkLeaveRoomForOthers(t *testing.T) {
	for hogs, want := range map[int]int{1: 128, 2: 85, 3: 64, 15: 16} {
		h := New(256)
		for range 100 * h.max {
			for n := range hogs {
				_, _ = h.Enter(from(n), true)
			}
		}
		if free := h.max - h.n; free < want-hogs || free > want+hogs {
			t.Errorf("%d networks leave %d places, want about %d", hogs, free, want)
		}
		if _, err := h.Enter(from(hogs), true); err != nil {
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
		h := New(256)
		for n := range 256 {
			for range 4 {
				_, _ = h.Enter(&net.UDPAddr{IP: near(n)}, true)
			}
		}
		if h.n != h.max/2 {
			t.Errorf("%s took %d places", name, h.n)
		}
		if _, err := h.Enter(from(1), true); err != nil {
			t.Errorf("%s shuts others out: %v", name, err)
		}
	}
}

// Who makes up the addresses of a network takes nothing from those who prove that they are there.
func TestMadeUpAddressesShutNobodyOut(t *testing.T) {
	h := New(256)
	for range 100 * h.max {
		if !h.WantsProof(from(1)) {
			_, _ = h.Enter(from(1), false)
		}
	}
	if !h.WantsProof(from(1)) || h.n != h.max/2 {
		t.Fatalf("%d places went to addresses that nobody has proven", h.n)
	}
	if _, err := h.Enter(from(1), true); err != nil {
		t.Errorf("who proved the same address is refused: %v", err)
	}
}
