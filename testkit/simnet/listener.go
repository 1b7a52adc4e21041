package simnet

import (
	"net/netip"
	"slices"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// maxAccept is how many streams may wait to be accepted. It stops a flood of dials: more Syns are
// lost, and their diallers ask again.
const maxAccept = 1024

// listener is a bound address. It hands over one stream a turn.
type listener struct {
	h       *Host
	sink    conduit.AcceptSink
	at      netip.AddrPort
	half    int       // streams that were granted and whose dialler does not know yet
	waiting []*stream // to be handed over
	closed  bool
	posted  bool
	bug     *actors.PanicError // to be told
}

// listening finds who listens on a local endpoint.
func (h *Host) listening(at netip.AddrPort) *listener {
	var any *listener
	for _, l := range h.listeners {
		switch {
		case l.at == at:
			return l
		case l.at.Port() == at.Port() && l.at.Addr().IsUnspecified() && l.at.Addr().Is4() == at.Addr().Is4():
			any = l
		}
	}
	return any
}

// bindable checks an address to listen on, and finds a port if none is given.
func (h *Host) bindable(pr proto, at netip.AddrPort, taken func(netip.AddrPort) bool) (netip.AddrPort, error) {
	a := at.Addr()
	if !a.IsUnspecified() && !a.IsLoopback() && !h.has(a) {
		return at, errNotOurs
	}
	if at.Port() == 0 {
		p, ok := h.ephemeral(pr)
		if !ok {
			return at, errInUse
		}
		return netip.AddrPortFrom(a, p), nil
	}
	if taken(at) {
		return at, errInUse
	}
	return at, nil
}

// clash says that two sockets cannot be bound at the same time.
func clash(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && a.Addr().Is4() == b.Addr().Is4() &&
		(a.Addr() == b.Addr() || a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
}

// Listen implements conduit.Transport.
func (t *Transport) Listen(a ma.Multiaddr, sink conduit.AcceptSink) (conduit.Listener, error) {
	at, ok := socket(a)
	switch {
	case !ok:
		return nil, fail(local, "listen on", a, ErrAddress)
	case t.dead():
		return nil, fail(local, "listen on", a, ErrDown)
	}
	h := t.h
	at, err := h.bindable(tcpProto, at, func(at netip.AddrPort) bool {
		return slices.ContainsFunc(h.listeners, func(l *listener) bool { return clash(l.at, at) })
	})
	if err != nil {
		return nil, fail(local, "listen on", a, err)
	}
	l := &listener{h: h, sink: sink, at: at}
	h.listeners = append(h.listeners, l)
	h.take(tcpProto, at.Port())
	return l, nil
}

// Addr implements conduit.Listener.
func (l *listener) Addr() ma.Multiaddr { return addrs.FromAddrPort("tcp", l.at) }

// Close implements conduit.Listener. Streams that were not handed over are reset.
func (l *listener) Close() error {
	if l.closed {
		return nil
	}
	left := l.waiting
	l.die()
	for _, s := range left {
		s.via = nil
		s.closed = true
		s.abort()
	}
	return nil
}

// die is the end of the listener alone.
func (l *listener) die() {
	l.closed = true
	for _, s := range l.waiting {
		s.in.drop()
	}
	l.waiting = nil
	l.h.listeners = slices.DeleteFunc(l.h.listeners, func(o *listener) bool { return o == l })
	l.h.release(tcpProto, l.at.Port())
}

// forget drops a stream that is gone before it was handed over.
func (l *listener) forget(s *stream) {
	if s.state == granted {
		l.half--
	}
	s.via = nil
}

// post implements taker.
func (l *listener) post() {
	if !l.posted && (len(l.waiting) > 0 || l.bug != nil) {
		l.posted = true
		l.h.n.soon(func() {
			l.posted = false
			l.turn()
		})
	}
}

// turn implements taker.
func (l *listener) turn() {
	var s *stream
	clean := false
	defer func() {
		if !clean {
			l.failed(l.h.n.caught(recover(), "simnet listener "+l.at.String()), s)
		}
	}()
	switch bug := l.bug; {
	case l.posted:
	case bug != nil:
		l.bug = nil
		l.sink.Failed(bug)
	case len(l.waiting) > 0:
		s = l.waiting[0]
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
		s.via = nil
		l.h.owned[s] = struct{}{}
		l.sink.Accepted(conduit.Conduit{Raw: s})
	}
	clean = true
	l.post()
}

// failed contains a panic of the sink: that is the end of the listener.
func (l *listener) failed(pe *actors.PanicError, s *stream) {
	if s != nil {
		_ = s.Close()
	}
	if !l.closed {
		_ = l.Close()
		l.bug = pe
		l.post()
	}
}
