package webrtc

import (
	"net/netip"
	"sync"

	"github.com/troupe-p2p/troupe/addrs"
)

// halfOpen counts the inbound handshakes under way on one socket. Nobody loses a place for a newcomer;
// a network may take as many places as are left free, and no more: one that takes all it gets has half
// of them, two have a third each, and there is room for another one always.
type halfOpen struct {
	mu   sync.Mutex
	max  int
	n    int
	held map[netip.Prefix]int
}

// enter takes a place, which leave gives back; nil if there is none.
func (h *halfOpen) enter(from netip.AddrPort) (leave func()) {
	p := addrs.LimitPrefix(from.Addr())
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[p] >= h.max-h.n {
		return nil
	}
	h.n++
	h.held[p]++
	return sync.OnceFunc(func() { h.leave(p) })
}

func (h *halfOpen) leave(p netip.Prefix) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n--
	if h.held[p]--; h.held[p] == 0 {
		delete(h.held, p)
	}
}

// len is how many handshakes are under way.
func (h *halfOpen) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n
}
