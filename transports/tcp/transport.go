package tcp

import (
	"context"
	"net"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
)

const name = "tcp"

// Transport dials and listens on TCP. It holds nothing that would have to be closed.
type Transport struct {
	rt    *actors.Runtime
	cfg   Config
	rests *sockets.Rests
	ports *sockets.Ports // nil before Join
}

var _ conduit.Member = (*Transport)(nil)

// New makes the transport. Its goroutines are pumps of rt.
func New(rt *actors.Runtime, cfg Config) *Transport {
	return &Transport{rt: rt, cfg: cfg.withDefaults(), rests: sockets.NewRests(rt)}
}

// Join implements conduit.Member. A node's listeners share a port with those of its WebSocket transport.
func (t *Transport) Join(n conduit.Node) error {
	t.ports = sockets.PortsOf(n, t.rt)
	return nil
}

// RawOnly implements conduit.RawOnly.
func (t *Transport) RawOnly() bool { return true }

// Name implements conduit.Transport.
func (t *Transport) Name() string { return name }

// CanDial implements conduit.Transport.
func (t *Transport) CanDial(a ma.Multiaddr) bool { return isTCP(a) }

// CanListen implements conduit.Transport.
func (t *Transport) CanListen(a ma.Multiaddr) bool { return isTCP(a) }

// Dial implements conduit.Transport. The remote's identity is not known to TCP: expect is for
// those who secure the connection.
func (t *Transport) Dial(ctx context.Context, a ma.Multiaddr, _ identity.ID, done func(conduit.Conduit, error)) {
	sockets.DialErrand(t.rt, "tcp dial "+a.String(), func() (conduit.Conduit, error) {
		c, err := t.dial(ctx, a)
		return conduit.Conduit{Raw: c}, err
	}, done)
}

func (t *Transport) dial(ctx context.Context, a ma.Multiaddr) (conduit.Raw, error) {
	network, address, err := dialArgs(a)
	if err != nil {
		return nil, fail(fault.Local, "dial", a, err)
	}
	nc, o, err := sockets.Connect(ctx, t.cfg.DialTimeout, func(ctx context.Context) (net.Conn, error) {
		return sockets.DialTCP(ctx, network, address, t.cfg.KeepAlive)
	})
	if err != nil {
		return nil, fail(o, "dial", a, err)
	}
	c, err := t.conduit(nc.(*net.TCPConn), nil, conduit.Outbound)
	if err != nil {
		return nil, fail(fault.Local, "dial", a, err)
	}
	return c, nil
}

// conduit makes a conduit of nc, or closes it. local is nc's own address if that is known.
// Nagle's delay is off: package net turns it off for every TCP connection.
func (t *Transport) conduit(nc *net.TCPConn, local ma.Multiaddr, dir conduit.Direction) (*sockets.Conn, error) {
	remote, err := sockets.FromNetAddr(nc.RemoteAddr())
	if err == nil && local == nil {
		local, err = sockets.FromNetAddr(nc.LocalAddr())
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return sockets.NewConn(nc, sockets.ConnConfig{
		Runtime: t.rt, ReadBuffer: t.cfg.ReadBuffer, Rests: t.rests, Portable: t.cfg.portable,
		Ends: conduit.Endpoints{Local: local, Remote: remote, Direction: dir, Transport: name},
	})
}
