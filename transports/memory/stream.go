package memory

import (
	"slices"

	"github.com/troupe-p2p/troupe/transports/conduit"
)

// stream is one end of a stream. All of it is guarded by the conduit's mu.
type stream struct {
	end    *muxedEnd
	peer   *stream
	opener *muxedEnd
	id     uint64

	sink    conduit.StreamSink
	credits int
	in      chunks // written by the peer, not offered yet; at most the window
	finIn   bool   // the peer has ended its direction
	finTold bool   // and the sink knows
	deaf    bool   // CloseRead was called

	finOut   bool
	stopped  *CodeError // the peer has called CloseRead
	blocked  bool       // a TryWrite took less than it was given: Writable is owed
	writable bool       // and due

	gone   bool         // reset by either side, or the conduit ended
	lost   *streamReset // Reset is due
	fresh  bool         // in end.arrived
	queued bool         // in end.busy
	past   bool         // no longer in end.open

	prev, next *stream // in end.open
}

var _ conduit.MuxedStream = (*stream)(nil)

// ID implements conduit.MuxedStream.
func (s *stream) ID() uint64 { return s.id }

// Bind implements conduit.MuxedStream.
func (s *stream) Bind(sink conduit.StreamSink, credits int) {
	s.end.mu.Lock()
	defer s.end.mu.Unlock()
	s.sink, s.credits = sink, max(credits, 1)
	s.wake()
}

// More implements conduit.MuxedStream.
func (s *stream) More() {
	s.end.mu.Lock()
	defer s.end.mu.Unlock()
	s.credits++
	s.wake()
}

// TryWrite implements conduit.MuxedStream.
func (s *stream) TryWrite(p []byte) (int, error) {
	s.end.mu.Lock()
	defer s.end.mu.Unlock()
	switch {
	case s.gone:
		return 0, s.goneErr()
	case s.finOut:
		return 0, ErrWriteClosed
	case s.stopped != nil:
		return 0, s.stopped
	}
	cfg := &s.peer.end.t.cfg
	n := s.peer.in.push(p, cfg.Window-s.peer.in.n, cfg.ReadBuffer)
	s.blocked = s.blocked || n < len(p)
	s.peer.wake()
	return n, nil
}

// goneErr is called with mu held.
func (s *stream) goneErr() error {
	if s.end.over != nil {
		return s.end.over.err
	}
	return ErrClosed
}

// CloseWrite implements conduit.MuxedStream.
func (s *stream) CloseWrite() error {
	s.end.mu.Lock()
	defer s.end.mu.Unlock()
	if s.gone {
		return s.goneErr()
	}
	if !s.finOut {
		s.finOut, s.blocked, s.writable = true, false, false
		s.peer.finIn = true
		s.peer.wake()
		s.settle()
	}
	return nil
}

// CloseRead implements conduit.MuxedStream. A remote that writes learns of it from its next
// TryWrite; one that waits for Writable is woken for that.
func (s *stream) CloseRead(code uint32) error {
	s.end.mu.Lock()
	defer s.end.mu.Unlock()
	if s.gone {
		return s.goneErr()
	}
	if s.deaf {
		return nil
	}
	s.deaf = true
	s.in.drop()
	p := s.peer
	if !p.finOut {
		p.stopped = &CodeError{Transport: name, Code: code, Remote: true, Op: "reading stopped"}
		p.writable = p.writable || p.blocked
		p.blocked = false
		p.wake()
		p.settle()
	}
	s.settle()
	return nil
}

// Reset implements conduit.MuxedStream. The owner's sink hears nothing more.
func (s *stream) Reset(code uint32) error {
	s.end.mu.Lock()
	defer s.end.mu.Unlock()
	if s.gone {
		return nil
	}
	s.peer.lose(code, true, &CodeError{Transport: name, Code: code, Remote: true, Op: "stream reset"})
	s.gone = true
	s.in.drop()
	s.settle()
	return nil
}

// lose ends the stream for its owner, who is going to be told. It is called with mu held.
func (s *stream) lose(code uint32, remote bool, err error) {
	if s.gone {
		return
	}
	s.gone = true
	s.lost = &streamReset{code, remote, err}
	s.in.drop()
	if s.fresh { // nobody has seen it, nobody has to
		s.fresh = false
		i := slices.Index(s.end.arrived, s)
		s.end.arrived = slices.Delete(s.end.arrived, i, i+1)
	}
	s.settle()
	s.wake()
}

// settle takes the stream off the books when nothing can happen to it any more, and gives its
// place back when that holds for both ends. It is called with mu held.
func (s *stream) settle() {
	in := s.deaf || s.finTold
	out := s.finOut || s.stopped != nil
	if s.past || !s.gone && !(in && out) {
		return
	}
	s.past = true
	s.end.open.remove(s)
	if s.peer.past {
		s.opener.release()
	}
}
