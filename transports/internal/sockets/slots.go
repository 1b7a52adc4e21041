package sockets

import (
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/troupe-p2p/troupe/addrs"
)

// Slots bounds the accepted connections that have not said enough yet to be handed over. A full house is
// no reason to keep an honest remote out: the network that holds most of the slots loses its oldest one.
type Slots struct {
	Max int

	mu sync.Mutex
	in []*Slot // the oldest first
}

// Slot is the place of one connection.
type Slot struct {
	nc      net.Conn
	network netip.Prefix
	lost    bool // to another one, or with its listener
	of      any
}

// Enter never refuses. Who loses its slot is closed. of is whose Close ends it.
func (s *Slots) Enter(of any, nc net.Conn) *Slot {
	n := &Slot{nc: nc, network: networkOf(nc.RemoteAddr()), of: of}
	s.mu.Lock()
	var out *Slot
	if s.in = append(s.in, n); len(s.in) > s.Max {
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
func (s *Slots) loser() int {
	held := map[netip.Prefix]int{}
	most := 0
	for _, x := range s.in {
		held[x.network]++
		most = max(most, held[x.network])
	}
	return slices.IndexFunc(s.in, func(x *Slot) bool { return held[x.network] == most })
}

// Leave says whether the slot was still held.
func (s *Slots) Leave(n *Slot) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.in, n); i >= 0 {
		s.in = slices.Delete(s.in, i, i+1)
	}
	return !n.lost
}

// Close closes the connections that entered for of.
func (s *Slots) Close(of any) {
	s.mu.Lock()
	var out []net.Conn
	s.in = slices.DeleteFunc(s.in, func(x *Slot) bool {
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

// Len is how many slots are held.
func (s *Slots) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.in)
}

// networkOf is who counts as one remote.
func networkOf(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	return addrs.LimitPrefix(tcp.AddrPort().Addr())
}
