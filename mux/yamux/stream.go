package yamux

import "time"

// stream is the state of one stream; its Session owns it.
type stream struct {
	id      uint32
	inbound bool

	// Opening. An inbound stream is accepted once; an outbound one is announced (its SYN is
	// on the wire) and then acked.
	accepted, announced, acked bool
	opened                     time.Time

	// What the next frame of the stream must carry.
	wantSYN, wantACK, wantFIN, wantCredit bool
	heldSYN                               bool // for the first frame

	// Sending.
	body         []byte // borrowed from the caller of Write; nil when there is none
	sent         int    // of body
	sendWindow   uint32
	used         bool      // data was sent since the last credit
	blockedSince time.Time // zero unless a body waits for window
	writeClosed  bool      // CloseWrite was called
	finSent      bool
	small        bool // the body is, or was last

	// Receiving. grant + held + what is left of an arriving body never exceeds window, or
	// what that was when the credit was granted.
	window       int // target of the receive window
	grant        uint32
	held         int       // delivered and not consumed
	since        time.Time // when it last began to hold, or consumed, something
	moved        uint64    // the session's moves then
	epoch        time.Time
	readClosed   bool
	readCode     uint32
	discarded    int
	remoteClosed bool

	links [numQueues]link
}

// maxFreeStreams is how many ended streams a session keeps for reuse while it is busy, if it has
// nobody to share them with.
const maxFreeStreams = 255

// newStream makes the state of stream id and counts it.
func (s *Session) newStream(id uint32, inbound bool) *stream {
	st := s.spare()
	*st = stream{
		id:         id,
		inbound:    inbound,
		opened:     s.now,
		epoch:      s.now,
		sendWindow: ProtocolWindow,
		grant:      ProtocolWindow,
		window:     ProtocolWindow,
	}
	s.widen(st, s.cfg.InitialWindow)
	if inbound {
		s.inbound++
		s.unaccepted++
	} else {
		s.unacked++
	}
	s.streams[id] = st
	return st
}

func (s *Session) spare() *stream {
	st := s.free
	switch {
	case s.cfg.Spare != nil:
		st, _ = s.cfg.Spare.Get().(*stream)
	case st != nil:
		s.free = st.links[0].next
		s.numFree--
	}
	if st == nil {
		st = new(stream)
	}
	return st
}

// drop ends st: everything that knows it forgets it, and StreamClosed is its last event. The
// caller must not use st afterwards.
func (s *Session) drop(st *stream) {
	if s.err != nil {
		return // end has taken care of every stream
	}
	delete(s.streams, st.id)
	s.controlq.remove(st)
	s.dataq.remove(st)
	s.letSYNGo(st)
	if s.body.st == st {
		s.body.st = nil // the rest of the frame is skipped
	}
	if st.inbound {
		s.inbound--
		if !st.accepted {
			s.unaccepted--
		}
	} else if !st.acked {
		s.unacked--
	}
	s.events.push(Event{Kind: StreamClosed, ID: st.id, N: st.held})
	s.hold(st, -st.held)
	s.resize(st, ProtocolWindow)
	if s.narrow == st {
		s.narrow = nil
	}
	*st = stream{}
	switch {
	case s.cfg.Spare != nil:
		s.cfg.Spare.Put(st)
	case s.numFree < maxFreeStreams:
		st.links[0].next = s.free
		s.free = st
		s.numFree++
	}
	s.finishIfDrained()
}

// dropIfDone ends st when both directions are closed and our FIN has been written.
func (s *Session) dropIfDone(st *stream) bool {
	if !st.finSent || !st.remoteClosed {
		return false
	}
	s.late.allow(0)
	s.drop(st)
	return true
}

// ack notes that the remote knows our stream and reports whether that is news.
func (s *Session) ack(st *stream) bool {
	if st.inbound || st.acked {
		return false
	}
	st.acked = true
	s.unacked--
	s.prove()
	s.events.push(Event{Kind: StreamAcked, ID: st.id})
	return true
}

// letSYNGo takes st off the number of those whose SYN waits.
func (s *Session) letSYNGo(st *stream) {
	if st.heldSYN {
		st.heldSYN = false
		s.heldSYNs--
	}
}

// accept notes that the caller takes an inbound stream; the next frame tells the remote.
func (s *Session) accept(st *stream) {
	if !st.inbound || st.accepted {
		return
	}
	st.accepted = true
	s.unaccepted--
	st.wantACK = true
	s.controlq.push(st)
}
