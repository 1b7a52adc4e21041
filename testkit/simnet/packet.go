package simnet

import (
	"net/netip"

	"github.com/troupe-p2p/troupe/internal/buf"
)

// packet travels on its own: what opens streams, resets by who knows no stream, and datagrams.
// Nobody sends it again but who has sent it.
type packet struct {
	kind Kind
	from *Host
	w    wire
	num  uint64
	of   *stream // that it is from, or (Reset) about
	ack  *stream // SynAck: whose Syn it answers
	b    *buf.Buf
	conn *PacketConn // that has sent it
	n    *Network
}

// launch sends p, or loses it. It fails if nobody has the address.
func (n *Network) launch(p *packet, pr proto, src, dst netip.AddrPort) error {
	w, err := n.route(p.from, pr, src, dst)
	if err != nil {
		return err
	}
	p.n, p.w = n, w
	v := n.judge(p.kind, p.from, w, p.num, 0, p.bytes())
	if v.reset {
		if s := p.of; s != nil && p.kind != Reset {
			n.soon(s.reset)
		}
		return nil
	}
	if w.to == nil || v.drop {
		return nil
	}
	path := n.path(p.from, w.to)
	if p.kind == Datagram && path.full() {
		return nil
	}
	_, due := path.send(len(p.bytes()))
	if path.lost() {
		return nil
	}
	due = due.Add(v.delay)
	p.fly(func() { n.s.At(due, p.arrive) })
	if v.double {
		twin := *p
		due = due.Add(n.upTo(path.link().Jitter))
		twin.fly(func() { n.s.At(due, twin.arrive) })
	}
	return nil
}

func (p *packet) bytes() []byte {
	if p.b == nil {
		return nil
	}
	return p.b.B
}

// fly keeps what the packet carries until it has arrived.
func (p *packet) fly(start func()) {
	if p.b != nil {
		p.b.Retain()
		p.conn.flying++
	}
	start()
}

func (p *packet) arrive() {
	n := p.n
	if p.kind == Datagram {
		n.datagramCame(p)
		return
	}
	to, dst, ok := n.arrive(p.from, tcpProto, p.w)
	if !ok {
		return
	}
	switch p.kind {
	case Syn:
		n.synCame(to, dst, p)
	case SynAck:
		n.grantCame(to, dst, p)
	case Reset:
		if s := to.streams[pair{dst, p.w.src}]; s != nil && s == p.of {
			n.observe(Reset, p.from, to, p.num, 0, nil)
			s.reset()
		}
	}
}

// sendReset answers a packet of s that came to where nobody knows it.
func (n *Network) sendReset(from *Host, src, dst netip.AddrPort, s *stream) {
	_ = n.launch(&packet{kind: Reset, from: from, num: s.num, of: s}, tcpProto, src, dst)
}
