package yamux

import (
	"math"
	"time"
)

var noTime time.Time

// maxHeldSYNs is how many streams that were opened lazily may wait for their first frame. Each counts
// in the backlog of streams that are not acknowledged, and nobody may ever write to it.
const maxHeldSYNs = 16

// OpenStream opens a stream and returns its ID. Data may be written at once, and the SYN rides on it
// then. While OpenBacklog streams are not acknowledged it answers ErrOpenBacklog: a StreamAcked or
// StreamClosed event makes room.
func (s *Session) OpenStream(now time.Time) (uint32, error) {
	st, err := s.open(now)
	if err != nil {
		return 0, err
	}
	s.controlq.push(st)
	return st.id, nil
}

// OpenLazily is OpenStream for a caller that is about to write: the remote hears of the stream with
// its first frame, unless too many others wait for theirs.
func (s *Session) OpenLazily(now time.Time) (uint32, error) {
	st, err := s.open(now)
	if err != nil {
		return 0, err
	}
	if s.heldSYNs < maxHeldSYNs && s.room(st) <= 0 {
		st.heldSYN = true
		s.heldSYNs++
	} else {
		s.controlq.push(st)
	}
	return st.id, nil
}

func (s *Session) open(now time.Time) (*stream, error) {
	s.now = now
	switch {
	case s.err != nil:
		return nil, s.err
	case s.remoteGone != nil:
		return nil, s.remoteGone
	case s.draining:
		return nil, &GoAwayError{Code: GoAwayNormal}
	case s.nextID >= math.MaxUint32-1:
		return nil, ErrStreamsExhausted
	case s.unacked >= s.cfg.OpenBacklog:
		return nil, ErrOpenBacklog
	}
	st := s.newStream(s.nextID, false)
	s.nextID += 2
	st.wantSYN = true
	return st, nil
}

// Accept acknowledges an inbound stream. Writing to it does so too.
func (s *Session) Accept(now time.Time, id uint32) {
	s.now = now
	if st := s.streams[id]; st != nil {
		s.accept(st)
	}
}

// Refuse resets an inbound stream that was not accepted.
func (s *Session) Refuse(now time.Time, id uint32, code uint32) { s.Reset(now, id, code) }

// Write gives the stream one body to send. p is borrowed until Written or StreamClosed is
// drained for the stream, or until CancelWrite; one body at a time.
func (s *Session) Write(now time.Time, id uint32, p []byte) error {
	s.now = now
	st := s.streams[id]
	switch {
	case st == nil:
		return s.unknown()
	case st.writeClosed:
		return ErrWriteClosed
	case st.body != nil:
		return ErrWritePending
	}
	s.accept(st)
	if len(p) == 0 {
		s.events.push(Event{Kind: Written, ID: id})
		return nil
	}
	st.body, st.small = p, len(p) <= smallBody
	s.schedule(st)
	return nil
}

// CancelWrite gives the pending body of a stream back and returns how much of it is on the
// wire. After CloseWrite the remote then sees the end in the middle of a body: Reset says
// what happened, CancelWrite does not.
func (s *Session) CancelWrite(id uint32) (sent int) {
	st := s.streams[id]
	if st == nil || st.body == nil {
		return 0
	}
	sent = st.sent
	s.dataq.remove(st)
	s.bodyDone(st)
	if st.wantSYN || st.wantACK {
		s.controlq.push(st) // they were to ride on the body
	}
	return sent
}

// CloseWrite ends our direction of the stream after the pending body. Idempotent.
func (s *Session) CloseWrite(now time.Time, id uint32) error {
	s.now = now
	st := s.streams[id]
	if st == nil {
		return s.unknown()
	}
	if st.writeClosed {
		return nil
	}
	s.accept(st)
	st.writeClosed = true
	if st.body == nil {
		s.bodyDone(st)
	}
	return nil
}

// CloseRead says that nobody reads the stream any more. The protocol has no word for it: what
// still arrives is dropped and credited back, and there are no Data events. A remote that goes
// on past 16 MiB gets the stream reset with code. The stream itself lives until the remote has
// closed its direction too, or until Reset.
func (s *Session) CloseRead(now time.Time, id uint32, code uint32) {
	s.now = now
	st := s.streams[id]
	if st == nil || st.readClosed {
		return
	}
	st.readClosed, st.readCode = true, code
	s.hold(st, -st.held)
	s.credit(st, false)
}

// Reset ends both directions of a stream at once and tells the remote the code. StreamClosed
// follows; the pending body is the caller's again. Unknown streams are ignored.
func (s *Session) Reset(now time.Time, id uint32, code uint32) {
	s.now = now
	if st := s.streams[id]; st != nil {
		s.reset(st, code)
	}
}

func (s *Session) unknown() error {
	if s.err != nil {
		return s.err
	}
	return ErrUnknownStream
}
