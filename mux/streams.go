package mux

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation/multistream"
	"github.com/troupe-p2p/troupe/stream"
)

// CodeResourceLimit is go-libp2p's stream code for a limit of the receiver.
const CodeResourceLimit uint32 = 0x1002

// streamArrived counts a new inbound stream before anything is spawned for it: a SYN of 12 bytes
// buys an entry, not an actor.
func (s *Session) streamArrived(now time.Time, ev event) {
	if s.closing || !s.cfg.Streams.Take(1) {
		s.refused++
		s.m.refuse(now, ev.id, CodeResourceLimit)
		return
	}
	e := s.newEntry(ev.id, true)
	s.inbound++
	e.listen = multistream.NewListener(func(name []byte) (string, bool) {
		proto, h, ok := s.cfg.Lookup(name)
		if ok {
			e.handler = h
		}
		return proto, ok
	})
	s.negotiate(now, e)
	s.m.accept(now, ev.id)
	if len(s.streams) == 1 {
		s.told()
	}
}

func (s *Session) negotiate(now time.Time, e *entry) {
	e.waits = &s.negotiating
	s.negotiating.push(e, now.Add(s.cfg.NegotiateTimeout))
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
		var used int
		var err error
		if e.listen != nil {
			used, err = s.heard(ctx, now, e, p)
		} else {
			used, err = s.answered(ctx, now, e, p)
		}
		s.m.consumed(now, e.id, used)
		if err != nil {
			s.fail(now, e, CodeNegotiation, err)
			s.m.consumed(now, e.id, len(p)-used)
			return
		}
		p = p[used:]
	}
	if len(p) == 0 {
		return
	}
	switch {
	case e.deaf:
		s.m.consumed(now, e.id, len(p))
	case e.s != nil && e.s.IsBlocking():
		if !e.s.Fill(p) {
			s.m.consumed(now, e.id, len(p))
		}
	default:
		e.keep(p)
		s.deliver(e)
	}
}

// keep copies p behind what already waits; small pieces share a buffer.
func (e *entry) keep(p []byte) {
	if n := len(e.in); n > 0 {
		p = p[e.in[n-1].Append(p):]
	}
	for len(p) > 0 {
		b := buf.Get(min(max(len(p), 512), 64<<10))
		b.B = b.B[:0]
		p = p[b.Append(p):]
		e.in = append(e.in, b)
	}
}

// deliver hands an actor handler its next Data, one at a time, and the end behind the last.
func (s *Session) deliver(e *entry) {
	if !e.up || e.s == nil || e.s.IsBlocking() || e.outside > 0 {
		return
	}
	if len(e.in) > 0 {
		b := e.in[0]
		e.in[0] = nil
		if e.in = e.in[1:]; len(e.in) == 0 {
			e.in = nil
		}
		e.outside = len(b.B)
		e.s.Deliver(b)
		return
	}
	if e.eof && !e.eofTold {
		e.eofTold = true
		e.s.RemoteClosed()
	}
	if e.muxGone {
		s.forget(e, nil)
		s.told()
	}
}

func (s *Session) remoteClosed(now time.Time, ev event) {
	e := s.streams[ev.id]
	if e == nil {
		return
	}
	e.eof = true
	switch {
	case e.s == nil:
		s.fail(now, e, CodeNegotiation, fmt.Errorf("remote: closed the stream before a protocol was agreed on"))
	case e.s.IsBlocking():
		if e.dial != nil {
			s.fail(now, e, CodeNegotiation, fmt.Errorf("remote: closed the stream without an answer for %s", e.info.Protocol))
			return
		}
		e.s.RemoteClosed()
	default:
		s.deliver(e)
	}
}

// heard feeds the listening side of a stream's negotiation.
func (s *Session) heard(ctx actor.Context, now time.Time, e *entry, p []byte) (int, error) {
	used, err := e.listen.HandleBytes(p)
	if err != nil {
		return used, fmt.Errorf("remote: stream negotiation: %w", err)
	}
	e.prefix = e.listen.AppendOutput(e.prefix)
	proto, ok := e.listen.Done()
	if ok {
		e.listen, e.waits = nil, nil
		e.info.Protocol = proto
		s.serve(ctx, e, e.handler)
	}
	s.pump(now, e)
	return used, nil
}

