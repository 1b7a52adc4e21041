package memory

import (
	"sync"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
)

// muxedEnd is one end of a conduit that carries streams. Everything below mu, and the streams of
// both ends, are guarded by it; the two ends share it.
type muxedEnd struct {
	t    *Transport
	ends conduit.Endpoints
	peer *muxedEnd

	mu      *sync.Mutex
	sink    conduit.MuxedSink
	arrived []*stream // opened by the remote, not handed over yet; at most t.cfg.MaxStreams
	busy    []*stream // have something to tell their sinks, in turn
	open    streams   // in the order of their opening
	lastID  uint64
	opened  int  // streams that this end opened and that count against the peer's MaxStreams
	refused bool // OpenStream failed: CanOpen is owed
	canOpen bool // and due

	over   *muxedEnded // set at the end
	told   bool        // the present sink knows of it
	posted bool        // a step is due or under way
	turn   bool        // the last step was for a stream
	cur    *stream     // whose sink is being called
}

// muxedEnded is how a Muxed conduit ended.
type muxedEnded struct {
	code   uint32
	remote bool
	err    error
}

var _ conduit.Muxed = (*muxedEnd)(nil)

func newMuxed(dialler, acceptor *Transport, ours, theirs conduit.Endpoints) (a, b *muxedEnd) {
	mu := new(sync.Mutex)
	// As in QUIC, the two lowest bits of a stream's ID say who opened it.
	a = &muxedEnd{t: dialler, ends: ours, mu: mu}
	b = &muxedEnd{t: acceptor, ends: theirs, mu: mu, peer: a, lastID: 1}
	a.peer = b
	return a, b
}

// Endpoints implements conduit.Muxed.
func (e *muxedEnd) Endpoints() conduit.Endpoints { return e.ends }

// Peer implements conduit.Muxed.
func (e *muxedEnd) Peer() identity.ID { return e.peer.t.id }

// PublicKey implements conduit.Muxed.
func (e *muxedEnd) PublicKey() identity.PublicKey { return e.peer.t.cfg.Key }

// Bind implements conduit.Muxed.
func (e *muxedEnd) Bind(s conduit.MuxedSink) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sink, e.told = s, false
	e.post()
}

// OpenStream implements conduit.Muxed.
func (e *muxedEnd) OpenStream() (conduit.MuxedStream, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over != nil {
		return nil, e.over.err
	}
	if e.opened >= e.peer.t.cfg.MaxStreams {
		e.refused = true
		return nil, fail(fault.Remote, "open a stream to", e.ends.Remote, ErrStreamLimit)
	}
	e.opened++
	id := e.lastID
	e.lastID += 4
	a := &stream{end: e, id: id, opener: e}
	b := &stream{end: e.peer, id: id, opener: e, peer: a, fresh: true}
	a.peer = b
	e.open.add(a)
	e.peer.open.add(b)
	e.peer.arrived = append(e.peer.arrived, b)
	e.peer.post()
	return a, nil
}

// Close implements conduit.Muxed.
func (e *muxedEnd) Close(code uint32, reason string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.close(code, reason, nil)
	return nil
}

// close is called with mu held. bug, if set, is what this end sees as the reason.
func (e *muxedEnd) close(code uint32, reason string, bug error) {
	if e.over != nil {
		return
	}
	local := bug
	if local == nil {
		local = &CodeError{Transport: name, Code: code, Op: "conduit closed", Reason: reason}
	}
	e.end(&muxedEnded{code, false, local})
	e.peer.end(&muxedEnded{code, true, &CodeError{Transport: name, Code: code, Remote: true, Op: "conduit closed", Reason: reason}})
}

func (e *muxedEnd) end(how *muxedEnded) {
	e.over = how
	e.canOpen, e.refused = false, false
	for s := e.open.first; s != nil; {
		next := s.next
		s.lose(how.code, how.remote, how.err)
		s = next
	}
	e.post()
}

// release takes a stream's place back once both ends are through with it. It is called with mu
// held, by the opener's end.
func (e *muxedEnd) release() {
	e.opened--
	if e.refused && e.over == nil {
		e.refused, e.canOpen = false, true
		e.post()
	}
}

// streams is a list in the order of opening.
type streams struct{ first, last *stream }

func (l *streams) add(s *stream) {
	s.prev = l.last
	if l.last != nil {
		l.last.next = s
	} else {
		l.first = s
	}
	l.last = s
}

func (l *streams) remove(s *stream) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		l.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		l.last = s.prev
	}
	s.prev, s.next = nil, nil
}
