package transporttest

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// MuxedSink records what a Muxed conduit does. inside is shared with the sinks of its streams:
// the calls for one conduit come one at a time.
type MuxedSink struct {
	board
	inside  atomic.Int32
	streams []conduit.MuxedStream
	canOpen int
	ended   []Ending
	faults  []string
	// OnAccepted, if set, gets each stream in place of the record.
	OnAccepted func(s conduit.MuxedStream)
}

// Ending is how a stream or conduit ended.
type Ending struct {
	Code   uint32
	Remote bool
	Err    error
}

var _ conduit.MuxedSink = (*MuxedSink)(nil)

func (m *MuxedSink) enter(what string) {
	if m.inside.Add(1) > 1 {
		m.set(func() { m.faults = append(m.faults, what+" during another call") })
	}
	m.set(func() {
		if len(m.ended) > 0 {
			m.faults = append(m.faults, what+" after Ended")
		}
	})
}

func (m *MuxedSink) leave() { m.inside.Add(-1) }

// Accepted implements conduit.MuxedSink.
func (m *MuxedSink) Accepted(s conduit.MuxedStream) {
	m.enter("Accepted")
	defer m.leave()
	if m.OnAccepted != nil {
		m.OnAccepted(s)
		return
	}
	m.set(func() { m.streams = append(m.streams, s) })
}

// CanOpen implements conduit.MuxedSink.
func (m *MuxedSink) CanOpen() {
	m.enter("CanOpen")
	defer m.leave()
	m.set(func() { m.canOpen++ })
}

// Ended implements conduit.MuxedSink.
func (m *MuxedSink) Ended(code uint32, remote bool, err error) {
	m.enter("Ended")
	defer m.leave()
	m.set(func() { m.ended = append(m.ended, Ending{code, remote, err}) })
}

// accepted is how many streams the remote has opened.
func (m *MuxedSink) accepted() (n int) {
	m.set(func() { n = len(m.streams) })
	return n
}

// Next waits for the i-th stream that the remote opened.
func (m *MuxedSink) Next(t *testing.T, i int) (s conduit.MuxedStream) {
	t.Helper()
	m.wait(t, "an accepted stream", func() bool {
		if len(m.streams) <= i {
			return false
		}
		s = m.streams[i]
		return true
	})
	return s
}

func (m *MuxedSink) waitEnded(t *testing.T) (e Ending) {
	t.Helper()
	m.wait(t, "Ended of the conduit", func() bool {
		if len(m.ended) == 0 {
			return false
		}
		e = m.ended[0]
		return true
	})
	return e
}

func (m *MuxedSink) check(t *testing.T) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.faults {
		t.Error("the conduit broke the contract:", f)
	}
}

// EndSink is a MuxedSink whose end can be waited for beside something else.
type EndSink struct {
	MuxedSink
	How chan Ending // of one place
}

// NewEndSink is for Bind.
func NewEndSink() *EndSink { return &EndSink{How: make(chan Ending, 1)} }

// Ended implements conduit.MuxedSink.
func (e *EndSink) Ended(code uint32, remote bool, err error) {
	e.MuxedSink.Ended(code, remote, err)
	e.How <- Ending{code, remote, err}
}

// StreamSink records what a stream does.
type StreamSink struct {
	board
	of       *MuxedSink
	bytes    []byte
	offers   int
	allowed  int
	writable int
	closed   int
	reset    []Ending
	faults   []string
	// OnOffer, if set, gets each buffer in place of the record.
	OnOffer func(b *buf.Buf)
}

var _ conduit.StreamSink = (*StreamSink)(nil)

func (s *StreamSink) bind(c conduit.MuxedStream, credits int) {
	s.set(func() { s.allowed += credits })
	c.Bind(s, credits)
}

func (s *StreamSink) more(c conduit.MuxedStream) {
	s.set(func() { s.allowed++ })
	c.More()
}

func (s *StreamSink) enter(what string) {
	if s.of.inside.Add(1) > 1 {
		s.set(func() { s.faults = append(s.faults, what+" during another call of the conduit") })
	}
	s.set(func() {
		if len(s.reset) > 0 {
			s.faults = append(s.faults, what+" after Reset")
		}
	})
}

func (s *StreamSink) leave() { s.of.leave() }

// Offer implements conduit.StreamSink.
func (s *StreamSink) Offer(b *buf.Buf) {
	s.enter("Offer")
	defer s.leave()
	s.set(func() {
		s.offers++
		if s.offers > s.allowed {
			s.faults = append(s.faults, fmt.Sprintf("offer %d with %d credits", s.offers, s.allowed))
		}
		if len(b.B) == 0 || s.closed > 0 {
			s.faults = append(s.faults, "empty offer, or one after RemoteClosed")
		}
		if s.OnOffer == nil {
			s.bytes = append(s.bytes, b.B...)
			b.Release()
		}
	})
	if s.OnOffer != nil {
		s.OnOffer(b)
	}
}

// Writable implements conduit.StreamSink.
func (s *StreamSink) Writable() {
	s.enter("Writable")
	defer s.leave()
	s.set(func() { s.writable++ })
}

// RemoteClosed implements conduit.StreamSink.
func (s *StreamSink) RemoteClosed() {
	s.enter("RemoteClosed")
	defer s.leave()
	s.set(func() {
		if s.closed++; s.closed > 1 {
			s.faults = append(s.faults, "RemoteClosed twice")
		}
	})
}

// Reset implements conduit.StreamSink.
func (s *StreamSink) Reset(code uint32, remote bool, err error) {
	s.enter("Reset")
	defer s.leave()
	s.set(func() { s.reset = append(s.reset, Ending{code, remote, err}) })
}

func (s *StreamSink) waitReset(t *testing.T) (e Ending) {
	t.Helper()
	s.wait(t, "Reset", func() bool {
		if len(s.reset) == 0 {
			return false
		}
		e = s.reset[0]
		return true
	})
	return e
}

func (s *StreamSink) waitClosed(t *testing.T) []byte {
	t.Helper()
	var got []byte
	s.wait(t, "RemoteClosed", func() bool { got = s.bytes; return s.closed > 0 })
	return got
}

func (s *StreamSink) check(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		t.Error("the stream broke the contract:", f)
	}
}

// streamReader is a StreamSink that gives each credit back at once.
func streamReader(of *MuxedSink, c conduit.MuxedStream) *StreamSink {
	s := &StreamSink{of: of}
	s.OnOffer = func(b *buf.Buf) {
		s.set(func() { s.bytes = append(s.bytes, b.B...) })
		b.Release()
		s.more(c)
	}
	return s
}
