package quicstack

import (
	"sync"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/muxed"

	quicgo "github.com/quic-go/quic-go"
)

// stream is one stream of a connection. Whoever bound a sink last owns it.
type stream struct {
	c    *Conn
	qs   *quicgo.Stream
	wake chan struct{} // of one place: the reader looks again

	mu      sync.Mutex
	sink    conduit.StreamSink
	credits int
	reading bool // the read pump was started
	finTold bool // the remote has ended its direction, and the sink knows
	deaf    bool // CloseRead was called

	head    []byte           // of a stream of ours, to be sent before anything else; nil when it was
	out     *buf.Buf         // waits for the write pump; at most SendBuffer
	direct  int              // bytes given to the QUIC stack since it last took all; at most maxDirect
	writing bool             // there is a write pump
	blocked bool             // a TryWrite took less than it was given: Writable is owed
	fin     bool             // CloseWrite was called
	finSent bool             // and the QUIC stack knows
	stopped *muxed.CodeError // the remote has stopped reading

	gone bool    // reset by either side, or the connection ended
	lost *Ending // Reset is due
}

var _ conduit.MuxedStream = (*stream)(nil)

// ID implements conduit.MuxedStream.
func (s *stream) ID() uint64 { return uint64(s.qs.StreamID()) }

// Bind implements conduit.MuxedStream.
func (s *stream) Bind(sink conduit.StreamSink, credits int) {
	s.mu.Lock()
	s.sink, s.credits = sink, max(credits, 1)
	late := s.gone && s.lost != nil
	start := !s.reading && !s.gone && !s.deaf
	s.reading = s.reading || start
	s.mu.Unlock()
	s.look()
	switch {
	case late:
		s.c.rt.Pump(s.c.ends.Transport+" reset", s.tell, ignore)
	case start:
		s.pump("read", s.read)
	}
}

// More implements conduit.MuxedStream.
func (s *stream) More() {
	s.mu.Lock()
	s.credits++
	s.mu.Unlock()
	s.look()
}

// look makes a reader that waits look again.
func (s *stream) look() {
	select {
	case s.wake <- struct{}{}:
	default: // it is going to
	}
}

// pump starts one of the stream's goroutines. A panic in it is one of the stream's owner.
func (s *stream) pump(what string, f func()) { s.c.rt.Pump(s.c.ends.Transport+" "+what, f, s.failed) }

// CloseRead implements conduit.MuxedStream.
func (s *stream) CloseRead(code uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.gone:
		return s.c.gone(nil)
	case s.deaf || s.finTold:
		return nil
	}
	s.deaf = true
	s.qs.CancelRead(s.c.p.Layer.StreamCode(code))
	s.settle()
	s.look()
	return nil
}

// Reset implements conduit.MuxedStream. The owner's sink hears nothing more.
func (s *stream) Reset(code uint32) error {
	s.drop(code, nil)
	return nil
}

// drop ends both directions and reports whether there was something to end. lost is what the sink
// is to be told.
func (s *stream) drop(code uint32, lost *Ending) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return false
	}
	s.forget(lost)
	// The remote has to hear of the reset before it hears that we stopped reading, which alone
	// would look like CloseRead.
	_ = s.begin()
	wire := s.c.p.Layer.StreamCode(code)
	s.qs.CancelWrite(wire)
	s.qs.CancelRead(wire)
	s.c.remove(s)
	return true
}

// forget is called with mu held.
func (s *stream) forget(lost *Ending) {
	s.gone, s.lost = true, lost
	s.blocked = false
	if s.out != nil {
		s.out.Release()
		s.out = nil
	}
	s.look()
}

// lose ends the stream because its connection has ended.
func (s *stream) lose(why *Ending) {
	s.mu.Lock()
	first := !s.gone
	if first {
		s.forget(why)
	}
	s.mu.Unlock()
	if first {
		s.tell()
	}
}

// failed contains a panic of the stream's owner.
func (s *stream) failed(pe *actors.PanicError) {
	if s.drop(panicCode, &Ending{Code: panicCode, Err: pe}) {
		s.c.rt.Pump(s.c.ends.Transport+" reset", s.tell, ignore)
	}
}

// tell lets the sink know of the end, once.
func (s *stream) tell() {
	s.c.deliver.Lock()
	defer s.c.deliver.Unlock()
	s.mu.Lock()
	sink, lost := s.sink, s.lost
	if sink != nil {
		s.lost = nil
	}
	s.mu.Unlock()
	if sink != nil && lost != nil {
		sink.Reset(lost.Code, lost.Remote, lost.Err)
	}
}

// settle takes the stream off the books when nothing can happen to it any more. It is called with
// mu held.
func (s *stream) settle() {
	if (s.deaf || s.finTold) && (s.finSent || s.stopped != nil) {
		s.c.remove(s)
	}
}
