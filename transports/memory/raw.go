package memory

import (
	"io"
	"sync"

	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
)

// rawEnd is one end of a byte pipe. Everything below mu is guarded by it; the two ends share it.
type rawEnd struct {
	t    *Transport
	ends conduit.Endpoints
	peer *rawEnd

	mu      *sync.Mutex
	sink    conduit.Sink
	credits int
	in      chunks // written by the peer, not offered yet; at most t.cfg.Window bytes
	over    error  // nothing comes behind in, and why
	told    bool   // the present sink knows of the end

	broken   error  // writing fails, and why
	draining bool   // until Drained
	rest     []byte // of Drain, not taken yet
	drained  bool   // Drained is due
	drainErr error

	closed bool
	posted bool // a step is due or under way
}

var _ conduit.Raw = (*rawEnd)(nil)

func newRaw(dialler, acceptor *Transport, ours, theirs conduit.Endpoints) (a, b *rawEnd) {
	mu := new(sync.Mutex)
	a = &rawEnd{t: dialler, ends: ours, mu: mu}
	b = &rawEnd{t: acceptor, ends: theirs, mu: mu, peer: a}
	a.peer = b
	return a, b
}

// Endpoints implements conduit.Raw.
func (e *rawEnd) Endpoints() conduit.Endpoints { return e.ends }

// Bind implements conduit.Raw.
func (e *rawEnd) Bind(s conduit.Sink, credits int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sink, e.credits, e.told = s, max(credits, 1), false
	e.post()
}

// More implements conduit.Raw.
func (e *rawEnd) More() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.credits++
	e.post()
}

// TryWrite implements conduit.Raw.
func (e *rawEnd) TryWrite(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.draining:
		panic("memory: TryWrite during a Drain")
	case e.broken != nil:
		return 0, e.broken
	}
	return e.push(p), nil
}

// push is called with mu held.
func (e *rawEnd) push(p []byte) int {
	to := e.peer
	n := to.in.push(p, to.t.cfg.Window-to.in.n, to.t.cfg.ReadBuffer)
	to.post()
	return n
}

// Drain implements conduit.Raw. There must be a sink to tell.
func (e *rawEnd) Drain(p []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.sink == nil:
		panic("memory: Drain before Bind")
	case e.draining:
		panic("memory: Drain during a Drain")
	}
	e.draining, e.rest = true, p
	e.drain()
}

// drain goes on with a Drain, after its start or when the peer has room. It is called with mu
// held.
func (e *rawEnd) drain() {
	if !e.draining || e.drained {
		return
	}
	if e.broken == nil {
		if e.rest = e.rest[e.push(e.rest):]; len(e.rest) > 0 {
			return
		}
	}
	e.drained, e.drainErr, e.rest = true, e.broken, nil
	e.post()
}

// Close implements conduit.Raw.
func (e *rawEnd) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.close(fail(fault.Local, "read from", e.ends.Remote, ErrClosed))
	}
	return nil
}

// close is called with mu held.
func (e *rawEnd) close(why error) {
	e.closed = true
	e.over = nil // what the remote did is no news any more
	e.in.drop()
	e.end(why, fail(fault.Local, "write to", e.ends.Remote, ErrClosed))
	p := e.peer
	p.end(io.EOF, fail(fault.Remote, "write to", p.ends.Remote, ErrRemoteClosed))
}

// end stops both directions of e for good: reading behind what is queued. The first reason
// stays. It is called with mu held.
func (e *rawEnd) end(over, broken error) {
	if e.over == nil {
		e.over = over
	}
	if e.broken == nil {
		e.broken = broken
	}
	e.drain()
	e.post()
}

// Break ends the connection as a crash of the remote or of the network would, for both ends:
// what is under way is lost, and err is what they see. It is for tests and simulations.
func (e *rawEnd) Break(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range []*rawEnd{e, e.peer} {
		if !x.closed {
			x.in.drop()
			if !x.told {
				x.over = nil // an orderly end does not come through either
			}
			x.end(fail(fault.Remote, "read from", x.ends.Remote, err), fail(fault.Remote, "write to", x.ends.Remote, err))
		}
	}
}
