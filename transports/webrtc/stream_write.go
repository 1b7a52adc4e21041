package webrtc

import (
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	"github.com/pion/sctp"
)

// smallFrame is what is not worth a frame of its own when more has to wait.
const smallFrame = 1 << 10

// smallBuffer is how many bytes may wait when a small write is taken. SCTP keeps a quarter of a kilobyte
// beside each message, so many small ones would cost far more than SendBuffer.
const smallBuffer = 8 << 10

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
	s.small = len(p) < smallFrame
	for taken < len(p) && !s.crowded() {
		rest := p[taken:]
		n := min(s.room(), len(rest), most)
		if n <= 0 || n < len(rest) && n < smallFrame {
			break
		}
		b.B = appendFrame(b.B[:0], frame{data: rest[:n]})
		if _, err := s.st.WriteSCTP(b.B, sctp.PayloadTypeWebRTCBinary); err != nil {
			// The association has ended, not by us, and its end is about to be told.
			return taken, fail(fault.Remote, "talk to", s.c.ends.Remote, err)
		}
		s.sent += uint64(n)
		taken += n
	}
	if taken < len(p) {
		s.blocked = true
		s.st.SetBufferedAmountLowThreshold(uint64(s.low()))
		s.c.starved = s.c.starved || s.c.room() < maxFrame
		if s.canWrite() { // it has become so just now, and nobody said
			s.c.news.of(s)
		}
	}
	return taken, nil
}

// room is how many bytes may be sent now. It is called with mu held.
func (s *stream) room() int {
	n := min(s.c.t.cfg.SendBuffer-int(min(s.st.BufferedAmount(), 1<<30)), s.c.room()) - frameOverhead
	if s.c.window > 0 {
		n = min(n, int(min(s.limit-min(s.sent, s.limit), 1<<30)))
	}
	return n
}

// room is how many bytes of all streams may be sent now. It is called with mu held.
func (c *conn) room() int { return c.t.cfg.ConnSendBuffer - c.assoc.BufferedAmount() }

// canWrite says that a writer that was blocked should look again. It is called with mu held.
func (s *stream) canWrite() bool {
	if s.stopped != nil {
		return true
	}
	return s.st.BufferedAmount() <= uint64(s.low()) && s.room() >= min(smallFrame, s.c.t.cfg.SendBuffer/4)
}

// crowded says that a small write has to wait. It is called with mu held.
func (s *stream) crowded() bool { return s.small && s.st.BufferedAmount() > smallBuffer }

// low is how few bytes have to wait before a writer that was blocked is woken.
func (s *stream) low() int {
	if s.small {
		return smallBuffer / 2
	}
	return s.c.t.cfg.SendBuffer / 2
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
