package mux

import (
	"fmt"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/negotiation/multistream"
	"github.com/troupe-p2p/troupe/stream"
)

// streamArrived counts a new inbound stream before anything is spawned for it: a SYN of 12 bytes
// buys an entry, not an actor.
func (s *Session) streamArrived(now time.Time, ev event) {
	if s.over || !s.cfg.Streams.Take(1) {
		s.m.refuse(now, ev.id, CodeResourceLimit)
		return
	}
	e := s.newEntry(ev.id, true)
	e.listen = s.spare.listener()
	s.negotiating.push(e, now.Add(s.cfg.NegotiateTimeout))
	s.m.accept(now, ev.id)
}

// agree feeds the negotiation of a stream's protocol and says how much of p was its own.
func (s *Session) agree(ctx actor.Context, now time.Time, e *entry, p []byte) (used int, err error) {
	var proto string
	var done bool
	if l := e.listen; l != nil {
		if used, err = l.HandleBytes(p); err != nil {
			return used, err
		}
		e.prefix = l.AppendOutput(e.prefix)
		if proto, done = l.Done(); done {
			e.info.Protocol = proto
			h := l.found
			s.spare.giveBack(e)
			s.serve(ctx, now, e, h, false)
		}
	} else {
		if used, err = e.dial.HandleBytes(p); err != nil {
			return used, err
		}
		e.prefix = e.dial.AppendOutput(e.prefix)
		if proto, done = e.dial.Done(); done {
			e.info.Protocol = proto
			s.spare.giveBack(e)
			if e.open != nil {
				s.opened(ctx, now, e, false)
			} else {
				e.s.Agreed(nil)
			}
			if e.deaf {
				s.m.closeRead(now, e.id, 0)
			}
		}
	}
	if done {
		e.leave()
		s.lingerIfDone(now, e)
	}
	s.pump(now, e)
	return used, nil
}

// serve makes the stream's handle and spawns its actor, which starts the handler.
func (s *Session) serve(ctx actor.Context, now time.Time, e *entry, h stream.Handler, lazy bool) {
	e.s = stream.New(actors.Cast[stream.Command](s.self), e.info)
	e.s.Poll(s.poll)
	e.isActor = h.Actor != nil
	if !e.isActor {
		e.s.Block(s.rt, lazy)
	}
	ref, err := actors.Spawn[streamMsg](ctx, streamSpec(e.s, h, s.self))
	if err != nil {
		panic(err) // a name of ours is taken, or a spec without New: a bug
	}
	e.actor = ref
	s.actors++
	s.note(now, e.s) // the handler may be up already
}

// openStream opens a stream of ours. With one protocol the negotiation is lazy: its bytes go out
// with the first data.
func (s *Session) openStream(ctx actor.Context, now time.Time, m *messages.OpenStream) {
	switch {
	case m.Reply.Gone():
	case s.over:
		m.Reply.Fail(fmt.Errorf("%w: %w", ErrTooLate, s.connError()))
	case len(s.opens) >= maxOpens:
		m.Reply.Fail(yamux.ErrOpenBacklog)
	case len(s.opens) > 0 || !s.tryOpen(ctx, now, m):
		s.opens = append(s.opens, m)
	}
}

// openMore serves those that wait for the remote to take more streams, in order.
func (s *Session) openMore(ctx actor.Context, now time.Time) {
	for len(s.opens) > 0 && !s.over {
		if m := s.opens[0]; !m.Reply.Gone() && !s.tryOpen(ctx, now, m) {
			return
		}
		s.opens[0] = nil
		s.opens = s.opens[1:]
	}
	if len(s.opens) == 0 {
		s.opens = nil
	}
}

// tryOpen reports false when the request has to wait.
func (s *Session) tryOpen(ctx actor.Context, now time.Time, m *messages.OpenStream) bool {
	d, err := s.spare.dialer(m.Protocols)
	if err != nil {
		m.Reply.Fail(fmt.Errorf("local: %w", err))
		return true
	}
	if !s.cfg.Streams.Take(1) {
		m.Reply.Fail(s.cfg.Streams.Why())
		return true
	}
	id, later, err := s.m.open(now)
	if err != nil {
		s.cfg.Streams.Give(1)
		if !later {
			m.Reply.Fail(err)
		}
		return !later
	}
	e := s.newEntry(id, false)
	e.dial, e.open = d, m
	e.prefix = d.AppendOutput(nil)
	if len(m.Protocols) > 1 || m.Confirm {
		s.pump(now, e)
		return true
	}
	e.info.Protocol = m.Protocols[0]
	s.opened(ctx, now, e, true)
	return true
}

// opened answers the request with the stream's handle.
func (s *Session) opened(ctx actor.Context, now time.Time, e *entry, lazy bool) {
	m := e.open
	e.open = nil
	s.serve(ctx, now, e, m.Handler, lazy)
	if lazy && e.isActor {
		s.pump(now, e) // a handler that cannot Read may well wait for the remote to begin
	}
	if m.Reply.Gone() {
		s.fail(now, e, 0, fmt.Errorf("local: whoever opened the stream has given up"))
		return
	}
	m.Reply.Answer(e.s)
}

// negotiators gives out what negotiates the protocol of a stream, which it needs for a moment of its
// life.
type negotiators struct {
	lookup Lookup
}

// What no stream needs now, of all sessions.
var (
	listeners = sync.Pool{New: func() any { return newListener() }}
	dialers   = sync.Pool{New: func() any { return new(multistream.Dialer) }}
)

// listener remembers the handler of the protocol that it finds.
type listener struct {
	multistream.Listener
	look   multistream.Lookup
	lookup Lookup
	found  stream.Handler
}

func newListener() *listener {
	l := &listener{}
	l.look = func(name []byte) (proto string, ok bool) {
		proto, l.found, ok = l.lookup(name)
		return proto, ok
	}
	return l
}

func (n *negotiators) listener() *listener {
	l := listeners.Get().(*listener)
	l.lookup = n.lookup
	l.Reset(l.look)
	return l
}

func (n *negotiators) dialer(protocols []string) (*multistream.Dialer, error) {
	d := dialers.Get().(*multistream.Dialer)
	return d, d.Reset(protocols...)
}

// giveBack takes the negotiator of a stream that needs it no more.
func (n *negotiators) giveBack(e *entry) {
	if l := e.listen; l != nil {
		l.Listener, l.lookup, l.found = multistream.Listener{}, nil, stream.Handler{}
		listeners.Put(l)
	}
	if d := e.dial; d != nil {
		*d = multistream.Dialer{} // keeps nobody's names
		dialers.Put(d)
	}
	e.listen, e.dial = nil, nil
}
