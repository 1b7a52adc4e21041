package quicstack

import (
	"errors"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/internal/muxed"

	quicgo "github.com/quic-go/quic-go"
)

// MaxDirect is how many bytes of a stream go to the QUIC stack without a pump, until a pump has seen it
// take more: quic-go does not say how much of them it still holds.
const MaxDirect = 16 << 10

// smallWrite is the most that goes to the QUIC stack without a pump at a time: it fits into one of
// quic-go's own packet buffers.
const smallWrite = 1 << 10

// TryWrite implements conduit.MuxedStream.
func (s *stream) TryWrite(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.gone:
		return 0, s.c.gone(nil)
	case s.fin:
		return 0, muxed.ErrWriteClosed
	case s.stopped != nil:
		return 0, s.stopped
	case len(p) == 0:
		return 0, nil
	}
	if !s.writing && len(p) <= smallWrite && s.direct+len(p) <= MaxDirect {
		err := s.begin()
		if err == nil {
			err = s.qs.TryWriteAll(p)
		}
		if err == nil {
			s.direct += len(p)
			return len(p), nil
		}
		if !errors.Is(err, quicgo.ErrWouldBlock) {
			return 0, s.refused(err)
		}
	}
	n := s.hold(p)
	s.blocked = s.blocked || n < len(p)
	if !s.writing {
		s.writing = true
		s.pump("write", s.write)
	}
	return n, nil
}

// hold keeps what there is room for, in a buffer of fitting size. It is called with mu held.
func (s *stream) hold(p []byte) int {
	most := s.c.p.SendBuffer
	if s.out == nil {
		s.out = buf.Get(min(len(p), most))
		s.out.B = s.out.B[:0]
	}
	n := min(len(p), most-len(s.out.B))
	if len(s.out.B)+n > s.out.Cap() {
		wider := buf.Get(most)
		wider.B = append(wider.B[:0], s.out.B...)
		s.out.Release()
		s.out = wider
	}
	return s.out.Append(p[:max(n, 0)])
}

// refused notes why the QUIC stack takes nothing more. It is called with mu held.
func (s *stream) refused(err error) error {
	var se *quicgo.StreamError
	if !errors.As(err, &se) {
		return s.c.gone(err)
	}
	if !se.Remote {
		return muxed.ErrClosed
	}
	if s.stopped == nil {
		s.stopped = s.codeError(se.ErrorCode, "reading stopped")
		s.settle()
	}
	return s.stopped
}

// write is the write pump. It ends when nothing is left to write.
func (s *stream) write() {
	err := s.writeHead()
	for err == nil {
		b, wake := s.next()
		if b == nil {
			return
		}
		err = s.writeOut(b, wake)
	}
	if s.broken(err) {
		s.writable()
	}
}

// begin sends the stream's head, if that is due and can be done now. It is called with mu held.
func (s *stream) begin() error {
	if s.head == nil {
		return nil
	}
	if err := s.qs.TryWriteAll(s.head); err != nil {
		return err
	}
	s.qs.SetReliableBoundary()
	s.head = nil
	return nil
}

// writeHead is begin for the pump.
func (s *stream) writeHead() error {
	s.mu.Lock()
	head := s.head
	s.head = nil
	s.mu.Unlock()
	if head == nil {
		return nil
	}
	_, err := s.qs.Write(head)
	s.qs.SetReliableBoundary()
	return err
}

// next takes what is to be written. There is room again then, which wake says the owner waits for.
// Without anything to write it ends the pump, and our direction if it is time.
func (s *stream) next() (b *buf.Buf, wake bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == nil {
		s.writing, s.direct = false, 0
		if s.fin && !s.gone {
			s.finish()
		}
		return nil, false
	}
	b, s.out = s.out, nil
	wake, s.blocked = s.blocked, false
	return b, wake
}

func (s *stream) writeOut(b *buf.Buf, wake bool) error {
	defer b.Release()
	if wake {
		s.writable()
	}
	_, err := s.qs.Write(b.B)
	return err
}

// broken ends the pump, and reports whether the owner waits to hear that.
func (s *stream) broken(err error) (wake bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = false
	if s.out != nil {
		s.out.Release()
		s.out = nil
	}
	_ = s.refused(err)
	wake, s.blocked = s.blocked, false
	return wake && s.stopped != nil
}

func (s *stream) writable() {
	s.c.deliver.Lock()
	defer s.c.deliver.Unlock()
	s.mu.Lock()
	gone, sink := s.gone, s.sink
	s.mu.Unlock()
	if !gone && sink != nil {
		sink.Writable()
	}
}

// CloseWrite implements conduit.MuxedStream.
func (s *stream) CloseWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return s.c.gone(nil)
	}
	if s.fin {
		return nil
	}
	s.fin, s.blocked = true, false
	if s.writing || s.stopped != nil {
		return nil
	}
	if errors.Is(s.begin(), quicgo.ErrWouldBlock) {
		s.writing = true
		s.pump("write", s.write)
		return nil
	}
	s.finish()
	return nil
}

// finish ends our direction. It is called with mu held.
func (s *stream) finish() {
	_ = s.qs.Close() // it fails if the remote has stopped reading: then nothing is to be ended
	s.finSent = true
	s.settle()
}
