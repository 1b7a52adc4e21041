package webtransport

import (
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack"

	ma "github.com/multiformats/go-multiaddr"
	"github.com/quic-go/quic-go/http3"
)

// look is how often a listener looks whether it is time for the next certificate. Timers stand still
// while a machine sleeps.
const look = time.Hour

// listener is one on a socket, with an address that changes when the certificate does.
type listener struct {
	*quicstack.Listener
	t    *Transport
	sink conduit.AcceptSink

	mu     sync.Mutex
	closed bool
	told   int64       // the number of the certificate whose hash was told
	timer  *time.Timer // to look again
}

// Listen implements conduit.Transport. Connections may be accepted before it returns.
func (t *Transport) Listen(a ma.Multiaddr, sink conduit.AcceptSink) (conduit.Listener, error) {
	refuse := func(o fault.Origin, err error) (conduit.Listener, error) { return nil, fail(o, "listen on", a, err) }
	network, bind, _, err := parse(a)
	switch {
	case err != nil:
		return refuse(fault.Local, err)
	case t.err != nil:
		return refuse(fault.Local, t.err)
	}
	now, err := t.certs.at(t.cfg.now())
	if err != nil {
		return refuse(fault.Local, err)
	}
	l := &listener{t: t, sink: sink, told: now.number}
	l.Listener, err = t.stack.Listen(network, bind, quicstack.Protocol{
		Transport: name, ALPN: http3.NextProtoH3, Config: t.served, Multiaddr: fromNet,
		Handshake: t.handshakes, Greet: t.greet,
	}, sink)
	if err != nil {
		return refuse(quicstack.OriginOf(err), err)
	}
	l.plan(now)
	return l, nil
}

// Addr implements conduit.Listener: with the hashes of the certificate in use and of the next one.
func (l *listener) Addr() ma.Multiaddr {
	bound := l.Listener.Addr()
	c, err := l.t.certs.at(l.t.cfg.now())
	if err != nil {
		return bound
	}
	a, err := announced(bound, c.is.hash, c.next.hash)
	if err != nil {
		return bound
	}
	return a
}

// Close implements conduit.Listener.
func (l *listener) Close() error {
	l.mu.Lock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	return l.Listener.Close()
}

// plan sets the timer for the next look.
func (l *listener) plan(c chain) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	wait := min(max(c.until.Sub(l.t.cfg.now()), time.Second), look)
	// owned: by the pump that it starts.
	l.timer = time.AfterFunc(wait, func() { l.t.rt.Pump("webtransport certificate", l.look, ignore) })
}

// look tells the address if another certificate is in use than when it was told.
func (l *listener) look() {
	c, err := l.t.certs.at(l.t.cfg.now())
	if err != nil {
		l.sink.Degraded(fail(fault.Local, "renew the certificate of", l.Listener.Addr(), err))
	}
	l.mu.Lock()
	news := err == nil && !l.closed && c.number != l.told
	if news {
		l.told = c.number
	}
	l.mu.Unlock()
	if s, ok := l.sink.(conduit.MovingSink); ok && news {
		s.Moved(l.Addr())
	}
	l.plan(c)
}
