package websocket

import (
	"crypto/tls"
	"net"

	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
)

// listener is one bound port. Each connection has a pump of its own for its handshake.
type listener struct {
	sockets.Listener[*net.TCPConn]
	t      *Transport
	seat   *sockets.Seat
	target target
	tls    *tls.Config // nil: in the clear
}

// Listen implements conduit.Transport. Connections may be accepted before it returns. Close of the
// listener ends the handshakes that are under way.
func (t *Transport) Listen(a ma.Multiaddr, sink conduit.AcceptSink) (conduit.Listener, error) {
	l, err := t.listen(a, sink)
	if err != nil {
		return nil, err
	}
	l.Start()
	return l, nil
}

func (t *Transport) listen(a ma.Multiaddr, sink conduit.AcceptSink) (*listener, error) {
	l := &listener{t: t}
	to, err := parse(a)
	switch {
	case err != nil:
	case to.named:
		err = ErrAddress
	case to.secure:
		l.tls, err = t.cfg.serverTLS(l.notRenewed)
	}
	if err != nil {
		return nil, fail(fault.Local, "listen on", a, err)
	}
	speech := sockets.HTTP
	if to.secure {
		speech = sockets.TLS
	}
	seat, o, err := t.ports.Listen(to.network, to.address, t.cfg.KeepAlive, speech)
	if err != nil {
		return nil, fail(o, "listen on", a, err)
	}
	addr, err := endpoint(seat.Addr(), to.suffix)
	if err != nil {
		_ = seat.Close()
		return nil, fail(fault.Local, "listen on", a, err)
	}
	l.seat, l.target = seat, to
	l.Listener = sockets.Listener[*net.TCPConn]{
		Runtime: t.rt, Transport: name, At: addr, Sink: sink, Accept: seat.AcceptTCP,
		Divert: seat.Divert, Took: func(nc *net.TCPConn) { l.serve(nc) }, Free: l.free,
	}
	seat.Serve(l.Take, l.Broke)
	return l, nil
}

// notRenewed: the certificate's files have changed and there is none in them. The last one goes on,
// until it is too old, so somebody should know.
func (l *listener) notRenewed(err error) {
	l.Sink.Degraded(fail(fault.Local, "renew the certificate of", l.At, err))
}

// free is called once the listener is closed.
func (l *listener) free() error {
	err := l.seat.Close()
	l.t.slots.Close(l)
	return err
}

// endpoints of an accepted connection. The remote's end is written as a socket's: its port is none
// that could be dialled. A listener for one address spares each connection a copy of it.
func (l *listener) endpoints(nc net.Conn) (conduit.Endpoints, error) {
	local := l.At
	if !sockets.SameIP(nc.LocalAddr(), l.seat.Addr()) {
		var err error
		if local, err = endpoint(nc.LocalAddr(), l.target.suffix); err != nil {
			return conduit.Endpoints{}, err
		}
	}
	remote, err := endpoint(nc.RemoteAddr(), plainSuffix(l.target.secure))
	return conduit.Endpoints{Local: local, Remote: remote, Direction: conduit.Inbound, Transport: name}, err
}
