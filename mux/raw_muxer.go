package mux

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// readCredits is how many buffers the conduit may have ahead of the session.
const readCredits = 2

// rawMuxer is a yamux core on a secured byte conduit.
type rawMuxer struct {
	core *yamux.Session
	raw  conduit.Raw
	sink *rawSink
	rx   conduit.Opener
	tx   conduit.Sealer

	in      *buf.Buf // being read
	reading bool     // the opener may have more
	output
	windows
	closed bool
}

// What the conduit's sink sends; read buffers come as *buf.Buf.
type (
	drained struct {
		b   *buf.Buf // what Drain had borrowed
		err error
	}
	ended struct{ err error }
)

// Discard implements actors.Discarder.
func (d *drained) Discard(error) { d.b.Release() }

// rawSink turns the calls of a Raw conduit into messages of the session.
type rawSink struct {
	ref  actors.Ref[any]
	lent *buf.Buf // set before Drain, which Drained follows
}

func (s *rawSink) Offer(b *buf.Buf) { _ = s.ref.Lead(b) }
func (s *rawSink) Lead(b *buf.Buf) conduit.Rest {
	rest, _ := s.ref.LeadRest(b)
	return rest
}
func (s *rawSink) Drained(err error) { _ = s.ref.Control(&drained{s.lent, err}) }

// Ended comes behind the last Offer.
func (s *rawSink) Ended(err error) { _ = s.ref.Offer(&ended{err}) }

func newRawMuxer(sec conduit.Secured, cfg yamux.Config, buffers *actors.Holder, role yamux.Role, now time.Time) *rawMuxer {
	m := &rawMuxer{core: yamux.NewShared(shared(cfg), role, now), raw: sec.Raw, rx: sec.Open, tx: sec.Seal}
	m.windows = newWindows(m.core, cfg, buffers)
	if len(sec.Rest) > 0 {
		// Plaintext that came with the end of the upgrade; events follow with next.
		_ = m.core.HandleBytes(now, sec.Rest)
	}
	m.reading = true // the opener may hold records that came with the end of the upgrade
	return m
}

// latest is the configuration that a session had last, and what it means: those of a node have one
// between them.
var latest atomic.Pointer[struct{ asked, full yamux.Config }]

// spareStreams are those of all sessions: idle ones are many, and keep none.
var spareStreams sync.Pool

func shared(cfg yamux.Config) *yamux.Config {
	cfg.Spare = &spareStreams
	p := latest.Load()
	if p == nil || p.asked != cfg {
		p = &struct{ asked, full yamux.Config }{cfg, cfg.WithDefaults()}
		latest.Store(p)
	}
	return &p.full
}

func (m *rawMuxer) start(ref actors.Ref[any]) {
	m.sink = &rawSink{ref: ref}
	m.watch(ref)
	m.raw.Bind(m.sink, readCredits)
}

func (m *rawMuxer) input(now time.Time, msg any) {
	switch msg := msg.(type) {
	case *buf.Buf:
		if m.closed || m.core.Err() != nil {
			// Nothing more is read, and the conduit gets no credit for more.
			msg.Release()
			return
		}
		m.in = msg
		m.rx.Feed(msg.B)
		m.reading = true
	case *drained:
		msg.b.Release()
		m.inflight = nil
		if msg.err != nil {
			m.writeFailed(now, msg.err)
			return
		}
		m.core.HandleDrained(now)
	case *ended:
		m.core.HandleClosed(now, msg.err)
	case robbed:
		m.look()
	}
}

func (m *rawMuxer) next(now time.Time) (event, bool) {
	for {
		if e, ok := m.core.Next(); ok {
			return event{e.Kind, e.Remote, uint64(e.ID), e.Code, e.N, e.P, e.Err}, true
		}
		if !m.reading {
			return event{}, false
		}
		p, ok, err := m.rx.Next()
		switch {
		case err != nil:
			m.core.HandleClosed(now, err)
			m.doneReading()
		case !ok:
			m.doneReading()
		default:
			if m.core.HandleBytes(now, p) != nil {
				m.doneReading() // it has ended, and has said so
			}
		}
	}
}

func (m *rawMuxer) doneReading() {
	m.reading = false
	if m.in != nil {
		m.in.Release()
		m.in = nil
		if !m.closed && m.core.Err() == nil {
			m.raw.More()
		}
	}
}

func (m *rawMuxer) deadline() (time.Time, bool) {
	t, ok := m.core.Deadline()
	if due, why := m.overdue(); why != nil && (!ok || due.Before(t)) {
		return due, true
	}
	return t, ok
}

func (m *rawMuxer) timeout(now time.Time) {
	if due, why := m.overdue(); why != nil && !now.Before(due) {
		m.core.HandleClosed(now, why)
	}
	m.core.HandleTimeout(now)
	m.giveBack()
}

func (m *rawMuxer) open(now time.Time) (uint64, bool, error) {
	id, err := m.core.OpenLazily(now)
	return uint64(id), errors.Is(err, yamux.ErrOpenBacklog), err
}
func (m *rawMuxer) accept(now time.Time, id uint64) { m.core.Accept(now, uint32(id)) }
func (m *rawMuxer) refuse(now time.Time, id uint64, code uint32) {
	m.core.Refuse(now, uint32(id), code)
}
func (m *rawMuxer) write(now time.Time, id uint64, p []byte) error {
	m.large = m.large || len(p) > smallBody
	return m.core.Write(now, uint32(id), p)
}
func (m *rawMuxer) cancelWrite(id uint64) int { return m.core.CancelWrite(uint32(id)) }
func (m *rawMuxer) closeWrite(now time.Time, id uint64) error {
	return m.core.CloseWrite(now, uint32(id))
}
func (m *rawMuxer) closeRead(now time.Time, id uint64, code uint32) {
	m.core.CloseRead(now, uint32(id), code)
}
func (m *rawMuxer) reset(now time.Time, id uint64, code uint32) {
	m.core.Reset(now, uint32(id), code)
}
func (m *rawMuxer) consumed(now time.Time, id uint64, n int) {
	m.core.Consumed(now, uint32(id), n)
	m.takeMore()
	m.inUse(now, n)
}

func (m *rawMuxer) unread() []uint64 {
	ids := m.core.Unread()
	all := make([]uint64, len(ids))
	for i, id := range ids {
		all[i] = uint64(id)
	}
	return all
}

func (m *rawMuxer) ping(now time.Time) { m.core.Ping(now) }
func (m *rawMuxer) pong() (time.Duration, bool) {
	return m.core.RTT(), m.core.Stats().PingSince.IsZero()
}

func (m *rawMuxer) end(now time.Time, code uint32, _ string) {
	m.core.GoAway(now, code)
	// With code 0 the first one lets streams finish.
	m.core.GoAway(now, code)
}

func (m *rawMuxer) close() {
	if m.closed {
		return
	}
	m.closed = true
	var fault *yamux.Error
	if err := m.core.Err(); errors.As(err, &fault) || errors.Is(err, ErrWriteStalled) {
		_ = conduit.Reset(m.raw) // it may never read what it is still to be sent
	} else {
		_ = m.raw.Close()
	}
	if c, ok := m.rx.(interface{ Close() }); ok {
		c.Close() // it may hold a buffer with a part of a frame
	}
	if m.in != nil {
		m.in.Release()
		m.in = nil
	}
	m.drop()
	m.returnAll()
}
