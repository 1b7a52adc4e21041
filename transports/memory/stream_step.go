package memory

import (
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// streamEvent is what one step tells a stream's sink.
type streamEvent interface{ tell(s conduit.StreamSink) }

type streamOffer struct{ b *buf.Buf }
type streamWritable struct{}
type streamRemoteClosed struct{}
type streamReset struct {
	code   uint32
	remote bool
	err    error
}

func (o streamOffer) tell(s conduit.StreamSink)      { s.Offer(o.b) }
func (streamWritable) tell(s conduit.StreamSink)     { s.Writable() }
func (streamRemoteClosed) tell(s conduit.StreamSink) { s.RemoteClosed() }
func (r *streamReset) tell(s conduit.StreamSink)     { s.Reset(r.code, r.remote, r.err) }

// due says whether the sink has something to hear. It is called with mu held.
func (s *stream) due() bool {
	switch {
	case s.sink == nil:
		return false
	case s.gone:
		return s.lost != nil
	case s.writable:
		return true
	case s.deaf:
		return false
	case s.in.n > 0:
		return s.credits > 0
	}
	return s.finIn && !s.finTold
}

// wake puts the stream in line for a step if it has something to tell. It is called with mu held.
func (s *stream) wake() {
	if !s.queued && s.due() {
		s.queued = true
		s.end.busy = append(s.end.busy, s)
		s.end.post()
	}
}

// nextEvent is called with mu held.
func (s *stream) nextEvent() streamEvent {
	switch {
	case !s.due():
		return nil
	case s.gone:
		lost := s.lost
		s.lost = nil
		return lost
	case s.writable:
		s.writable = false
		return streamWritable{}
	case s.in.n > 0:
		s.credits--
		b := s.in.pop()
		// A writer that is woken for a few bytes writes a few bytes: wait for half a window.
		if p, w := s.peer, s.end.t.cfg.Window; p.blocked && !p.gone && s.in.n <= w/2 {
			p.blocked, p.writable = false, true
			p.wake()
		}
		return streamOffer{b}
	default:
		s.finTold = true
		s.settle()
		return streamRemoteClosed{}
	}
}
