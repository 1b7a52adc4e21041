package memory

import (
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// due says whether the sink has something to hear. It is called with mu held.
func (e *rawEnd) due() bool {
	switch {
	case e.sink == nil:
		return false
	case e.drained:
		return true
	case e.in.n > 0:
		return e.credits > 0
	}
	return e.over != nil && !e.told
}

// post is called with mu held after everything that may make a step due.
func (e *rawEnd) post() {
	if !e.posted && e.due() {
		e.posted = true
		e.t.ex.Post(e)
	}
}

// Step implements Step.
func (e *rawEnd) Step() {
	e.mu.Lock()
	if s, what := e.sink, e.next(); what != nil {
		e.mu.Unlock()
		what.tell(s)
		e.mu.Lock()
	}
	e.posted = false
	e.post()
	e.mu.Unlock()
}

// event is what one step tells the sink.
type event interface{ tell(s conduit.Sink) }

type offer struct{ b *buf.Buf }
type drained struct{ err error }
type ended struct{ err error }

func (o offer) tell(s conduit.Sink)   { s.Offer(o.b) }
func (d drained) tell(s conduit.Sink) { s.Drained(d.err) }
func (d ended) tell(s conduit.Sink)   { s.Ended(d.err) }

// next is called with mu held.
func (e *rawEnd) next() event {
	switch {
	case !e.due():
		return nil
	case e.drained:
		err := e.drainErr
		e.draining, e.drained, e.drainErr = false, false, nil
		return drained{err}
	case e.in.n > 0:
		e.credits--
		b := e.in.pop()
		e.peer.drain()
		return offer{b}
	default:
		e.told = true
		return ended{e.over}
	}
}

// Failed implements Step: the sink panicked. That is the end of the conduit.
func (e *rawEnd) Failed(pe *actors.PanicError) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.close(pe)
	}
	e.over = pe // whoever closed it, this is the better reason
	e.posted = false
	e.post()
}
