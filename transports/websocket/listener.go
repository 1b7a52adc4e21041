package websocket

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
)

// listener is one bound port. Its pump accepts until Close or until accepting fails for good; each
// connection has a pump of its own for its handshake.
type listener struct {
	t      *Transport
	sink   conduit.AcceptSink
	nl     *net.TCPListener
	addr   ma.Multiaddr
	target target
	accept func() (*net.TCPConn, error) // nl's, or a test's
	stop   chan struct{}                // closed by Close

	mu     sync.Mutex
	closed bool
}

// Listen implements conduit.Transport. Connections may be accepted before it returns.
func (t *Transport) Listen(a ma.Multiaddr, sink conduit.AcceptSink) (conduit.Listener, error) {
	l, err := t.listen(a, sink)
	if err != nil {
		return nil, err
	}
	l.start()
	return l, nil
}

func (t *Transport) listen(a ma.Multiaddr, sink conduit.AcceptSink) (*listener, error) {
	to, err := parse(a)
	switch {
	case err != nil:
	case to.named:
		err = ErrAddress
	case to.secure && t.server == nil:
		err = ErrNoCertificate
	}
	if err != nil {
		return nil, fail(fault.Local, "listen on", a, err)
	}
	lc := net.ListenConfig{KeepAliveConfig: t.keepAlive()}
	lc.SetMultipathTCP(false)
	nl, err := lc.Listen(context.Background(), to.network, to.address)
	if err != nil {
		o := fault.Local
		if sockets.Exhausted(err) {
			o = fault.Limit
		}
		return nil, fail(o, "listen on", a, err)
	}
	tl := nl.(*net.TCPListener)
	addr, err := endpoint(tl.Addr(), to.suffix)
	if err != nil {
		_ = tl.Close()
		return nil, fail(fault.Local, "listen on", a, err)
	}
	return &listener{t: t, sink: sink, nl: tl, addr: addr, target: to, accept: tl.AcceptTCP, stop: make(chan struct{})}, nil
}

func (l *listener) start() {
	l.t.rt.Pump("ws listen "+l.addr.String(), l.run, l.panicked)
}

// Addr implements conduit.Listener.
func (l *listener) Addr() ma.Multiaddr { return l.addr }

// Close implements conduit.Listener. Handshakes that are under way end.
func (l *listener) Close() error {
	if !l.shut() {
		return nil
	}
	err := l.nl.Close()
	l.t.slots.close(l)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fail(fault.Local, "close", l.addr, err)
	}
	return nil
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

func (l *listener) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

func (l *listener) run() {
	var p sockets.Patience
	for {
		nc, err := l.accept()
		if err == nil {
			p.Worked()
			l.serve(nc)
			continue
		}
		if !sockets.Temporary(err) {
			l.failed(err)
			return
		}
		if p.Spares(err) {
			continue
		}
		wait, first := p.Failed(l.t.rt.Now())
		if first {
			l.sink.Degraded(fail(origin(err), "accept on", l.addr, err))
		}
		timer := time.NewTimer(wait)
		select { // order-free: when both are ready, the next accept finds the listener closed
		case <-timer.C:
		case <-l.stop:
			timer.Stop()
			return
		}
	}
}

// endpoints of an accepted connection. The remote's end is written as a socket's: its port is none
// that could be dialled.
func (l *listener) endpoints(nc net.Conn) (conduit.Endpoints, error) {
	local, err := endpoint(nc.LocalAddr(), l.target.suffix)
	if err != nil {
		return conduit.Endpoints{}, err
	}
	remote, err := endpoint(nc.RemoteAddr(), plainSuffix(l.target.secure))
	return conduit.Endpoints{Local: local, Remote: remote, Direction: conduit.Inbound, Transport: name}, err
}

// failed closes the listener and tells why, unless it was closed before.
func (l *listener) failed(err error) {
	if !l.shut() {
		return
	}
	_ = l.nl.Close()
	l.t.slots.close(l)
	var pe *actors.PanicError
	if !errors.As(err, &pe) {
		err = fail(fault.Local, "accept on", l.addr, err)
	}
	l.sink.Failed(err)
}

func (l *listener) panicked(pe *actors.PanicError) {
	l.t.rt.Pump("ws listen "+l.addr.String(), func() { l.failed(pe) }, ignore)
}
