package quic

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
)

var errBusy = errors.New("too many handshakes are under way")

// halfOpen counts the inbound handshakes under way on one socket. quic-go gives no handle on one that
// has not got far, so nobody can lose a place for a newcomer; instead a network may take as many places
// as are left free, and no more. One that takes all it gets has half of them, two have a third each.
// So it takes many networks to fill all places, and those that are near to each other count together, too.
//
// Addresses that are not proven count apart from those that are: whoever makes them up shuts out
// nobody who lives there and can prove it. From half of the places on everybody has to.
type halfOpen struct {
	mu   sync.Mutex
	max  int
	n    int
	held map[newcomer]int
}

// newcomer is who counts together.
type newcomer struct {
	network netip.Prefix
	proven  bool
}

// The networks that an address is in: what a host has, what is easily had, what a provider has.
var bits4, bits6 = []int{32, 24}, []int{56, 48, 32}

func newcomersOf(from net.Addr, proven bool) []newcomer {
	udp, ok := from.(*net.UDPAddr)
	if !ok {
		return []newcomer{{proven: proven}}
	}
	ip, bits := udp.AddrPort().Addr().Unmap().WithZone(""), bits6
	if ip.Is4() {
		bits = bits4
	}
	all := make([]newcomer, len(bits))
	for i, b := range bits {
		network, _ := ip.Prefix(b)
		all[i] = newcomer{network, proven}
	}
	return all
}

// wantsProof says whether a newcomer has to prove its address (Retry).
func (h *halfOpen) wantsProof(from net.Addr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n >= h.max/2 || h.full(newcomersOf(from, false))
}

// full is called with mu held.
func (h *halfOpen) full(all []newcomer) bool {
	return slices.ContainsFunc(all, func(s newcomer) bool { return h.held[s] >= h.max-h.n })
}

// enter takes a place, which leave gives back.
func (h *halfOpen) enter(from net.Addr, proven bool) (leave func(), err error) {
	all := newcomersOf(from, proven)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.full(all) {
		return nil, errBusy
	}
	h.n++
	for _, s := range all {
		h.held[s]++
	}
	return sync.OnceFunc(func() { h.leave(all) }), nil
}

func (h *halfOpen) leave(all []newcomer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n--
	for _, s := range all {
		if h.held[s]--; h.held[s] == 0 {
			delete(h.held, s)
		}
	}
}

// len is how many handshakes are under way.
func (h *halfOpen) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n
}
