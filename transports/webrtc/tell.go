package webrtc

import (
	"fmt"
	"os"
	"sync"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

var errSilent = fmt.Errorf("no answer: %w", os.ErrDeadlineExceeded)

// news is what a connection's sinks have not been told yet. One pump tells it, so that the calls of a
// connection come one at a time; it runs while there is something to tell.
type news struct {
	c *conn

	mu      sync.Mutex // taken last, also by SCTP's goroutines
	streams []*stream  // each at most once
	conn    bool       // something about the connection itself
	running bool
}

// of says that there may be something to tell of a stream.
func (n *news) of(s *stream) {
	n.mu.Lock()
	if !s.queued {
		s.queued = true
		n.streams = append(n.streams, s)
	}
	n.start()
	n.mu.Unlock()
}

// look says that there may be something to tell of the connection.
func (n *news) look() {
	n.mu.Lock()
	n.conn = true
	n.start()
	n.mu.Unlock()
}

// start is called with mu held.
func (n *news) start() {
	if n.running {
		return
	}
	n.running = true
	t := &teller{c: n.c}
	n.c.t.rt.Pump("webrtc tell", t.run, t.failed)
}

// next takes what may be told: a stream, or the connection if that is nil.
func (n *news) next() (s *stream, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case len(n.streams) > 0:
		s = n.streams[0]
		n.streams[0] = nil
		n.streams = n.streams[1:]
		s.queued = false
	case n.conn:
		n.conn = false
	default:
		n.streams = nil
		n.running = false
		return nil, false
	}
	return s, true
}

// teller is one run of the pump.
type teller struct {
	c  *conn
	at *stream // whose owner is being told; nil for the connection's
}

func (t *teller) run() {
	for {
		s, ok := t.c.news.next()
		if !ok {
			return
		}
		t.at = s
		if s != nil {
			s.tell()
		} else {
			t.c.tell()
		}
	}
}

// failed contains a panic of an owner: of a stream, or of the connection.
func (t *teller) failed(pe *actors.PanicError) {
	c := t.c
	if t.at != nil {
		t.at.drop(panicCode, &ending{code: panicCode, err: pe})
		c.news.of(t.at)
	} else {
		c.failed(pe)
		c.news.look()
	}
	c.news.mu.Lock()
	c.news.running = false
	c.news.start()
	c.news.mu.Unlock()
}

// tell lets the connection's owner know one thing, and comes again until there is nothing.
func (c *conn) tell() {
	c.mu.Lock()
	sink := c.sink
	var call func()
	switch {
	case sink == nil:
	case len(c.accepted) > 0:
		s := c.accepted[0]
		c.accepted = c.accepted[1:]
		s.waiting = false
		call = func() { sink.Accepted(s) }
	case c.canOpen && c.why == nil:
		c.canOpen = false
		call = sink.CanOpen
	case c.over && !c.told:
		c.told = true
		why := c.why
		call = func() { sink.Ended(why.code, why.remote, why.err) }
	}
	c.mu.Unlock()
	if call != nil {
		c.news.look()
		call()
	}
}

var _ conduit.MuxedStream = (*stream)(nil)
