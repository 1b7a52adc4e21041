package quic

import (
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/troupe-p2p/troupe/addrs"
)

var errBusy = errors.New("too many handshakes are under way")

// halfOpen counts the inbound handshakes under way on one socket. quic-go gives no handle on one that
// has not got far, so nobody can lose a place for a newcomer; instead a source may take as many places
// as are left free, and no more. One that takes all it gets has half of them, two have a third each,
// and there is room for another one always.
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

func newcomerOf(from net.Addr, proven bool) newcomer {
	s := newcomer{proven: proven}
	if udp, ok := from.(*net.UDPAddr); ok {
		s.network = addrs.LimitPrefix(udp.AddrPort().Addr())
	}
	return s
}

// wantsProof says whether a newcomer has to prove its address (Retry).
func (h *halfOpen) wantsProof(from net.Addr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n >= h.max/2 || h.held[newcomerOf(from, false)] >= h.max-h.n
}

// enter takes a place, which leave gives back.
func (h *halfOpen) enter(from net.Addr, proven bool) (leave func(), err error) {
	s := newcomerOf(from, proven)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[s] >= h.max-h.n {
		return nil, errBusy
	}
	h.n++
	h.held[s]++
	return sync.OnceFunc(func() { h.leave(s) }), nil
}

func (h *halfOpen) leave(s newcomer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n--
	if h.held[s]--; h.held[s] == 0 {
		delete(h.held, s)
	}
}

// len is how many handshakes are under way.
func (h *halfOpen) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n
}
