package mux

import (
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation/multistream"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// entry is what a session knows of one stream. It belongs to the session's turn.
type entry struct {
	id    uint64
	info  stream.Info
	s     *stream.Stream // nil until the protocol is known
	actor actors.Ref[streamMsg]

	// What is small stands together: there are many streams.
	isActor bool // the handler is an actor
	up      bool // and takes messages
	muxGone bool // the muxer has forgotten it
	cut     bool // end is not of our making

	lent     lentKind
	hasBody  bool
	finAsked bool
	finSent  bool

	eof     bool
	eofTold bool
	deaf    bool  // CloseRead
	corked  bool  // in Session.corks
	late    bool  // only who reads the rest knows the stream still
	left    int32 // unread when the muxer forgot it, and still
	outside int32 // bytes that an actor handler has
	end     error

	listen *listener            // inbound, until agreed
	dial   *multistream.Dialer  // outbound, until confirmed
	open   *messages.OpenStream // the request, until answered
	wait   place                // in negotiating or lingering

	// Out: one body is lent to the muxer at a time.
	prefix []byte // negotiation bytes that go first
	out    bufs
	body   []byte // a blocking writer's

	// In, for an actor handler: what waits until the Data that is out has come back.
	in bufs
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

// proposed is what this end wanted to speak.
func (e *entry) proposed() []string {
	switch {
	case e.open != nil:
		return e.open.Protocols
	case e.dial != nil:
		return []string{e.info.Protocol}
	}
	return nil
}

func (s *Session) newEntry(id uint64, inbound bool) *entry {
	dir := conduit.Outbound
	if inbound {
		dir = conduit.Inbound
	}
	e := &entry{id: id, info: stream.Info{ID: id, Direction: dir, Conn: s.cfg.Conn}}
	s.streams[id] = e
	s.quiet = time.Time{}
	if !s.used {
		s.used = true
		s.tellOwner(time.Time{})
	}
	return e
}

// tellOwner says that the connection is in use now, or since when it is not any more.
func (s *Session) tellOwner(quiet time.Time) {
	_ = s.cfg.Owner.Control(&messages.StreamsChanged{Conn: s.cfg.Conn.ID, Quiet: quiet})
}

// tellQuiet tells that the connection is not in use, if the owner believes that it is.
func (s *Session) tellQuiet() {
	if !s.quiet.IsZero() {
		s.tellOwner(s.quiet)
		s.used, s.quiet = false, time.Time{}
	}
}

// note does what a handler has asked for.
func (s *Session) note(now time.Time, h *stream.Stream) {
	o := &s.order
	h.Take(o)
	e := s.streams[h.ID()]
	if e == nil || e.s != h {
		for _, b := range o.Out {
			b.Release()
		}
		s.lateNote(now, h)
		return // End has told the handler
	}
	if !o.Corked {
		s.corks.remove(e)
	}
	e.up = e.up || o.Up
	if o.Consumed > 0 {
		s.consumed(now, e, o.Consumed)
		e.outside = int32(max(int(e.outside)-o.Consumed, 0))
	}
	for _, b := range o.Out {
		e.out.push(b)
	}
	if o.HasWrite {
		e.body, e.hasBody = o.Write, true
	}
	if o.Reset {
		s.fail(now, e, o.Code, o.Why)
		return
	}
	if o.Withdraw && e.hasBody {
		s.withdraw(e)
	}
	if o.CloseRead && !e.deaf {
		s.closeRead(now, e)
	}
	e.finAsked = e.finAsked || o.CloseWrite
	if len(o.Out) > 0 || o.HasWrite || o.CloseWrite || o.Flush || o.Withdraw {
		s.pump(now, e)
	}
	s.deliver(now, e)
}

func (s *Session) closeRead(now time.Time, e *entry) {
	e.deaf = true
	if n := e.in.release(); n > 0 {
		s.consumed(now, e, n)
	}
	if e.dial == nil { // else the answer is still to be read
		s.m.closeRead(now, e.id, 0)
	}
	s.lingerIfDone(now, e)
}

// lingerIfDone gives a remote that has not closed its direction a last term once we are done
// with both.
func (s *Session) lingerIfDone(now time.Time, e *entry) {
	if e.finSent && e.deaf && e.wait.list == nil && s.streams[e.id] == e {
		s.lingering.push(e, now.Add(s.cfg.Linger))
	}
}

// fail resets a stream and remembers why.
func (s *Session) fail(now time.Time, e *entry, code uint32, why error) {
	if e.late {
		s.failLate(e, why)
		return
	}
	if e.end == nil {
		e.end = why
	}
	if e.end == nil {
		e.end = &ResetError{Code: code, Protocol: e.protocol()}
	}
	if e.muxGone {
		s.forget(e, e.end)
		return
	}
	s.m.reset(now, e.id, code) // StreamClosed follows
}

func (s *Session) streamReset(ev event) {
	e := s.streams[ev.id]
	if e == nil || e.end != nil {
		return
	}
	e.end, e.cut = &ResetError{Code: ev.code, Remote: ev.remote, Protocol: e.protocol(), Err: ev.err}, true
	if e.dial != nil && ev.remote {
		why := e.end
		if ev.code == CodeNegotiation && len(e.prefix) == 0 {
			// What we sent behind the proposal came as a surprise to the remote, which
			// then may not get to say that it does not know the protocol.
			why = &multistream.NotSupportedError{Protocols: e.proposed()}
		}
		e.end = &NegotiationError{Protocols: e.proposed(), Err: why}
	}
}

// streamClosed is the muxer's last word about a stream.
func (s *Session) streamClosed(now time.Time, ev event) {
	e := s.streams[ev.id]
	if e == nil {
		return
	}
	e.left = int32(ev.n)
	s.m.keep(ev.n)
	if e.unseen() && (e.end == nil || e.cut && e.eof) {
		// The remote has ended its direction in order, so the handler gets to see all of it.
		e.muxGone = true
		e.lent, e.prefix = lentNone, nil
		e.drop()
		s.lingering.push(e, now.Add(s.cfg.Linger))
		return
	}
	s.forget(e, e.end)
}

// drop: what an actor handler writes goes nowhere any more. One that waits for room, and reads
// nothing until then, is not to wait for ever.
func (e *entry) drop() {
	for e.out.len() > 0 {
		b := e.out.pop()
		n := len(b.B)
		b.Release()
		e.s.Sealed(n)
	}
}

// unseen says that an actor handler has not seen everything that came for it.
func (e *entry) unseen() bool {
	return e.isActor && e.s != nil && !e.deaf && (!e.up || e.in.len() > 0 || e.outside > 0)
}

// forget tells everybody that a stream is over and gives back what it held.
func (s *Session) forget(e *entry, err error) {
	delete(s.streams, e.id)
	e.leave()
	s.corks.remove(e)
	s.cfg.Streams.Give(1)
	e.out.release()
	e.in.release()
	if e.open != nil {
		e.open.Reply.Fail(err)
		e.open = nil
	}
	s.settle(e)
	if e.s != nil {
		e.s.End(err)
		_ = e.actor.Offer(gone)
	}
	s.spare.giveBack(e)
	if len(s.streams) == 0 {
		s.m.giveBack()
		s.quiet = s.rt.Now()
		if s.over {
			s.tellQuiet() // nothing can follow
		}
	}
}

// bufs is a queue of buffers that keeps its memory while it is in use.
type bufs struct {
	q    []*buf.Buf
	head int
}

func (b *bufs) len() int        { return len(b.q) - b.head }
func (b *bufs) first() *buf.Buf { return b.q[b.head] }
func (b *bufs) last() *buf.Buf  { return b.q[len(b.q)-1] }
func (b *bufs) push(x *buf.Buf) { b.q = append(b.q, x) }

// bufsKeep is the capacity that an empty queue keeps.
const bufsKeep = 16

func (b *bufs) pop() *buf.Buf {
	x := b.q[b.head]
	b.q[b.head] = nil
	b.head++
	if b.head == len(b.q) {
		b.q, b.head = b.q[:0], 0
		if cap(b.q) > bufsKeep {
			b.q = nil
		}
	}
	return x
}

// release gives all of them back and returns how many bytes they held.
func (b *bufs) release() (n int) {
	for b.len() > 0 {
		x := b.pop()
		n += len(x.B)
		x.Release()
	}
	return n
}