// serve makes the stream's handle and spawns its actor, which starts the handler.
func (s *Session) serve(ctx actor.Context, e *entry, h stream.Handler) {
	e.s = stream.New(actors.Cast[stream.Command](s.self), e.info)
	var b *stream.Blocking
	if h.Actor == nil {
		b = e.s.Block(s.rt)
	}
	e.handler = h
	ref, err := actors.Spawn[streamMsg](ctx, streamSpec(e.s, b, h, s.self))
	if err != nil {
		panic(err) // a name of ours is taken, or a spec without New: a bug
	}
	e.actor = ref
}

// handlerUp: the handler takes messages now.
func (s *Session) handlerUp(_ time.Time, m *handlerUp) {
	if e := s.streams[m.id]; e != nil {
		e.up = true
		s.deliver(e)
	}
}

// openStream opens a stream of ours. With one protocol the negotiation is lazy: its bytes go out
// with the first data.
func (s *Session) openStream(ctx actor.Context, now time.Time, m *messages.OpenStream) {
	if m.Reply.Gone() {
		return
	}
	if s.closing || s.m == nil {
		m.Reply.Fail(&ConnError{Code: s.code, Remote: s.remote, Err: s.err})
		return
	}
	d, err := multistream.NewDialer(m.Protocols...)
	if err != nil {
		m.Reply.Fail(fmt.Errorf("local: %w", err))
		return
	}
	if !s.cfg.Streams.Take(1) {
		m.Reply.Fail(s.cfg.Streams.Why())
		return
	}
	id, err := s.m.open(now)
	if err != nil {
		s.cfg.Streams.Give(1)
		m.Reply.Fail(err)
		return
	}
	e := s.newEntry(id, false)
	e.dial, e.open = d, m
	e.prefix = d.AppendOutput(nil)
	s.negotiate(now, e)
	if len(s.streams) == 1 {
		s.told()
	}
	if len(m.Protocols) > 1 || m.Confirm {
		s.pump(now, e)
		return
	}
	e.info.Protocol = m.Protocols[0]
	s.opened(ctx, now, e, true)
}

// opened answers the request with the stream's handle.
func (s *Session) opened(ctx actor.Context, now time.Time, e *entry, lazy bool) {
	m := e.open
	e.open = nil
	s.serve(ctx, e, m.Handler)
	if lazy {
		e.s.Lazy(s.rt)
		if !e.s.IsBlocking() || m.Handler.Run != nil {
			s.pump(now, e) // a handler may well wait for the remote to begin
		}
	}
	if m.Reply.Gone() {
		s.fail(now, e, 0, fmt.Errorf("local: whoever opened the stream has given up"))
		return
	}
	m.Reply.Answer(e.s)
}

// answered feeds the dialling side of a stream's negotiation.
func (s *Session) answered(ctx actor.Context, now time.Time, e *entry, p []byte) (int, error) {
	used, err := e.dial.HandleBytes(p)
	if err != nil {
		return used, fmt.Errorf("remote: stream negotiation: %w", err)
	}
	e.prefix = e.dial.AppendOutput(e.prefix)
	proto, ok := e.dial.Done()
	if !ok {
		s.pump(now, e)
		return used, nil
	}
	e.dial, e.waits = nil, nil
	e.info.Protocol = proto
	if e.s == nil {
		s.opened(ctx, now, e, false)
	} else {
		e.s.Agreed(nil)
	}
	s.maybeLinger(now, e)
	return used, nil
}

// streamActorEnded: whoever stops a stream's actor ends the stream.
func (s *Session) streamActorEnded(ctx actor.Context, now time.Time) {
	for _, e := range s.inOrder() {
		if !e.actor.IsZero() && actors.EndedRef(ctx, e.actor) {
			s.fail(now, e, stream.CodeHandlerPanic, fmt.Errorf("local: the stream's actor has ended"))
			return
		}
	}
}
