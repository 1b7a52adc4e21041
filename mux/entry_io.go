package mux

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/internal/buf"
)

// pump lends the muxer the next thing to send.
func (s *Session) pump(now time.Time, e *entry) {
	if e.muxGone {
		e.drop()
		return
	}
	for e.lent == lentNone && !e.finSent {
		var p []byte
		switch {
		case len(e.prefix) > 0:
			p, e.lent = e.prefix, lentPrefix
			if e.dial != nil && e.wait.list == nil {
				s.negotiating.push(e, now.Add(s.cfg.NegotiateTimeout)) // a lazy stream's word is out
			}
		case e.out.len() > 0:
			p, e.lent = e.out.first().B, lentBuf
			if len(p) == 0 {
				s.sent(e, 0)
				continue
			}
		case e.hasBody:
			p, e.lent = e.body, lentBody
		case e.finAsked:
			e.finSent = true
			_ = s.m.closeWrite(now, e.id)
			s.lingerIfDone(now, e)
			return
		default:
			return
		}
		if s.m.write(now, e.id, p) != nil {
			e.lent = lentNone // the stream is over; its end gives everything back
		}
		return
	}
}

// sent gives back what was lent.
func (s *Session) sent(e *entry, n int) {
	kind := e.lent
	e.lent = lentNone
	switch kind {
	case lentPrefix:
		e.prefix = nil
	case lentBuf:
		e.out.pop().Release()
		e.s.Sealed(n)
	case lentBody:
		e.body, e.hasBody = nil, false
		e.s.WriteDone(n, nil)
	case lentNone:
	}
}

func (s *Session) written(now time.Time, ev event) {
	e := s.streams[ev.id]
	if e == nil || e.lent == lentNone {
		return
	}
	s.sent(e, ev.n)
	s.pump(now, e)
}

// withdraw gives a blocking writer its body back.
func (s *Session) withdraw(e *entry) {
	n := 0
	if e.lent == lentBody {
		n = s.m.cancelWrite(e.id)
		e.lent = lentNone
	}
	e.body, e.hasBody = nil, false
	e.s.WriteDone(n, nil)
}

// data takes bytes of one stream: negotiation first, the rest to the handler.
func (s *Session) data(ctx actor.Context, now time.Time, ev event) {
	e := s.streams[ev.id]
	if e == nil {
		s.m.consumed(now, ev.id, len(ev.p))
		return
	}
	p := ev.p
	if e.listen != nil || e.dial != nil {
		used, err := s.agree(ctx, now, e, p)
		s.m.consumed(now, e.id, used)
		if err != nil {
			s.fail(now, e, CodeNegotiation, &NegotiationError{Protocols: e.proposed(), Err: err})
			return
		}
		p = p[used:]
	}
	switch {
	case len(p) == 0:
	case e.deaf:
		s.m.consumed(now, e.id, len(p))
	case e.isActor:
		e.keep(p)
		s.deliver(now, e)
	case !e.s.Fill(p):
		s.m.consumed(now, e.id, len(p))
	}
}

// keep copies p behind what already waits; small pieces share a buffer.
func (e *entry) keep(p []byte) {
	if e.in.len() > 0 {
		p = p[e.in.last().Append(p):]
	}
	for len(p) > 0 {
		b := buf.Get(min(max(len(p), 512), 64<<10))
		b.B = b.B[:0]
		p = p[b.Append(p):]
		e.in.push(b)
	}
}

// deliver hands an actor handler its next Data, one at a time, and the end right behind the last.
func (s *Session) deliver(now time.Time, e *entry) {
	if !e.up {
		return
	}
	if e.outside == 0 && e.in.len() > 0 {
		b := e.in.pop()
		e.outside = int32(len(b.B))
		s.moving = true
		s.corks.add(e, now)
		e.s.Deliver(b)
	}
	if e.in.len() > 0 {
		return
	}
	if e.eof && !e.eofTold {
		e.eofTold = true
		s.corks.add(e, now)
		e.s.RemoteClosed()
	}
	if e.muxGone && e.outside == 0 {
		s.forget(e, e.end)
	}
}

func (s *Session) remoteClosed(now time.Time, ev event) {
	e := s.streams[ev.id]
	if e == nil {
		return
	}
	e.eof = true
	switch {
	case e.s == nil || e.dial != nil:
		s.fail(now, e, CodeNegotiation, &NegotiationError{Protocols: e.proposed(), Err: errNoWord})
	case e.isActor:
		s.deliver(now, e)
	default:
		e.s.RemoteClosed()
	}
}
