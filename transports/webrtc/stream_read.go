package webrtc

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	"github.com/pion/sctp"
)

// read is the read pump. It runs from the channel's first message to the remote's reset of it, also
// while nobody reads: flags have to be seen.
func (s *stream) read() {
	for {
		// An empty buffer waits for a message and says how long it is: idle streams hold none.
		n, ppi, err := s.st.ReadSCTP(nil)
		var b *buf.Buf
		if errors.Is(err, io.ErrShortBuffer) {
			if n > maxFrame {
				s.broken(errFrameSize)
				return
			}
			b = buf.Get(n)
			n, ppi, err = s.st.ReadSCTP(b.B)
		}
		switch {
		case err != nil:
			if b != nil {
				b.Release()
			}
			s.readEnded()
			return
		case b == nil: // of no bytes
			continue
		}
		b.B = b.B[:n]
		if !s.message(b, ppi) {
			return
		}
	}
}

// message takes one, and waits while as much is unread as may be. It reports whether to go on.
func (s *stream) message(b *buf.Buf, ppi sctp.PayloadProtocolIdentifier) bool {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	var err error
	switch {
	case s.closing && ppi == sctp.PayloadTypeWebRTCDCEP && isOpen(b.B):
		s.next = true
		b.Release()
	case s.gone:
		b.Release()
	case ppi == sctp.PayloadTypeWebRTCDCEP:
		err = s.control(b.B)
		b.Release()
	case s.opening:
		err = errors.New("bytes on a channel that is not open")
		b.Release()
	case carries(ppi):
		err = s.bytes(b)
	default:
		b.Release()
	}
	if err != nil {
		s.violated(err)
	}
	for !s.gone && !s.deaf && s.c.why == nil && s.crammed() {
		if s.full.IsZero() {
			s.full = s.c.t.rt.Now()
		}
		s.c.space.Wait()
	}
	s.full = time.Time{}
	return s.c.why == nil
}

// crammed says that as much is unread as may be. A remote that knows windows keeps to them: what comes
// behind a full one is a flag or a grant, and our reader may wait for that before it reads. All windows of
// open streams fit; what was sent on streams that have ended may not. It is called with mu held.
func (s *stream) crammed() bool {
	if s.c.window > 0 {
		return s.unread > 0 && s.c.unread >= s.c.t.cfg.unread()
	}
	return s.unread >= s.c.t.cfg.StreamWindow || s.unread > 0 && s.c.unread >= s.c.t.cfg.ConnWindow
}

// control is called with mu held.
func (s *stream) control(p []byte) error {
	switch {
	case len(p) > 0 && p[0] == dcepAck && s.ours:
		return nil
	case s.opening && len(p) <= maxOpen && isOpen(p):
	default:
		return errors.New("no open of a reliable, ordered channel")
	}
	s.opened()
	return nil
}

// opened acknowledges the remote's open and hands the stream over. It is called with mu held.
func (s *stream) opened() {
	s.opening = false
	_, _ = s.st.WriteSCTP([]byte{dcepAck}, sctp.PayloadTypeWebRTCDCEP)
	s.waiting = true
	s.c.accepted = append(s.c.accepted, s)
	s.c.news.look()
}

// bytes takes a message apart into frames, which need not end where messages do. It owns b and is called
// with mu held.
func (s *stream) bytes(b *buf.Buf) error {
	p := b.B
	if len(s.part) > 0 {
		s.part = append(s.part, p...)
		p = s.part
	}
	for {
		f, size, err := nextFrame(p)
		if err != nil || size == 0 {
			s.part = append(s.part[:0:0], p...)
			if len(p) == 0 {
				s.part = nil
			}
			if b != nil {
				b.Release()
			}
			return err
		}
		last := size == len(p)
		p = p[size:]
		if len(f.data) > 0 && !s.gone && !s.deaf && !s.remoteFin {
			piece := b
			if last && len(s.part) == 0 { // the usual case: nothing is copied
				piece.B = f.data
				b = nil
			} else {
				piece = buf.Copy(f.data)
			}
			s.in = append(s.in, piece)
			s.unread += len(f.data)
			s.c.unread += len(f.data)
			s.c.news.of(s)
		}
		if s.got += uint64(len(f.data)); s.c.window > 0 && s.got > s.granted && !s.deaf {
			err = fmt.Errorf("%d bytes, %d were granted", s.got, s.granted)
		}
		s.flagged(f)
		if last || err != nil {
			s.part = nil
			if b != nil {
				b.Release()
			}
			return err
		}
	}
}

// flagged does what a frame says about the stream. It is called with mu held.
func (s *stream) flagged(f frame) {
	if f.window > s.limit && s.c.window > 0 {
		s.limit = f.window
		if s.blocked {
			s.c.news.of(s)
		}
	}
	if s.gone {
		return
	}
	switch f.flag {
	case noFlag:
	case flagFin:
		if !s.remoteFin {
			s.remoteFin = true
			s.say(frame{flag: flagFinAck})
			s.c.news.of(s)
		}
	case flagFinAck:
		s.finAck = s.finAck || s.fin
	case flagStopSending:
		s.stop(f.code)
	case flagReset:
		if s.waiting || !s.ours {
			s.c.wasted()
		}
		s.forget(resetBy(f.code, true))
		s.c.news.of(s)
	}
	s.settle()
}

// stop notes that the remote reads no more. It is called with mu held.
func (s *stream) stop(code uint32) {
	if s.stopped == nil && !s.finAck {
		s.stopped = &CodeError{Transport: name, Code: code, Remote: true, Op: "reading stopped"}
		s.c.news.of(s)
	}
}

// violated ends a stream whose remote does not keep to the protocol. It is called with mu held.
func (s *stream) violated(err error) {
	s.refuse(codeProtocol, fail(fault.Remote, "read from", s.c.ends.Remote, fmt.Errorf("%w: %w", ErrProtocol, err)))
	if !s.ours {
		s.c.wasted()
	}
	s.c.news.of(s)
}

// broken ends a channel that cannot be read on. It lingers, whatever the remote does.
func (s *stream) broken(err error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.violated(err)
}

// readEnded is the remote's reset of the channel, or the end of the connection.
func (s *stream) readEnded() {
	if s.c.ending() {
		return // finish tells
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.eof = true
	switch {
	case s.gone:
	case s.remoteFin || s.deaf:
		s.stop(0) // it is sent nothing more
	default:
		// webrtc/README.md has a flag for each end in order; some drop what they have not sent when they
		// close a channel.
		if !s.ours {
			s.c.wasted()
		}
		s.forget(resetBy(0, true))
		s.c.news.of(s)
	}
	s.settle()
	if s.next {
		s.c.reopened(s.id)
	}
}
