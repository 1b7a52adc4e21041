package mux

import (
	"errors"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

const (
	// smallBody is the size up to which a body shares a sealed record with other frames; a
	// larger one is sealed straight from its owner's buffer.
	smallBody = 4 << 10
	// plainMax is how much small stuff is gathered before it is sealed.
	plainMax = 16 << 10
	// outMax is how much sealed output may wait for the conduit before streams are blocked.
	// Attack: a peer that asks for replies and does not read.
	outMax = 64 << 10
	// turnMax is how much is sealed in one turn before others get a chance.
	turnMax = 512 << 10
	// stallMax is how long the conduit may take for one buffer of output.
	stallMax = 10 * time.Second
	// readCredits is how many buffers the conduit may have ahead of the session.
	readCredits = 2
)

// ErrWriteStalled ends a connection whose remote does not read.
var ErrWriteStalled = errors.New("remote: has not read for 10 seconds")

// rawMuxer is a yamux core on a secured byte conduit.
type rawMuxer struct {
	core *yamux.Session
	raw  conduit.Raw
	sink *rawSink
	rx   conduit.Opener
	tx   conduit.Sealer

	in       *buf.Buf // being read
	reading  bool
	plain    *buf.Buf // small frames, not sealed yet
	out      *buf.Buf // sealed
	inflight *buf.Buf // lent to the conduit by Drain
	since    time.Time
	closed   bool
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

func (s *rawSink) Offer(b *buf.Buf)  { _ = s.ref.Offer(b) }
func (s *rawSink) Drained(err error) { _ = s.ref.Control(&drained{s.lent, err}) }
func (s *rawSink) Ended(err error)   { _ = s.ref.Control(&ended{err}) }

func newRawMuxer(sec conduit.Secured, cfg yamux.Config, role yamux.Role, now time.Time) *rawMuxer {
	m := &rawMuxer{core: yamux.New(cfg, role, now), raw: sec.Raw, rx: sec.Open, tx: sec.Seal}
	if len(sec.Rest) > 0 {
		// Plaintext that came with the end of the upgrade; events follow with next.
		_ = m.core.HandleBytes(now, sec.Rest)
	}
	m.reading = true // the opener may hold records that came with the end of the upgrade
	return m
}

func (m *rawMuxer) start(ref actors.Ref[any]) {
	m.sink = &rawSink{ref: ref}
	m.raw.Bind(m.sink, readCredits)
}

func (m *rawMuxer) input(now time.Time, msg any) bool {
	switch msg := msg.(type) {
	case *buf.Buf:
		if m.closed {
			msg.Release()
			return true
		}
		m.in = msg
		m.rx.Feed(msg.B)
		m.reading = true
	case *drained:
		msg.b.Release()
		m.inflight = nil
		if msg.err != nil {
			m.core.HandleClosed(now, msg.err)
		}
	case *ended:
		m.core.HandleClosed(now, msg.err)
	default:
		return false
	}
	return true
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
			if err := m.core.HandleBytes(now, p); err != nil {
				m.core.HandleClosed(now, err)
				m.doneReading()
			}
		}
	}
}

func (m *rawMuxer) doneReading() {
	m.reading = false
	if m.in != nil {
		m.in.Release()
		m.in = nil
		if !m.closed {
			m.raw.More()
		}
	}
}

func (m *rawMuxer) flush(now time.Time) (again bool) {
	if m.closed || m.inflight != nil {
		return false
	}
	for sealed := 0; sealed < turnMax; {
		n := m.gather(now)
		if n == 0 {
			return again
		}
		again = true
		sealed += n
		if !m.send(now) {
			return again
		}
	}
	return again
}

// gather seals frames until there are no more or the output is full, and returns the bytes that
// wait for the conduit.
func (m *rawMuxer) gather(now time.Time) int {
	for m.out == nil || len(m.out.B) < outMax {
		hdr, body, ok := m.core.NextWrite()
		if !ok {
			break
		}
		m.add(hdr)
		if len(body) <= smallBody {
			m.add(body)
			if len(m.plain.B) >= plainMax {
				m.sealPlain(now)
			}
			continue
		}
		m.sealPlain(now)
		m.sealInto(now, body)
	}
	m.sealPlain(now)
	if m.out == nil {
		return 0
	}
	return len(m.out.B)
}

func (m *rawMuxer) add(p []byte) {
	if m.plain == nil {
		m.plain = buf.Get(plainMax + smallBody + 2*yamux.HeaderSize)
		m.plain.B = m.plain.B[:0]
	}
	m.plain.B = append(m.plain.B, p...)
}

func (m *rawMuxer) sealPlain(now time.Time) {
	if m.plain == nil {
		return
	}
	m.sealInto(now, m.plain.B)
	m.plain.Release()
	m.plain = nil
}

func (m *rawMuxer) sealInto(now time.Time, p []byte) {
	if m.out == nil {
		m.out = buf.Get(m.tx.SealedSize(len(p)))
		m.out.B = m.out.B[:0]
	} else if need := len(m.out.B) + m.tx.SealedSize(len(p)); need > m.out.Cap() {
		bigger := buf.Get(max(need, 2*outMax))
		bigger.B = append(bigger.B[:0], m.out.B...)
		m.out.Release()
		m.out = bigger
	}
	b, err := m.tx.Seal(m.out.B, p)
	if err != nil {
		m.core.HandleClosed(now, err)
		return
	}
	m.out.B = b
}

// send offers the output to the conduit; false when the conduit is busy with it.
func (m *rawMuxer) send(now time.Time) bool {
	n, err := m.raw.TryWrite(m.out.B)
	if err != nil {
		m.out.Release()
		m.out = nil
		m.core.HandleClosed(now, err)
		return false
	}
	if n == len(m.out.B) {
		m.out.Release()
		m.out = nil
		return true
	}
	m.inflight, m.out = m.out, nil
	m.since = now
	m.sink.lent = m.inflight
	m.raw.Drain(m.inflight.B[n:])
	return false
}

func (m *rawMuxer) deadline() (time.Time, bool) {
	t, ok := m.core.Deadline()
	if m.inflight != nil {
		if s := m.since.Add(stallMax); !ok || s.Before(t) {
			return s, true
		}
	}
	return t, ok
}

func (m *rawMuxer) timeout(now time.Time) {
	if m.inflight != nil && now.Sub(m.since) >= stallMax {
		m.core.HandleClosed(now, ErrWriteStalled)
	}
	m.core.HandleTimeout(now)
}

func (m *rawMuxer) open(now time.Time) (uint64, error) {
	id, err := m.core.OpenStream(now)
	return uint64(id), err
}
func (m *rawMuxer) accept(now time.Time, id uint64) { m.core.Accept(now, uint32(id)) }
func (m *rawMuxer) refuse(now time.Time, id uint64, code uint32) {
	m.core.Refuse(now, uint32(id), code)
}
func (m *rawMuxer) write(now time.Time, id uint64, p []byte) error {
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
}
func (m *rawMuxer) ping(now time.Time)                { m.core.Ping(now) }
func (m *rawMuxer) rtt() time.Duration                { return m.core.RTT() }
func (m *rawMuxer) goAway(now time.Time, code uint32) { m.core.GoAway(now, code) }

func (m *rawMuxer) close() {
	if m.closed {
		return
	}
	m.closed = true
	_ = m.raw.Close()
	for _, b := range []*buf.Buf{m.in, m.plain, m.out} {
		if b != nil {
			b.Release()
		}
	}
	// The conduit may still be writing from inflight; it comes back with Drained.
	m.in, m.plain, m.out, m.inflight = nil, nil, nil, nil
}
