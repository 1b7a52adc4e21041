package simnet

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"github.com/troupe-p2p/troupe/internal/buf"
)

const (
	// maxDatagram is the most that one UDP datagram carries over IPv4.
	maxDatagram = 65507
	// maxFlying is how many datagrams of one conn may be under way. It stops a sender that is
	// faster than its link: more are lost, as a full device loses them.
	maxFlying = 1024
)

var errTooLarge = fmt.Errorf("simnet: %w", syscall.EMSGSIZE)

// PacketConn sends and receives datagrams. They may be lost, doubled, and overtake each other.
type PacketConn struct {
	h      *Host
	at     netip.AddrPort
	recv   func(from netip.AddrPort, p []byte)
	flying int
	closed bool
}

// ListenPacket binds a UDP socket; 0.0.0.0 and port 0 work as everywhere. recv is called in a turn
// of its own for each datagram. p is borrowed until it returns. A panic in it is the Scheduler's.
func (h *Host) ListenPacket(at netip.AddrPort, recv func(from netip.AddrPort, p []byte)) (*PacketConn, error) {
	switch {
	case recv == nil:
		return nil, errors.New("simnet: a packet conn without a receiver")
	case h.down:
		return nil, fmt.Errorf("simnet: listen on udp %s: %w", at, ErrDown)
	case !at.IsValid():
		return nil, fmt.Errorf("simnet: listen on udp %s: no address", at)
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	at, err := h.bindable(udp, at, func(at netip.AddrPort) bool {
		return slices.ContainsFunc(h.conns, func(c *PacketConn) bool { return clash(c.at, at) })
	})
	if err != nil {
		return nil, fmt.Errorf("simnet: listen on udp %s of %s: %w", at, h.name, err)
	}
	c := &PacketConn{h: h, at: at, recv: recv}
	h.conns = append(h.conns, c)
	h.take(udp, at.Port())
	return c, nil
}

// Addr is the address as bound, with the real port.
func (c *PacketConn) Addr() netip.AddrPort { return c.at }

// Send sends one datagram. That it was sent says nothing about its arrival.
func (c *PacketConn) Send(to netip.AddrPort, p []byte) error {
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	switch a := to.Addr(); {
	case c.closed:
		return ErrClosed
	case len(p) > maxDatagram:
		return errTooLarge
	case !a.IsValid() || a.IsUnspecified() || to.Port() == 0:
		return fmt.Errorf("simnet: send to udp %s: no such endpoint", to)
	}
	src := c.at.Addr()
	if src.IsUnspecified() {
		switch a := to.Addr(); {
		case a.Is4() != src.Is4():
		case a.IsLoopback() || c.h.has(a):
			src = a
		default:
			src, _ = c.h.addrOf(a.Is4())
		}
	}
	if !src.IsValid() || src.IsUnspecified() || src.Is4() != to.Addr().Is4() {
		return fmt.Errorf("simnet: send to udp %s: %w", to, errNoRoute)
	}
	if c.flying >= maxFlying {
		return nil
	}
	b := buf.Copy(p)
	err := c.h.n.launch(&packet{kind: Datagram, from: c.h, b: b, conn: c}, udp, netip.AddrPortFrom(src, c.at.Port()), to)
	b.Release()
	if err != nil {
		return fmt.Errorf("simnet: send to udp %s: %w", to, err)
	}
	return nil
}

// Close frees the address. What is under way still arrives.
func (c *PacketConn) Close() error {
	if !c.closed {
		c.closed = true
		c.h.conns = slices.DeleteFunc(c.h.conns, func(o *PacketConn) bool { return o == c })
		c.h.release(udp, c.at.Port())
	}
	return nil
}

func (n *Network) datagramCame(p *packet) {
	defer p.b.Release()
	p.conn.flying--
	to, dst, ok := n.arrive(p.from, udp, p.w)
	if !ok {
		return
	}
	var c *PacketConn
	for _, o := range to.conns {
		if clash(o.at, dst) {
			c = o
			break
		}
	}
	if c == nil {
		return
	}
	n.observe(Datagram, p.from, to, 0, 0, p.b.B)
	c.recv(p.w.src, p.b.B)
}
