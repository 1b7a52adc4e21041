package mux

import (
	"errors"
	"time"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/mux/yamux"
)

const (
	// smallBody is the size up to which a body shares a sealed record with other frames; a
	// larger one is sealed straight from its owner's buffer.
	smallBody = 4 << 10
	// plainMax is how much small stuff is gathered before it is sealed. With one more frame
	// it fits a record of Noise, which is 64 bytes less than a pooled buffer of 16 KiB.
	plainMax = 16<<10 - 64 - smallBody - 2*yamux.HeaderSize
	// outMax is how much sealed output may wait for the conduit before streams are blocked.
	// Attack: a peer that asks for replies and does not read.
	outMax = 64 << 10
	// stallMax is how long the conduit may take for one buffer of output.
	stallMax = 10 * time.Second
	// readOut is how long a conduit that takes no more output may go on giving input.
	readOut = time.Second
)

// ErrWriteStalled ends a connection whose remote does not read.
var ErrWriteStalled = errors.New("remote: has not read for 10 seconds")

// output is what a rawMuxer has on its way to the conduit.
type output struct {
	plain    *buf.Buf // small frames, not sealed yet
	out      *buf.Buf // sealed
	inflight *buf.Buf // lent to the conduit by Drain
	large    bool     // a body was written since the last flush that is sealed by itself
	since    time.Time
	fault    error // the conduit takes nothing any more
}

// flush gathers frames until the streams have no more to say, or there is enough for a write.
// In between the session takes the events: a body that was used up may have a successor, and
// what belongs together then shares a record and a write.
func (m *rawMuxer) flush(now time.Time, budget *int) (again bool) {
	if m.closed || m.inflight != nil || m.fault != nil || *budget <= 0 {
		return false
	}
	m.large = false
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

func (m *rawMuxer) busy() bool  { return m.inflight != nil }
func (m *rawMuxer) small() bool { return !m.large && m.core.Err() == nil }

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
		m.writeFailed(now, err)
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

// writeFailed: most often the remote has closed the conduit, and its last words are still to be
// read. The reader tells of the end; if it does not, this is it.
func (m *rawMuxer) writeFailed(now time.Time, err error) {
	m.fault, m.since = err, now
}

// overdue is when the conduit has had enough time for what it has to do.
func (m *rawMuxer) overdue() (t time.Time, why error) {
	switch {
	case m.fault != nil:
		return m.since.Add(readOut), m.fault
	case m.inflight != nil:
		return m.since.Add(stallMax), ErrWriteStalled
	}
	return time.Time{}, nil
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
