package simnet

import (
	"io"
	"runtime/debug"

	"github.com/troupe-p2p/troupe/actors"
)

// receive takes what has come from the other end.
func (s *stream) receive(g *segment) taker {
	from := s.peer.h
	if s.state == granted && g.kind != Reset {
		if !s.accepted() {
			if g.b != nil {
				g.b.Release()
			}
			return nil
		}
		if g.kind == Ack {
			s.n.observe(g.kind, from, s.h, s.num, g.off, nil)
			if s.via != nil {
				return s.via
			}
		}
	}
	switch g.kind {
	case Data:
		if s.closed { // and nobody is going to read it
			g.b.Release()
			s.abort()
			return nil
		}
		s.n.observe(g.kind, from, s.h, s.num, g.off, g.b.B)
		s.in.add(g.b)
	case Fin:
		s.n.observe(g.kind, from, s.h, s.num, g.off, nil)
		s.fin = true
		if s.over == nil {
			s.over = io.EOF
		}
		if s.closed && s.out.head == len(s.out.q) {
			s.forget()
		}
	case Reset:
		s.n.observe(g.kind, from, s.h, s.num, g.off, nil)
		s.reset()
	}
	return s
}

// due says whether the sink has something to hear.
func (s *stream) due() bool {
	switch {
	case s.sink == nil || s.dead:
		return false
	case s.drained:
		return true
	case s.in.n > 0:
		return s.credits > 0
	}
	return s.over != nil && !s.ended
}

// post implements taker. It is called after everything that may make a turn due.
func (s *stream) post() {
	if !s.posted && s.due() {
		s.posted = true
		s.n.soon(s.onPost)
	}
}

func (s *stream) posting() {
	s.posted = false
	s.turn()
}

// turn implements taker: one call to the sink.
func (s *stream) turn() {
	if s.posted || !s.due() {
		return
	}
	clean := false
	defer func() {
		if !clean {
			s.failed(s.n.caught(recover(), "simnet "+s.String()))
		}
	}()
	switch k := s.sink; {
	case s.drained:
		err := s.drainErr
		s.draining, s.drained, s.drainErr = false, false, nil
		k.Drained(err)
	case s.in.n > 0:
		s.credits--
		b := s.in.next()
		s.use(len(b.B))
		k.Offer(b)
	default:
		s.ended = true
		k.Ended(s.over)
	}
	clean = true
	s.post()
}

// failed contains a panic of the sink: that is the end of the stream.
func (s *stream) failed(pe *actors.PanicError) {
	s.close(pe)
	s.over = pe // whoever closed it, this is the better reason
	s.post()
}

func (n *Network) caught(value any, path string) *actors.PanicError {
	return &actors.PanicError{Path: path, Value: value, Message: "delivery", At: n.now(), Stack: debug.Stack()}
}

// use notes that the reader has k more bytes, and lets the sender know when it pays: a window's
// quarter at a time. If that is lost, the sender asks when its window is full.
func (s *stream) use(k int) {
	s.used += int64(k)
	p := s.peer
	if s.used-s.told < int64(max(1, p.out.window/4)) || p.state == gone || p.closed {
		return
	}
	s.told = s.used
	used, back := s.used, s.n.path(s.h, p.h)
	s.n.after(back.travel(), func() {
		if !back.blocked() {
			p.acknowledged(used)
		}
	})
}

// acknowledged moves the window: the receiver has used up so many bytes.
func (s *stream) acknowledged(used int64) {
	if s.state == gone {
		return
	}
	s.out.acked = max(s.out.acked, used)
	s.drain()
	s.turn()
}
