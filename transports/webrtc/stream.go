package webrtc

import (
	"time"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	"github.com/pion/sctp"
)

// stream is one data channel. Whoever bound a sink last owns it; the connection's mu guards it.
type stream struct {
	c    *conn
	st   *sctp.Stream
	id   uint16
	ours bool // opened by us

	queued bool // there may be something to tell; news.mu guards it

	held    bool      // counts among the open streams
	opening bool      // the remote's open has not come
	waiting bool      // for its owner, in conn.accepted
	since   time.Time // it waits for something: its open, FIN_ACK, the remote's reset

	sink    conduit.StreamSink
	credits int

	// Of the remote's direction.
	in        []*buf.Buf // not offered yet
	unread    int        // bytes in in; at most StreamWindow and a message
	part      []byte     // the begin of a frame
	got       uint64     // bytes that came
	consumed  uint64     // bytes that were offered
	granted   uint64     // how far the remote may write, if it asks
	lent      int        // by how much the window is wider than the first one
	remoteFin bool
	full      time.Time // since when reading waits for room; zero: it does not
	finTold   bool
	deaf      bool // CloseRead was called

	// Of ours.
	sent    uint64
	limit   uint64 // how far the remote lets us write, if it says
	blocked bool   // a TryWrite took less than it was given: Writable is owed
	small   bool   // the last one was of few bytes
	fin     bool   // CloseWrite was called, and FIN sent
	finAck  bool
	stopped *CodeError // the remote has stopped reading

	gone    bool    // reset by either side, or the connection ended
	lost    *ending // Reset is due
	closing bool    // our direction of the channel is reset: nothing can be sent
	eof     bool    // the remote's is
	next    bool    // the remote has used the number for another channel before that
	over    bool    // both are
	owed    bool    // and the remote has not acknowledged all that was sent
}

// ID implements conduit.MuxedStream.
func (s *stream) ID() uint64 { return uint64(s.id) }

// Bind implements conduit.MuxedStream.
func (s *stream) Bind(sink conduit.StreamSink, credits int) {
	s.c.mu.Lock()
	s.sink, s.credits = sink, max(credits, 1)
	s.c.mu.Unlock()
	s.c.news.of(s)
}

// More implements conduit.MuxedStream.
func (s *stream) More() {
	s.c.mu.Lock()
	s.credits++
	s.c.mu.Unlock()
	s.c.news.of(s)
}

// CloseRead implements conduit.MuxedStream.
func (s *stream) CloseRead(code uint32) error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	switch {
	case s.gone:
		return s.c.gone()
	case s.deaf || s.finTold:
		return nil
	}
	s.deaf = true
	s.forgetUnread()
	if !s.remoteFin {
		s.say(frame{flag: flagStopSending, code: code})
	}
	s.settle()
	return nil
}

// Reset implements conduit.MuxedStream. The owner's sink hears nothing more.
func (s *stream) Reset(code uint32) error {
	s.drop(code, nil)
	return nil
}

// drop ends both directions. lost is what the sink is to be told.
func (s *stream) drop(code uint32, lost *ending) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if !s.gone {
		s.say(frame{flag: flagReset, code: code})
		s.forget(lost)
		s.settle()
	}
}

// refuse is drop for what the remote did wrong. It is called with mu held.
func (s *stream) refuse(code uint32, err error) {
	if !s.gone {
		s.say(frame{flag: flagReset, code: code})
		s.forget(&ending{code: code, err: err})
		s.settle()
	}
}

// forget is called with mu held.
func (s *stream) forget(lost *ending) {
	s.gone, s.lost, s.blocked = true, lost, false
	s.part = nil
	s.forgetUnread()
	if s.waiting { // nobody has seen it, nobody has to
		s.waiting = false
		for i, o := range s.c.accepted {
			if o == s {
				s.c.accepted = append(s.c.accepted[:i], s.c.accepted[i+1:]...)
				break
			}
		}
	}
}

// forgetUnread is called with mu held.
func (s *stream) forgetUnread() {
	for _, b := range s.in {
		b.Release()
	}
	s.in = nil
	s.c.unread -= s.unread
	s.unread = 0
	s.giveBack()
	s.c.space.Broadcast()
}

// lose ends the stream because its connection has ended. It is called with mu held.
func (s *stream) lose(why *ending) {
	s.st.OnBufferedAmountLow(nil)
	if !s.gone {
		s.forget(why)
		s.c.news.of(s)
	}
}

// say sends a frame without bytes of the stream. Of each kind there is one for a stream, but for grants,
// which take bytes that were read. It is called with mu held.
func (s *stream) say(f frame) {
	if !s.closing && !s.eof {
		_, _ = s.st.WriteSCTP(appendFrame(nil, f), sctp.PayloadTypeWebRTCBinary)
	}
}

