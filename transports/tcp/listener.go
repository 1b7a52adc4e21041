package tcp

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
)

// listener is one bound port. Its pump accepts until Close or until accepting fails for good.
type listener struct {
	t      *Transport
	sink   conduit.AcceptSink
	nl     *net.TCPListener
	addr   ma.Multiaddr
	bound  *net.TCPAddr
	accept func() (*net.TCPConn, error) // nl's, or a test's
	stop   chan struct{}                // closed by Close

	mu     sync.Mutex
	closed bool

	fresh *sockets.Conn // pump: accepted, not handed over yet
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
	network, address, err := dialArgs(a)
	if err != nil {
		return nil, fail(fault.Local, "listen on", a, err)
	}
	lc := net.ListenConfig{KeepAliveConfig: sockets.KeepAlive(t.cfg.KeepAlive)}
	lc.SetMultipathTCP(false)
	nl, err := lc.Listen(context.Background(), network, address)
	if err != nil {
		o := fault.Local
		if sockets.Exhausted(err) {
			o = fault.Limit
		}
		return nil, fail(o, "listen on", a, err)
	}
	tl := nl.(*net.TCPListener)
	addr, err := fromNet(tl.Addr())
	if err != nil {
		_ = tl.Close()
		return nil, fail(fault.Local, "listen on", a, err)
	}
	bound, _ := tl.Addr().(*net.TCPAddr)
	return &listener{t: t, sink: sink, nl: tl, addr: addr, bound: bound, accept: tl.AcceptTCP, stop: make(chan struct{})}, nil
}

func (l *listener) start() {
	l.t.rt.Pump("tcp accept "+l.addr.String(), l.run, l.panicked)
}

// Addr implements conduit.Listener.
func (l *listener) Addr() ma.Multiaddr { return l.addr }

// Close implements conduit.Listener. Accepted connections live on; those that wait in the
// kernel to be accepted are reset by it.
func (l *listener) Close() error {
	if !l.shut() {
		return nil
	}
	if err := l.nl.Close(); err != nil {
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

func (l *listener) run() {
	err := sockets.Accepting[*net.TCPConn]{
		Accept: l.accept, Now: l.t.rt.Now, Stop: l.stop, Took: l.accepted,
		Degraded: func(err error) { l.sink.Degraded(fail(origin(err), "accept on", l.addr, err)) },
	}.Run()
	if err != nil {
		l.failed(err)
	}
}

func (l *listener) accepted(nc *net.TCPConn) {
	// A listener for one address spares each connection a copy of it.
	var local ma.Multiaddr
	if a, ok := nc.LocalAddr().(*net.TCPAddr); ok && a.IP.Equal(l.bound.IP) && a.Zone == l.bound.Zone {
		local = l.addr
	}
	c, err := l.t.conduit(nc, local, conduit.Inbound)
	if err != nil {
		return // it is gone already
	}
	l.fresh = c
	l.sink.Accepted(conduit.Conduit{Raw: c})
	l.fresh = nil
}

// failed closes the listener and tells why, unless it was closed before.
func (l *listener) failed(err error) {
	if !l.shut() {
		return
	}
	_ = l.nl.Close()
	var pe *actors.PanicError
	if !errors.As(err, &pe) {
		err = fail(fault.Local, "accept on", l.addr, err)
	}
	l.sink.Failed(err)
}

func (l *listener) panicked(pe *actors.PanicError) {
	if l.fresh != nil {
		_ = l.fresh.Close()
	}
	l.t.rt.Pump("tcp accept "+l.addr.String(), func() { l.failed(pe) }, ignore)
}
