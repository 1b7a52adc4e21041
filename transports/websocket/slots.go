package websocket

import (
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/troupe-p2p/troupe/addrs"
)

// slots bounds the handshakes that are under way. A full house is no reason to keep an honest remote
// out: the network that holds most of the slots loses its oldest one.
type slots struct {
	mu  sync.Mutex
	max int
	in  []*slot // the oldest first
}

type slot struct {
	nc      net.Conn
	network netip.Prefix
	lost    bool // to another one, or with the listener
	of      *listener
}

// enter never refuses.
func (s *slots) enter(of *listener, nc net.Conn) *slot {
	n := &slot{nc: nc, network: networkOf(nc.RemoteAddr()), of: of}
	s.mu.Lock()
	var out *slot
	if s.in = append(s.in, n); len(s.in) > s.max {
		i := s.loser()
		out = s.in[i]
		out.lost = true
		s.in = slices.Delete(s.in, i, i+1)
	}
	s.mu.Unlock()
	if out != nil {
		_ = out.nc.Close()
	}
	return n
}

// loser is called with mu held. There are few slots and this is asked for in a flood only.
func (s *slots) loser() int {
	held := map[netip.Prefix]int{}
	most := 0
	for _, x := range s.in {
		held[x.network]++
		most = max(most, held[x.network])
	}
	return slices.IndexFunc(s.in, func(x *slot) bool { return held[x.network] == most })
}

// leave says whether the slot was still held.
func (s *slots) leave(n *slot) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.in, n); i >= 0 {
		s.in = slices.Delete(s.in, i, i+1)
	}
	return !n.lost
}

// close ends the handshakes of a listener.
func (s *slots) close(of *listener) {
	s.mu.Lock()
	var out []net.Conn
	s.in = slices.DeleteFunc(s.in, func(x *slot) bool {
		if x.of != of {
			return false
		}
		x.lost = true
		out = append(out, x.nc)
		return true
	})
	s.mu.Unlock()
	for _, nc := range out {
		_ = nc.Close()
	}
}

// networkOf is who counts as one remote.
func networkOf(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	return addrs.LimitPrefix(tcp.AddrPort().Addr())
}
