package mux

import (
	"time"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/mux/yamux"
)

const (
	// smallBody is the size up to which a body shares a sealed record with other frames; a
	// larger one is sealed straight from its owner's buffer.
	smallBody = 4 << 10
	// plainMax is how much small stuff is gathered before it is sealed. With one more frame
	// it fits a pooled buffer of 16 KiB.
	plainMax = 16<<10 - smallBody - 2*yamux.HeaderSize
	// outMax is how much sealed output may wait for the conduit before streams are blocked.
	// Attack: a peer that asks for replies and does not read.
	outMax = 64 << 10
)

// output is what a rawMuxer has on its way to the conduit.
type output struct {
	plain    *buf.Buf // small frames, not sealed yet
	out      *buf.Buf // sealed
	inflight *buf.Buf // lent to the conduit by Drain
	since    time.Time
}

// flush gathers frames until the streams have no more to say, or there is enough for a write.
// In between the session takes the events: a body that was used up may have a successor, and
// what belongs together then shares a record and a write.
func (m *rawMuxer) flush(now time.Time, budget *int) (again bool) {
	if m.closed || m.inflight != nil || *budget <= 0 {
		return false
	}
	alive := m.core.Err() == nil
	n, full := m.gather(now)
	if n == 0 || full {
		m.sealPlain(now)
		if m.out != nil {
			*budget -= len(m.out.B)
			m.send(now)
		}
	}
	return n > 0 || alive && m.core.Err() != nil
}

func (m *rawMuxer) busy() bool { return m.inflight != nil }

// gather takes frames and says how many there were, and whether it stopped because that is
// enough for a write.
func (m *rawMuxer) gather(now time.Time) (n int, full bool) {
	for ; m.out == nil || len(m.out.B) < outMax; n++ {
		hdr, body, ok := m.core.NextWrite()
		if !ok {
			return n, false
		}
		m.add(hdr)
		if len(body) > smallBody {
			m.sealPlain(now)
			m.sealInto(now, body)
			continue
		}
		m.add(body)
		if len(m.plain.B) >= plainMax {
			m.sealPlain(now)
		}
	}
	return n, true
}

func (m *rawMuxer) add(p []byte) {
	if m.plain == nil {
		m.plain = buf.Get(512)
		m.plain.B = m.plain.B[:0]
	}
	if need := len(m.plain.B) + len(p); need > m.plain.Cap() {
		m.plain = grow(m.plain, plainMax+smallBody+2*yamux.HeaderSize)
	}
	m.plain.B = append(m.plain.B, p...)
}

func grow(b *buf.Buf, n int) *buf.Buf {
	bigger := buf.Get(n)
	bigger.B = append(bigger.B[:0], b.B...)
	b.Release()
	return bigger
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
	size := m.tx.SealedSize(len(p))
	if m.out == nil {
		m.out = buf.Get(size)
		m.out.B = m.out.B[:0]
	} else if need := len(m.out.B) + size; need > m.out.Cap() {
		m.out = grow(m.out, max(need, 2*outMax))
	}
	b, err := m.tx.Seal(m.out.B, p)
	if err != nil {
		m.core.HandleClosed(now, err)
		return
	}
	m.out.B = b
}

// send offers the output to the conduit, which is busy with what it does not take at once.
func (m *rawMuxer) send(now time.Time) {
	n, err := m.raw.TryWrite(m.out.B)
	switch {
	case err != nil:
		m.core.HandleClosed(now, err)
	case n < len(m.out.B):
		m.inflight, m.out = m.out, nil
		m.since = now
		m.sink.lent = m.inflight
		m.raw.Drain(m.inflight.B[n:])
		return
	}
	m.out.Release()
	m.out = nil
}

// drop gives up what was not sent. The conduit may still be writing from what is in flight; that
// comes back with Drained.
func (m *rawMuxer) drop() {
	for _, b := range []*buf.Buf{m.plain, m.out} {
		if b != nil {
			b.Release()
		}
	}
	m.output = output{}
}