// settle closes the channel when nothing can happen on it any more, and forgets it when the remote has
// closed it as well. It is called with mu held.
func (s *stream) settle() {
	read := s.remoteFin || s.deaf || s.gone
	written := s.finAck || s.stopped != nil || s.gone
	if (read && written || s.eof) && !s.closing {
		s.closing = true
		s.since = s.c.t.rt.Now()
		s.st.SetBufferedAmountLowThreshold(0)
		_ = s.st.Close() // behind what was sent
		if !s.ours {
			s.release()
		}
		s.c.linger()
	}
	if !s.closing || !s.eof {
		return
	}
	if !s.over {
		s.over, s.owed = true, true
		s.c.lingers--
		s.c.owed++
		s.release()
	}
	s.paid()
	if s.c.streams[s.id] == s && (s.finTold || s.deaf || s.gone) {
		delete(s.c.streams, s.id)
	}
}

// paid looks whether the remote has all that was sent on a stream that is over. It is called with mu held.
func (s *stream) paid() {
	if s.owed && s.st.BufferedAmount() == 0 {
		s.owed = false
		s.c.owed--
		s.c.space.Broadcast()
	}
}

// release gives its place among the open streams back. It is called with mu held.
func (s *stream) release() {
	if !s.held {
		return
	}
	s.held = false
	if !s.ours {
		s.c.theirs--
		return
	}
	s.c.ours--
	if s.c.refused {
		s.c.refused, s.c.canOpen = false, true
		s.c.news.look()
	}
}

// late ends the waiting for a remote that does not do its part. It is called with mu held.
func (s *stream) late(now time.Time) {
	if !s.full.IsZero() && now.Sub(s.full) >= s.c.t.cfg.Stall && s.c.ours+s.c.theirs > 1 {
		s.refuse(codeLimit, fail(fault.Limit, "read from", s.c.ends.Remote, ErrStalled))
		s.c.news.of(s)
	}
	if now.Sub(s.since) < patience {
		return
	}
	switch {
	case s.opening && !s.gone:
		s.refuse(codeProtocol, fail(fault.Remote, "take a stream of", s.c.ends.Remote, errSilent))
	case s.closing: // its number stays taken, and it counts until the remote closes it
		s.release()
	case s.fin && !s.finAck && (s.remoteFin || s.deaf): // all that is missing
		s.finAck = true
		s.settle()
	}
}

// tell lets the stream's owner know one thing, and comes again if there is more.
func (s *stream) tell() {
	s.c.mu.Lock()
	s.c.feed()
	s.paid()
	sink := s.sink
	if sink == nil {
		s.c.mu.Unlock()
		return
	}
	var call func()
	switch {
	case s.lost != nil:
		lost := s.lost
		s.lost = nil
		call = func() { sink.Reset(lost.code, lost.remote, lost.err) }
	case s.gone:
	case len(s.in) > 0 && s.credits > 0:
		b := s.take()
		call = func() { sink.Offer(b) }
	case len(s.in) == 0 && s.remoteFin && !s.finTold && !s.deaf:
		s.finTold = true
		s.giveBack()
		s.settle()
		call = sink.RemoteClosed
	case s.blocked && s.canWrite():
		s.blocked = false
		call = sink.Writable
	}
	s.c.mu.Unlock()
	if call != nil {
		s.c.news.of(s) // for the next thing
		call()
	}
}

// take is the next buffer to offer. It is called with mu held.
func (s *stream) take() *buf.Buf {
	b := s.in[0]
	s.in[0] = nil
	s.in = s.in[1:]
	s.credits--
	s.unread -= len(b.B)
	s.c.unread -= len(b.B)
	s.consumed += uint64(len(b.B))
	s.c.space.Broadcast()
	if s.c.window > 0 && !s.remoteFin && s.granted-s.consumed <= uint64(firstWindow+s.lent)/2 {
		s.borrow()
		s.granted = s.consumed + uint64(firstWindow+s.lent)
		s.say(frame{window: s.granted})
	}
	return b
}

// borrow widens the window of a stream that is read, if others have left something of it. Every
// stream keeps its first window, so none waits for another one's reader. It is called with mu held.
func (s *stream) borrow() {
	more := s.c.t.cfg.StreamWindow - firstWindow
	if cfg := &s.c.t.cfg; s.lent == 0 && s.c.lent+more <= cfg.unread()-cfg.firstWindows() {
		s.lent = more
		s.c.lent += more
	}
}

// giveBack ends that, when nothing more can come. It is called with mu held.
func (s *stream) giveBack() {
	s.c.lent -= s.lent
	s.lent = 0
}
