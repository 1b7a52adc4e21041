package memory

import (
	"sync"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	ma "github.com/multiformats/go-multiaddr"
)

// listener hands over one connection a step.
type listener struct {
	t    *Transport
	sink conduit.AcceptSink
	n    uint64
	addr ma.Multiaddr

	mu      sync.Mutex
	waiting []conduit.Conduit // at most maxBacklog
	posted  bool
	closed  bool
	bug     *actors.PanicError // to be told

	fresh conduit.Conduit // step: being handed over
}

// Listen implements conduit.Transport. /memory/0 takes any free address.
func (t *Transport) Listen(a ma.Multiaddr, sink conduit.AcceptSink) (conduit.Listener, error) {
	n, ok := number(a)
	if !ok {
		return nil, fail(fault.Local, "listen on", a, ErrAddress)
	}
	if t.err != nil {
		return nil, fail(fault.Local, "listen on", a, t.err)
	}
	l := &listener{t: t, sink: sink}
	if err := t.cfg.Hub.bind(l, n); err != nil {
		return nil, fail(fault.Local, "listen on", a, err)
	}
	return l, nil
}

// Addr implements conduit.Listener.
func (l *listener) Addr() ma.Multiaddr { return l.addr }

// Close implements conduit.Listener. Connections that were not handed over are closed.
func (l *listener) Close() error {
	l.shut()
	return nil
}

// shut reports whether the listener was open.
func (l *listener) shut() bool {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	left := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	if first {
		l.t.cfg.Hub.unbind(l)
	}
	for _, c := range left {
		c.Abandon()
	}
	return first
}

// offer takes a dialler's connection.
func (l *listener) offer(c conduit.Conduit) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return ErrRefused
	case len(l.waiting) >= maxBacklog:
		return ErrBacklog
	}
	l.waiting = append(l.waiting, c)
	l.post()
	return nil
}

// post is called with mu held.
func (l *listener) post() {
	if !l.posted {
		l.posted = true
		l.t.ex.Post(l)
	}
}

// Step implements Step.
func (l *listener) Step() {
	l.mu.Lock()
	if bug := l.bug; bug != nil {
		l.bug = nil
		l.mu.Unlock()
		l.sink.Failed(bug)
		return
	}
	if len(l.waiting) == 0 {
		l.posted = false
		l.mu.Unlock()
		return
	}
	l.fresh = l.waiting[0]
	l.waiting[0] = conduit.Conduit{}
	l.waiting = l.waiting[1:]
	l.mu.Unlock()
	l.sink.Accepted(l.fresh)
	l.fresh = conduit.Conduit{}
	l.mu.Lock()
	l.posted = false
	if len(l.waiting) > 0 {
		l.post()
	}
	l.mu.Unlock()
}

// Failed implements Step: the owner panicked.
func (l *listener) Failed(pe *actors.PanicError) {
	l.fresh.Abandon()
	if !l.shut() {
		return
	}
	l.mu.Lock()
	l.bug = pe
	l.t.ex.Post(l)
	l.mu.Unlock()
}
