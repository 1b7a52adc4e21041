package unix

import (
	"errors"
	"net"
	"sync"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// listener is one socket file. Its pump accepts until Close or until accepting fails for good.
type listener struct {
	t      *Transport
	sink   conduit.AcceptSink
	file   *file
	addr   ma.Multiaddr
	accept func() (*net.UnixConn, error) // the file's, or a test's
	stop   chan struct{}                 // closed by Close

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
	path, err := t.pathOf(a)
	var f *file
	if err == nil {
		f, err = create(t.rt.Rand(), path, t.cfg.Mode)
	}
	if err != nil {
		o := fault.Local
		if sockets.Exhausted(err) {
			o = fault.Limit
		}
		return nil, fail(o, "listen on", a, tooLong(path, err))
	}
	addr := a
	if f.path != path {
		if addr, err = manet.FromNetAddr(f.l.Addr()); err != nil {
			_ = f.close()
			return nil, fail(fault.Local, "listen on", a, err)
		}
	}
	return &listener{t: t, sink: sink, file: f, addr: addr, accept: f.l.AcceptUnix, stop: make(chan struct{})}, nil
}

func (l *listener) start() { l.t.rt.Pump("unix accept "+l.addr.String(), l.run, l.panicked) }

// Addr implements conduit.Listener.
func (l *listener) Addr() ma.Multiaddr { return l.addr }

// Close implements conduit.Listener. Accepted connections live on; those that wait in the kernel to
// be accepted are reset by it.
func (l *listener) Close() error {
	if !l.shut() {
		return nil
	}
	if err := l.file.close(); err != nil {
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
	err := sockets.Accepting[*net.UnixConn]{
		Accept: l.accept, Now: l.t.rt.Now, Stop: l.stop, Took: l.accepted,
		Degraded: func(err error) { l.sink.Degraded(fail(sockets.OriginOf(err), "accept on", l.addr, err)) },
	}.Run()
	if err != nil {
		l.failed(err)
	}
}

func (l *listener) accepted(nc *net.UnixConn) {
	c, err := l.t.conduit(nc, l.addr, conduit.Inbound)
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
	_ = l.file.close()
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
	// Who panics on the news is beyond help.
	l.t.rt.Pump("unix accept "+l.addr.String(), func() { l.failed(pe) }, func(*actors.PanicError) {})
}
