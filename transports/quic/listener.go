package quic

import (
	"context"
	"errors"
	"sync"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	ma "github.com/multiformats/go-multiaddr"
	quicgo "github.com/quic-go/quic-go"
)

// listener accepts connections on a socket. Its pump runs until Close or until the socket fails;
// each handshake has a pump of its own, and quic-go a deadline for it.
type listener struct {
	t    *Transport
	s    *socket
	ql   *quicgo.EarlyListener
	sink conduit.AcceptSink
	addr ma.Multiaddr
	stop chan struct{} // closed by Close

	deliver sync.Mutex // held while Accepted runs, so that handshakes take turns

	mu     sync.Mutex
	closed bool
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
	s, err := t.socketToListen(network, bind)
	if err != nil {
		return refuse(origin(err), err)
	}
	l := &listener{t: t, s: s, sink: sink, stop: make(chan struct{})}
	if l.addr, err = fromNet(s.bound); err == nil {
		l.ql, err = s.stack.ListenEarly(t.handshakes(), t.stack)
	}
	if err != nil {
		_ = t.leave(s, true)
		return refuse(fault.Local, err)
	}
	t.adviseBuffers(s)
	t.rt.Pump("quic accept "+l.addr.String(), l.run, func(pe *actors.PanicError) { l.panicked(nil, pe) })
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
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.closed = true
	close(l.stop)
	return true
}

// release waits for quic-go to refuse the handshakes under way, which takes no answer of a remote.
func (l *listener) release() error {
	_ = l.ql.Close()
	if err := l.t.leave(l.s, true); err != nil {
		return fail(fault.Local, "close", l.addr, err)
	}
	return nil
}

func (l *listener) run() {
	for {
		qc, err := l.ql.Accept(context.Background())
		if err != nil {
			l.failed(err)
			return
		}
		l.t.rt.Pump("quic handshake", func() { l.greet(qc) }, func(pe *actors.PanicError) { l.panicked(qc, pe) })
	}
}

// greet waits for the end of a handshake. quic-go's own queue of finished ones drops those that a
// remote has closed at once; here they arrive, and their end is told as every other.
func (l *listener) greet(qc *quicgo.Conn) {
	select {
	case <-qc.HandshakeComplete():
	case <-qc.Context().Done():
	case <-l.stop:
	}
	a, ok := qc.Context().Value(arrivalKey{}).(*arrival)
	if !ok {
		panic(errNoArrival)
	}
	a.settle()
	var c *conn
	select {
	case <-qc.HandshakeComplete():
		c = l.conn(qc, a)
	default:
	}
	if c == nil {
		_ = qc.CloseWithError(0, "")
		l.t.windows.ended(qc)
		return
	}
	l.deliver.Lock()
	defer l.deliver.Unlock()
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if closed {
		_ = c.Close(0, "")
		return
	}
	l.sink.Accepted(conduit.Conduit{Muxed: c})
}

// conn makes a conduit of an accepted connection; nil if it is too late for that.
func (l *listener) conn(qc *quicgo.Conn, a *arrival) *conn {
	local, err := fromNet(qc.LocalAddr())
	if err != nil {
		return nil
	}
	remote, err := fromNet(qc.RemoteAddr())
	if err != nil || !l.t.use(l.s) {
		return nil
	}
	ends := conduit.Endpoints{Local: local, Remote: remote, Direction: conduit.Inbound, Transport: name}
	return l.t.conn(qc, l.s, ends, a.found, nil)
}

// failed closes the listener and tells why, unless it was closed before.
func (l *listener) failed(err error) {
	if !l.shut() {
		return
	}
	_ = l.release()
	var pe *actors.PanicError
	if !errors.As(err, &pe) {
		err = fail(fault.Local, "accept on", l.addr, err)
	}
	l.sink.Failed(err)
}

// panicked ends the listener whose owner panicked, over qc perhaps.
func (l *listener) panicked(qc *quicgo.Conn, pe *actors.PanicError) {
	l.t.rt.Pump("quic accept "+l.addr.String(), func() {
		if qc != nil {
			_ = qc.CloseWithError(panicCode, "")
			l.t.windows.ended(qc)
		}
		l.failed(pe)
	}, ignore)
}
