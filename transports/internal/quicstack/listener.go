package quicstack

import (
	"context"
	"net"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/muxed"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	stdtls "crypto/tls"

	ma "github.com/multiformats/go-multiaddr"
	quicgo "github.com/quic-go/quic-go"
)

// Protocol is one that is spoken over QUIC.
type Protocol struct {
	// Transport is the adapter's name, for people.
	Transport string
	// ALPN tells it from the others of a socket.
	ALPN string
	// Config is what it needs of a connection. Protocols of one socket get the wider of two.
	Config *quicgo.Config
	// Multiaddr is one end of a connection.
	Multiaddr func(net.Addr) (ma.Multiaddr, error)
	// Handshake is the TLS configuration for one client; Greet gets the note.
	Handshake func() (conf *stdtls.Config, note any, err error)
	// Greet makes a conduit of a connection whose TLS handshake is complete: with Link.Conn, within
	// a time of its own, and before ctx is done. nil: the connection is dropped. Until it returns,
	// the connection counts as one that is half open.
	Greet func(ctx context.Context, l *Link) *Conn
}

// Listener accepts the connections of one protocol on a socket. The pump of the socket accepts for all
// of them, until Close of the last or until the socket fails; each handshake has a pump of its own, and
// quic-go a deadline for it.
type Listener struct {
	t    *Stack
	s    *socket
	p    Protocol
	hand muxed.Hand
	addr ma.Multiaddr

	ctx    context.Context // done with Close
	cancel context.CancelFunc
}

// Listen binds an address. Connections may be accepted before it returns.
func (t *Stack) Listen(network string, bind *net.UDPAddr, p Protocol, sink conduit.AcceptSink) (*Listener, error) {
	l := &Listener{t: t, p: p, hand: muxed.Hand{Sink: sink}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	var err error
	if l.s, err = t.socketToListen(network, bind, l); err != nil {
		l.cancel()
		return nil, err
	}
	if l.addr, err = p.Multiaddr(l.s.bound); err == nil {
		err = l.open()
	}
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	t.adviseBuffers(l.s)
	return l, nil
}

func (l *Listener) open() error {
	s := l.s
	s.opening.Lock()
	defer s.opening.Unlock()
	had := s.ql
	if err := s.open(); err != nil {
		return err
	}
	if ql, stop := s.ql, s.stop; ql != had {
		l.t.rt.Pump("quic accept "+s.bound.String(), func() { s.run(ql, stop) }, func(pe *actors.PanicError) { s.failed(ql, pe) })
	}
	return nil
}

// Addr implements conduit.Listener.
func (l *Listener) Addr() ma.Multiaddr { return l.addr }

// Close implements conduit.Listener. Connections that were handed over live on, and keep the socket;
// those that were not are refused.
func (l *Listener) Close() error {
	if !l.shut() {
		return nil
	}
	return l.release()
}

// UDP is the socket.
func (l *Listener) UDP() *net.UDPConn { return l.s.pc }

// shut reports whether the listener was open.
func (l *Listener) shut() bool {
	open := l.hand.Shut()
	l.cancel()
	return open
}

func (l *Listener) release() error {
	s := l.s
	s.opening.Lock()
	if l.t.unlisten(l) {
		s.shut()
	}
	s.opening.Unlock()
	if err := l.t.leave(s); err != nil && l.addr != nil {
		return sockets.Fail(l.p.Transport, fault.Local, "close", l.addr, err)
	}
	return nil
}

// lost closes the listener and tells why, unless it was closed before.
func (l *Listener) lost(err error) {
	if !l.shut() {
		return
	}
	_ = l.release()
	l.hand.Sink.Failed(sockets.AcceptError(l.p.Transport, l.addr, err))
}

// run is the pump that accepts.
func (s *socket) run(ql *quicgo.EarlyListener, stop chan struct{}) {
	for {
		qc, err := ql.Accept(context.Background())
		if err != nil {
			s.failed(ql, err)
			return
		}
		s.t.rt.Pump("quic handshake", func() { s.greet(qc, stop) }, func(pe *actors.PanicError) { s.panicked(qc, pe) })
	}
}

// failed ends all listeners of ql, unless it was closed on purpose.
func (s *socket) failed(ql *quicgo.EarlyListener, err error) {
	s.opening.Lock()
	current := s.ql == ql
	var lost []*Listener
	if current {
		lost = s.t.listenersOf(s)
	}
	s.opening.Unlock()
	for _, l := range lost {
		l.lost(err)
	}
}

// greet waits for the end of a handshake. quic-go's own queue of finished ones drops those that a
// remote has closed at once; here they arrive, and their end is told as every other.
func (s *socket) greet(qc *quicgo.Conn, stop chan struct{}) {
	select {
	case <-qc.HandshakeComplete():
	case <-qc.Context().Done():
	case <-stop:
	}
	a, ok := qc.Context().Value(arrivalKey{}).(*arrival)
	if !ok {
		panic(errNoArrival)
	}
	defer a.settle()
	complete := false
	select {
	case <-qc.HandshakeComplete():
		complete = a.to != nil
	default:
	}
	var c *Conn
	if complete {
		c = a.to.greet(qc, a)
	}
	if c == nil {
		_ = qc.CloseWithError(0, "")
		s.t.windows.ended(qc)
		return
	}
	a.settle()
	a.handed = true
	a.to.hand.Over(c)
}

// greet makes a conduit of an accepted connection; nil if it is too late for that.
func (l *Listener) greet(qc *quicgo.Conn, a *arrival) *Conn {
	local, err := l.p.Multiaddr(qc.LocalAddr())
	if err != nil {
		return nil
	}
	remote, err := l.p.Multiaddr(qc.RemoteAddr())
	if err != nil || !l.t.use(l.s) {
		return nil
	}
	k := &Link{
		QUIC: qc, Note: a.note, t: l.t, s: l.s, proven: a.proven,
		ends: conduit.Endpoints{Local: local, Remote: remote, Direction: conduit.Inbound, Transport: l.p.Transport},
	}
	c := l.p.Greet(l.ctx, k)
	if c == nil {
		k.release()
	}
	return c
}

// panicked ends the connection that a handshake was to become, and the listener whose owner panicked when
// it was handed over. What a remote may have caused costs nobody else.
func (s *socket) panicked(qc *quicgo.Conn, pe *actors.PanicError) {
	s.t.rt.Pump("quic accept "+s.bound.String(), func() {
		_ = qc.CloseWithError(panicCode, "")
		s.t.windows.ended(qc)
		if a, ok := qc.Context().Value(arrivalKey{}).(*arrival); ok {
			a.settle()
			if a.handed {
				a.to.lost(pe)
			}
		}
	}, ignore)
}
