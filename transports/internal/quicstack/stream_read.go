package quicstack

import (
	"errors"
	"io"
	"time"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/internal/muxed"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	quicgo "github.com/quic-go/quic-go"
)

// read is the read pump. It waits for bytes without a buffer and without a credit, so that an end
// is told to a reader who has none; who waits for a credit is woken by an end too.
func (s *stream) read() {
	s.qs.SetReceiveFinalSizeCallback(func(int64) { s.look() }) // an end, of whichever kind
	size := sockets.NewSizer(s.c.p.ReadBuffer)
	for {
		var first [1]byte
		if _, err := s.qs.Peek(first[:]); err != nil {
			_, _ = s.qs.Read(first[:]) // quic-go forgets a stream only after the end was read
			s.readEnded(err)
			return
		}
		if !s.credit() {
			<-s.wake
			continue
		}
		b := buf.Get(size.Size)
		n, err := s.qs.Read(b.B)
		b.B = b.B[:n]
		size.Took(n)
		if n > 0 {
			s.offer(b)
		} else {
			b.Release()
		}
		if err != nil {
			s.readEnded(err)
			return
		}
	}
}

// resetAlready looks without waiting whether the remote has reset a stream, and with what code.
func resetAlready(qs *quicgo.Stream) (quicgo.StreamErrorCode, bool) {
	var first [1]byte
	_ = qs.SetReadDeadline(time.Unix(1, 0)) // long ago
	_, err := qs.Peek(first[:])
	_ = qs.SetReadDeadline(time.Time{})
	var se *quicgo.StreamError
	if errors.As(err, &se) && se.Remote {
		return se.ErrorCode, true
	}
	return 0, false
}

func (s *stream) credit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.credits > 0
}

func (s *stream) offer(b *buf.Buf) {
	s.c.deliver.Lock()
	defer s.c.deliver.Unlock()
	s.mu.Lock()
	if s.gone || s.deaf {
		s.mu.Unlock()
		b.Release()
		return
	}
	s.credits--
	sink := s.sink
	s.mu.Unlock()
	sink.Offer(b)
}

// readEnded tells why nothing more will be read, unless it was us or the connection has ended: then
// finish does.
func (s *stream) readEnded(err error) {
	var se *quicgo.StreamError
	switch {
	case errors.Is(err, io.EOF):
		s.remoteClosed()
	case errors.As(err, &se) && se.Remote:
		e := s.codeError(se.ErrorCode, "stream reset")
		if s.drop(e.Code, &Ending{e.Code, true, e}) {
			s.tell()
		}
		if s.c.opened(s.qs.StreamID()) {
			s.c.Wasted()
		}
	}
}

// codeError is what a remote has done to a stream.
func (s *stream) codeError(code quicgo.StreamErrorCode, op string) *muxed.CodeError {
	return &muxed.CodeError{Transport: s.c.ends.Transport, Code: s.c.p.Layer.FromStreamCode(code), Remote: true, Op: op}
}

func (s *stream) remoteClosed() {
	s.c.deliver.Lock()
	defer s.c.deliver.Unlock()
	s.mu.Lock()
	if s.gone || s.deaf {
		s.mu.Unlock()
		return
	}
	s.finTold = true
	s.settle()
	sink := s.sink
	s.mu.Unlock()
	sink.RemoteClosed()
}
