package mux

import (
	"errors"
	"time"

	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// shed resets the streams that have stood unread longest, until the session holds what it has the
// memory for and a step to spare. It reports whether it has reset any.
func (s *Session) shed(now time.Time) (did bool) {
	if s.over || !s.m.short(now, 0) {
		return false
	}
	why := s.m.scarce()
	for _, id := range s.m.unread() {
		if !s.m.short(now, memoryStep) {
			return did
		}
		did = true
		if e := s.streams[id]; e != nil {
			s.shedStream(now, e, why)
		} else {
			s.m.reset(now, id, CodeResourceLimit)
		}
	}
	// What remotes have ended in order comes last: they think that it was taken.
	for e := s.lingering.first; e != nil && s.m.short(now, memoryStep); {
		next := e.wait.next
		if e.left > 0 {
			did = true
			s.shedStream(now, e, why)
		}
		e = next
	}
	return did
}

func (s *Session) shedStream(now time.Time, e *entry, why error) {
	err := &ResetError{Code: CodeResourceLimit, Protocol: e.protocol(), Err: why}
	e.deaf = true
	if e.s != nil {
		e.s.Drop(err)
	}
	s.fail(now, e, CodeResourceLimit, err)
}

// consumed gives back n bytes that a handler is done with.
func (s *Session) consumed(now time.Time, e *entry, n int) {
	s.m.consumed(now, e.id, n)
	n = min(n, int(e.left))
	e.left -= int32(n)
	s.m.keep(-n)
}

// settle takes a stream that is over off the books, but for what a blocking reader has yet to read:
// its remote has ended it in order, perhaps a moment ago.
func (s *Session) settle(e *entry) {
	if e.left > smallBody && e.eof && !e.deaf && !e.isActor && e.s != nil && (e.end == nil || e.cut) && !s.over {
		e.late = true
		if s.late == nil {
			s.late = map[*stream.Stream]*entry{}
		}
		s.late[e.s] = e
		s.lingering.push(e, s.rt.Now().Add(s.cfg.Linger))
		e.s.Owe()
		return
	}
	s.m.keep(-int(e.left))
	e.left = 0
}

// lateNote is what is heard of a stream that is over.
func (s *Session) lateNote(now time.Time, h *stream.Stream) {
	e := s.late[h]
	if e == nil {
		return
	}
	s.consumed(now, e, s.order.Consumed)
	if s.order.CloseRead || e.left == 0 {
		s.lapse(e)
		return
	}
	s.lingering.push(e, now.Add(s.cfg.Linger))
}

var errUnread = errors.New("local: nothing of the rest was read for too long")

// failLate: a handler that has read nothing of the rest for as long as streams linger loses it.
// Whoever has opened a stream from here may go on reading; that is his own memory now.
func (s *Session) failLate(e *entry, why error) {
	if why == nil && e.info.Direction == conduit.Inbound {
		why = &ResetError{Protocol: e.protocol(), Err: errUnread}
	}
	if why != nil {
		e.s.Drop(why)
	}
	s.lapse(e)
}

// lapse forgets a stream that was over before.
func (s *Session) lapse(e *entry) {
	delete(s.late, e.s)
	e.leave()
	s.m.keep(-int(e.left))
	e.left = 0
	if len(s.streams)+len(s.late) == 0 {
		s.m.giveBack()
	}
}
