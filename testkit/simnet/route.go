package simnet

import "net/netip"

// proto is what has its own space of ports.
type proto uint8

const (
	tcpProto proto = iota
	udp
)

func (p proto) String() string { return [...]string{"tcp", "udp"}[p] }

// wire is a packet's way, as its sender sees it.
type wire struct {
	src, dst netip.AddrPort // behind the sender's NAT
	to       *Host          // whose link it takes. nil: it is lost on the way
	gate     *gateway       // decides at the arrival who gets it; nil: to does
}

// route finds the way of a packet, and opens the way back in the sender's NAT. It fails if nobody
// has the address.
func (n *Network) route(from *Host, pr proto, src, dst netip.AddrPort) (wire, error) {
	a := dst.Addr()
	if a.IsLoopback() || from.has(a) {
		return wire{src: src, dst: dst, to: from}, nil
	}
	g := from.gate
	if g != nil {
		if h := g.inside[a]; h != nil {
			return wire{src: src, dst: dst, to: h}, nil
		}
	}
	w := wire{src: src, dst: dst}
	if x := n.externals[a]; x != nil {
		w.to, w.gate = x.guess(pr, dst), x
	} else if h := n.outside[a]; h != nil {
		w.to, w.gate = h, h.gate
	} else {
		return w, ErrNoHost
	}
	if g != nil {
		if w.gate == g && !g.cfg.Hairpin {
			w.to = nil
			return w, nil
		}
		out, ok := g.outward(pr, src, dst)
		if !ok {
			w.to = nil
			return w, nil
		}
		w.src = out
	}
	return w, nil
}

// guess is the host whose link a packet to the gateway takes.
func (g *gateway) guess(pr proto, dst netip.AddrPort) *Host {
	if m := g.tables[pr].byOut[dst]; m != nil {
		if h := g.inside[m.in.Addr()]; h != nil {
			return h
		}
	}
	return g.hosts[0]
}

// arrive is the end of the way: the host and its endpoint. It fails if the packet is lost: to a
// partition, a dark host or a filter.
func (n *Network) arrive(from *Host, pr proto, w wire) (*Host, netip.AddrPort, bool) {
	to, dst := w.to, w.dst
	if to == nil {
		return nil, dst, false
	}
	if w.gate != nil {
		in, ok := w.gate.inward(pr, w.src, w.dst)
		if !ok {
			return nil, dst, false
		}
		to, dst = w.gate.inside[in.Addr()], in
	}
	if to == nil || n.path(from, to).blocked() {
		return nil, dst, false
	}
	return to, dst, true
}
