package webrtc

import (
	"context"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/muxed"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
)

// listener accepts connections on a socket. Each handshake has a pump of its own and a deadline.
type listener struct {
	t    *Transport
	s    *socket
	hand muxed.Hand
	addr ma.Multiaddr

	ctx  context.Context // ends with the listener
	stop context.CancelFunc
}

// Listen implements conduit.Transport. Connections may be accepted before it returns.
func (t *Transport) Listen(a ma.Multiaddr, sink conduit.AcceptSink) (conduit.Listener, error) {
	refuse := func(o fault.Origin, err error) (conduit.Listener, error) {
		return nil, fail(o, "listen on", a, err)
	}
	network, bind, err := udpAddr(a)
	switch {
	case err != nil:
		return refuse(fault.Local, err)
	case t.err != nil:
		return refuse(fault.Local, t.err)
	}
	if known, others := hashes(a); others > 0 || len(known) > 1 || len(known) == 1 && known[0] != t.print {
		return refuse(fault.Local, ErrFingerprint)
	}
	s, err := t.socketToListen(network, bind)
	if err != nil {
		return refuse(origin(err), err)
	}
	l := &listener{t: t, s: s, hand: muxed.Hand{Sink: sink}}
	l.ctx, l.stop = context.WithCancel(context.Background())
	base, err := fromNet(s.local)
	if err == nil {
		l.addr, err = announced(base, t.print)
	}
	if err != nil {
		_ = t.leave(s, true)
		return refuse(fault.Local, err)
	}
	s.serve(l)
	return l, nil
}

// Addr implements conduit.Listener.
func (l *listener) Addr() ma.Multiaddr { return l.addr }

// Close implements conduit.Listener. Connections that were handed over live on, and keep the socket;
// those that were not are refused.
func (l *listener) Close() error {
	if !l.shut() {
		return nil
	}
	return l.release()
}

// shut reports whether the listener was open.
func (l *listener) shut() bool {
	open := l.hand.Shut()
	l.stop()
	return open
}

func (l *listener) release() error {
	l.s.serve(nil)
	if err := l.t.leave(l.s, true); err != nil {
		return fail(fault.Local, "close", l.addr, err)
	}
	return nil
}

// greet runs the handshake of an arrival, whose place among the half-open leave gives back.
func (l *listener) greet(p *path, leave func()) {
	var c *conn
	l.t.rt.Pump("webrtc handshake", func() {
		defer leave()
		ctx, cancel := context.WithTimeout(l.ctx, l.t.cfg.HandshakeTimeout)
		defer cancel()
		var err error
		if c, err = l.t.accept(ctx, p, l); err != nil {
			return // whoever it was shall not fill a log
		}
		leave()
		l.hand.Over(c)
	}, func(pe *actors.PanicError) {
		if c == nil { // what a remote may have caused costs nobody else
			_ = p.Close()
			return
		}
		c.failed(pe)
		l.fail(pe)
	})
}

// fail closes the listener and tells why, unless it was closed before.
func (l *listener) fail(err error) {
	if !l.shut() {
		return
	}
	_ = l.release()
	err = sockets.AcceptError(name, l.addr, err)
	l.t.rt.Pump("webrtc accept", func() { l.hand.Sink.Failed(err) }, ignore)
}

// ignore is for pumps that bring the news of a panic: who panics on it is beyond help.
func ignore(*actors.PanicError) {}
