package tcp

import (
	"net"

	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
)

// listener is one bound port. Those that wait in the kernel to be accepted when it is closed are reset.
type listener = sockets.Listener[*net.TCPConn]

// Listen implements conduit.Transport. Connections may be accepted before it returns.
func (t *Transport) Listen(a ma.Multiaddr, sink conduit.AcceptSink) (conduit.Listener, error) {
	l, err := t.listen(a, sink)
	if err != nil {
		return nil, err
	}
	l.Start()
	return l, nil
}

func (t *Transport) listen(a ma.Multiaddr, sink conduit.AcceptSink) (*listener, error) {
	network, address, err := dialArgs(a)
	if err != nil {
		return nil, fail(fault.Local, "listen on", a, err)
	}
	seat, o, err := t.ports.Listen(network, address, t.cfg.KeepAlive, sockets.Bytes)
	if err != nil {
		return nil, fail(o, "listen on", a, err)
	}
	addr, err := sockets.FromNetAddr(seat.Addr())
	if err != nil {
		_ = seat.Close()
		return nil, fail(fault.Local, "listen on", a, err)
	}
	l := &listener{
		Runtime: t.rt, Transport: name, At: addr, Sink: sink, Accept: seat.AcceptTCP,
		Divert: seat.Divert, Free: seat.Close,
	}
	l.Took = func(nc *net.TCPConn) {
		// A listener for one address spares each connection a copy of it.
		var local ma.Multiaddr
		if sockets.SameIP(nc.LocalAddr(), seat.Addr()) {
			local = addr
		}
		if c, err := t.conduit(nc, local, conduit.Inbound); err == nil { // or it is gone already
			l.Give(c)
		}
	}
	seat.Serve(l.Take, l.Broke)
	return l, nil
}
