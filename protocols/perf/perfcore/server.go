package perfcore

import (
	"encoding/binary"
	"time"
)

// Server is the listening side of one stream. It is owned by one actor.
type Server struct {
	progress
	header [headerSize]byte
	got    int    // bytes of the header
	up     uint64 // bytes uploaded behind the header
	wanted uint64
	down   uint64 // bytes of the answer that the stream has taken
	ended  bool   // the client ended its direction
}

// NewServer returns a Server for a stream that was opened now.
func NewServer(cfg Config, now time.Time) *Server {
	return &Server{progress: progress{cfg: cfg, at: now}}
}

// HandleBytes takes what the client sent. An error ends the stream with a reset.
func (s *Server) HandleBytes(now time.Time, b []byte) error {
	if s.err != nil || len(b) == 0 {
		return s.err
	}
	if s.ended {
		return s.fail(ErrAfterEnd)
	}
	s.at = now
	n := copy(s.header[s.got:], b)
	s.got += n
	s.up += uint64(len(b) - n)
	return nil
}

// HandleEnd says that the client ended its direction in order: the answer is due.
func (s *Server) HandleEnd(now time.Time) error {
	switch {
	case s.err != nil:
		return s.err
	case s.got < headerSize:
		return s.fail(ErrTruncated)
	case !s.ended:
		s.ended, s.at = true, now
		s.wanted = binary.BigEndian.Uint64(s.header[:])
	}
	return nil
}

// NextWrite returns what should be written now, borrowed and not to be changed; nothing
// before the client's end and after the answer.
func (s *Server) NextWrite() []byte {
	if s.err != nil || !s.ended {
		return nil
	}
	return block(s.wanted - s.down)
}

// Wrote says that the stream took n bytes of what NextWrite returned.
func (s *Server) Wrote(now time.Time, n int) {
	if n > 0 {
		s.at = now
		s.down += min(uint64(n), s.wanted-s.down)
	}
}

// Done says that the answer is written: time to end our direction.
func (s *Server) Done() bool { return s.err == nil && s.ended && s.down == s.wanted }

// Counts returns the bytes uploaded and downloaded so far, without the header.
func (s *Server) Counts() (up, down uint64) { return s.up, s.down }

// Deadline is when HandleTimeout is due.
func (s *Server) Deadline() (time.Time, bool) { return s.deadline(s.Done()) }

// HandleTimeout fails a client that neither sends nor reads.
func (s *Server) HandleTimeout(now time.Time) error {
	if at, ok := s.Deadline(); ok && !now.Before(at) {
		return s.fail(ErrStalled)
	}
	return s.err
}
