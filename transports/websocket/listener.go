package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"

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
	tls    *tls.Config                  // nil: in the clear
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
	l := &listener{t: t, sink: sink, stop: make(chan struct{})}
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
	lc := net.ListenConfig{KeepAliveConfig: sockets.KeepAlive(t.cfg.KeepAlive)}
	lc.SetMultipathTCP(false)
	nl, err := lc.Listen(context.Background(), to.network, to.address)
	if err != nil {
		o := fault.Local
		if sockets.Exhausted(err) {
			o = fault.Limit
		}
		return nil, fail(o, "listen on", a, err)
	}
	l.nl, l.target = nl.(*net.TCPListener), to
	l.accept = l.nl.AcceptTCP
	if l.addr, err = endpoint(l.nl.Addr(), to.suffix); err != nil {
		_ = l.nl.Close()
		return nil, fail(fault.Local, "listen on", a, err)
	}
	return l, nil
}

// notRenewed: the certificate's files have changed and there is none in them. The last one goes on,
// until it is too old, so somebody should know.
func (l *listener) notRenewed(err error) {
	l.sink.Degraded(fail(fault.Local, "renew the certificate of", l.addr, err))
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
	err := sockets.Accepting[*net.TCPConn]{
		Accept: l.accept, Now: l.t.rt.Now, Stop: l.stop, Took: func(nc *net.TCPConn) { l.serve(nc) },
		Degraded: func(err error) { l.sink.Degraded(fail(origin(err), "accept on", l.addr, err)) },
	}.Run()
	if err != nil {
		l.failed(err)
	}
}

// endpoints of an accepted connection. The remote's end is written as a socket's: its port is none
// that could be dialled. A listener for one address spares each connection a copy of it.
func (l *listener) endpoints(nc net.Conn) (conduit.Endpoints, error) {
	local := l.addr
	bound, _ := l.nl.Addr().(*net.TCPAddr)
	if a, ok := nc.LocalAddr().(*net.TCPAddr); !ok || !a.IP.Equal(bound.IP) || a.Zone != bound.Zone {
		var err error
		if local, err = endpoint(nc.LocalAddr(), l.target.suffix); err != nil {
			return conduit.Endpoints{}, err
		}
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
