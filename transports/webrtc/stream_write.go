package webrtc

import (
	"github.com/troupe-p2p/troupe/internal/buf"

	"github.com/pion/sctp"
)

// smallFrame is what is not worth a frame of its own when more has to wait.
const smallFrame = 1 << 10

// careful is the size of frames for those who are not known to take larger ones. go-libp2p reads a length
// into a buffer of 4 KiB, and loses a message that has more in it. This is three SCTP packets.
const careful = 3 * 1160

// TryWrite implements conduit.MuxedStream.
func (s *stream) TryWrite(p []byte) (int, error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	switch {
	case s.gone || s.c.why != nil:
		return 0, s.c.gone()
	case s.fin:
		return 0, ErrWriteClosed
	case s.stopped != nil:
		return 0, s.stopped
	case len(p) == 0:
		return 0, nil
	}
	most := maxPayload
	if s.c.window == 0 {
		most = careful - frameOverhead
	}
	b := buf.Get(min(len(p), most) + frameOverhead)
	defer b.Release()
	taken := 0
	for taken < len(p) {
		rest := p[taken:]
		n := min(s.room(), len(rest), most)
		if n <= 0 || n < len(rest) && n < smallFrame {
			break
		}
		b.B = appendFrame(b.B[:0], frame{data: rest[:n]})
		if _, err := s.st.WriteSCTP(b.B, sctp.PayloadTypeWebRTCBinary); err != nil {
			return taken, s.c.gone()
		}
		s.sent += uint64(n)
		taken += n
	}
	if taken < len(p) {
		s.blocked = true
		if s.canWrite() { // it has become so just now, and nobody said
			s.c.news.of(s)
		}
	}
	return taken, nil
}

// room is how many bytes may be sent now. It is called with mu held.
func (s *stream) room() int {
	n := s.c.t.cfg.SendBuffer - int(min(s.st.BufferedAmount(), 1<<30)) - frameOverhead
	if s.c.window > 0 {
		n = min(n, int(min(s.limit-min(s.sent, s.limit), 1<<30)))
	}
	return n
}

// canWrite says that a writer that was blocked should look again. It is called with mu held.
func (s *stream) canWrite() bool {
	if s.stopped != nil {
		return true
	}
	buffered := int(min(s.st.BufferedAmount(), 1<<30))
	return buffered <= s.c.t.cfg.SendBuffer/2 && s.room() >= min(smallFrame, s.c.t.cfg.SendBuffer/4)
}

// CloseWrite implements conduit.MuxedStream.
func (s *stream) CloseWrite() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.gone {
		return s.c.gone()
	}
	if s.fin {
		return nil
	}
	s.fin, s.blocked = true, false
	s.since = s.c.t.rt.Now()
	s.say(frame{flag: flagFin})
	s.settle()
	return nil
}
