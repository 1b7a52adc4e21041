package mux

import (
	"slices"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation/multistream"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// CodeNegotiation is go-libp2p's stream code for a failed protocol negotiation.
const CodeNegotiation uint32 = 0x1001

// entry is what a session knows of one stream. It belongs to the session's turn.
type entry struct {
	id      uint64
	inbound bool
	info    stream.Info
	s       *stream.Stream // nil until the protocol is known
	actor   actors.Ref[streamMsg]
	handler stream.Handler
	up      bool // the handler takes messages

	listen *multistream.Listener // inbound, until agreed
	dial   *multistream.Dialer   // outbound, until confirmed
	open   *messages.OpenStream  // the request, until answered
	waits  *fifo                 // negotiating or lingering

	// Out: one body is lent to the muxer at a time.
	lent     lentKind
	prefix   []byte // negotiation bytes that go first
	out      []*buf.Buf
	body     []byte // a blocking writer's
	hasBody  bool
	bodySent bool
	finAsked bool
	finSent  bool

	// In, for an actor handler: what waits until the Data that is out has come back.
	in      []*buf.Buf
	outside int // bytes that the handler has
	eof     bool
	eofTold bool
	deaf    bool // CloseRead
	muxGone bool // the muxer has forgotten it
	end     error
}

type lentKind uint8

const (
	lentNone lentKind = iota
	lentPrefix
	lentBuf
	lentBody
)

func (e *entry) protocol() string {
	if e.info.Protocol != "" {
		return e.info.Protocol
	}
	return "(not agreed)"
}

func (s *Session) newEntry(id uint64, inbound bool) *entry {
	dir := conduit.Outbound
	if inbound {
		dir = conduit.Inbound
	}
	e := &entry{id: id, inbound: inbound, info: stream.Info{ID: id, Direction: dir, Conn: s.cfg.Conn}}
	s.streams[id] = e
	return e
}

// inOrder lists the streams by number.
func (s *Session) inOrder() []*entry {
	out := make([]*entry, 0, len(s.streams))
	for _, e := range s.streams { // order-free: sorted below
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *entry) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return out
}

// pump lends the muxer the next thing to send.
func (s *Session) pump(now time.Time, e *entry) {
	if e.lent != lentNone || e.finSent {
		return
	}
	var p []byte
	switch {
	case len(e.prefix) > 0:
		p, e.lent = e.prefix, lentPrefix
	case len(e.out) > 0:
		p, e.lent = e.out[0].B, lentBuf
		if len(p) == 0 {
			s.sent(e, 0)
			s.pump(now, e)
			return
		}
	case e.hasBody && !e.bodySent:
		p, e.lent = e.body, lentBody
	case e.finAsked:
		e.finSent = true
		_ = s.m.closeWrite(now, e.id)
		s.maybeLinger(now, e)
		return
	default:
		return
	}
	if err := s.m.write(now, e.id, p); err != nil {
		// The stream is over; its StreamClosed gives everything back.
		e.lent = lentNone
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
		b := e.out[0]
		e.out[0] = nil
		e.out = e.out[1:]
		b.Release()
		e.s.Sealed(n)
	case lentBody:
		e.body, e.hasBody = nil, false
		e.s.WriteDone(n, nil)
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

// note does what a handler has asked for.
func (s *Session) note(now time.Time, h *stream.Stream) {
	o := h.Take()
	e := s.streams[h.ID()]
	if e == nil || e.s != h {
		for _, b := range o.Out {
			b.Release()
		}
		if o.HasWrite || o.Withdraw {
			h.WriteDone(0, stream.ErrConnClosed)
		}
		s.m.consumed(now, h.ID(), o.Consumed)
		return
	}
	if o.Consumed > 0 {
		s.m.consumed(now, e.id, o.Consumed)
		e.outside = max(e.outside-o.Consumed, 0)
		s.deliver(e)
	}
	e.out = append(e.out, o.Out...)
	if o.HasWrite {
		e.body, e.hasBody, e.bodySent = o.Write, true, false
	}
	if o.Reset {
		s.fail(now, e, o.Code, o.Why)
		return
	}
	if o.Withdraw && e.hasBody {
		n := 0
		if e.lent == lentBody {
			n = s.m.cancelWrite(e.id)
			e.lent = lentNone
		}
		e.body, e.hasBody = nil, false
		h.WriteDone(n, nil)
	}
	if o.CloseRead && !e.deaf {
		e.deaf = true
		s.dropIn(now, e)
		s.m.closeRead(now, e.id, 0)
		s.maybeLinger(now, e)
	}
	if o.CloseWrite {
		e.finAsked = true
	}
	if len(o.Out) > 0 || o.HasWrite || o.CloseWrite || o.Flush || o.Withdraw {
		s.pump(now, e)
	}
}

// dropIn gives up what waits for an actor handler.
func (s *Session) dropIn(now time.Time, e *entry) {
	n := 0
	for _, b := range e.in {
		n += len(b.B)
		b.Release()
	}
	e.in = nil
	if n > 0 {
		s.m.consumed(now, e.id, n)
	}
}

// maybeLinger gives a remote that has not closed its direction a last term once we are done
// with both.
func (s *Session) maybeLinger(now time.Time, e *entry) {
	if e.finSent && e.deaf && e.waits == nil && s.streams[e.id] == e {
		e.waits = &s.lingering
		s.lingering.push(e, now.Add(s.cfg.Linger))
	}
}

// fail resets a stream and remembers why.
func (s *Session) fail(now time.Time, e *entry, code uint32, why error) {
	if e.end == nil {
		e.end = why
	}
	if e.end == nil {
		e.end = &ResetError{Code: code, Protocol: e.protocol()}
	}
	s.m.reset(now, e.id, code)
}

// streamClosed is the muxer's last word about a stream.
func (s *Session) streamClosed(ev event) {
	e := s.streams[ev.id]
	if e == nil {
		return
	}
	if e.end == nil && e.up && !e.s.IsBlocking() && !e.deaf && (len(e.in) > 0 || e.outside > 0) {
		e.muxGone = true // in order; the handler gets to see the last bytes first
		return
	}
	s.forget(e, e.end)
	s.told()
}

// forget tells everybody that a stream is over and gives back what it held.
func (s *Session) forget(e *entry, err error) {
	delete(s.streams, e.id)
	e.waits = nil
	s.cfg.Streams.Give(1)
	if e.inbound {
		s.inbound--
	}
	for _, b := range e.out {
		b.Release()
	}
	e.out = nil
	if e.open != nil {
		if err == nil {
			err = stream.ErrConnClosed
		}
		e.open.Reply.Fail(err)
		e.open = nil
	}
	if e.s == nil {
		s.releaseIn(e)
		return
	}
	s.releaseIn(e)
	e.s.End(err)
	_ = e.actor.Control(&streamGone{})
}

func (s *Session) releaseIn(e *entry) {
	for _, b := range e.in {
		b.Release()
	}
	e.in = nil
}

// told reports the number of streams to the peer's actor.
func (s *Session) told() {
	_ = s.cfg.Owner.Control(&messages.StreamsChanged{Conn: s.cfg.Conn.ID, Streams: len(s.streams)})
}
