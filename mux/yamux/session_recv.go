package yamux

import (
	"math"
	"time"
)

// rapidResetAge: a stream that the remote resets younger than this counts against the reset
// budget. Old streams are reset in numbers by honest peers that cancel their work.
const rapidResetAge = 10 * time.Second

// maxDiscard is what a remote may send on one stream after CloseRead, in bytes. Dropped data
// costs us its decryption; past this the stream is reset.
const maxDiscard = DefaultMaxWindow

// step uses up one header, or one piece of a body, of the input.
func (s *Session) step() {
	if s.body.left > 0 {
		s.recvBody()
		return
	}
	h, ok := s.takeHeader()
	if !ok {
		return
	}
	switch h.Type {
	case TypeData, TypeWindowUpdate:
		s.recvStreamFrame(h)
	case TypePing:
		s.recvPing(h)
	case TypeGoAway:
		s.recvGoAway(h)
	}
}

// takeHeader reads a header that may be spread over several inputs.
func (s *Session) takeHeader() (Header, bool) {
	var raw []byte
	if s.partLen == 0 && len(s.in) >= HeaderSize {
		raw, s.in = s.in[:HeaderSize], s.in[HeaderSize:]
	} else {
		n := copy(s.part[s.partLen:], s.in)
		s.in = s.in[n:]
		s.partLen += uint8(n)
		if s.partLen < HeaderSize {
			return Header{}, false
		}
		raw, s.partLen = s.part[:], 0
	}
	h, err := ParseHeader(raw)
	if err != nil {
		s.end(err, true)
		return Header{}, false
	}
	return h, true
}

// recvStreamFrame handles the header of a data frame or window update. What the frame costs is
// settled here: the body of a data frame is only delivered or skipped afterwards.
func (s *Session) recvStreamFrame(h Header) {
	if h.ID == 0 {
		s.fail(ErrStreamZero)
		return
	}
	st := s.streams[h.ID]
	if h.Flags&FlagSYN != 0 {
		s.recvSYN(h, st)
		return
	}
	if st == nil || !st.inbound && !st.announced {
		s.recvStray(h)
		return
	}
	// Peers acknowledge late, some with their first data: any sign of life will do.
	s.recvKnown(st, h, h.Flags&FlagRST == 0 && s.ack(st))
}

// recvSYN opens a stream, or refuses it without making one.
func (s *Session) recvSYN(h Header, st *stream) {
	switch {
	case s.ours(h.ID):
		s.fail(ErrParity)
	case st != nil:
		s.fail(ErrDoubleSYN)
	case h.Type == TypeData && h.Length > ProtocolWindow:
		s.fail(ErrWindowExceeded)
	case h.Flags&FlagRST != 0: // opened and reset in one frame: nothing to make
		s.skipBody(h)
		if !s.rapid.Take(1, s.now) {
			s.fail(ErrResetFlood)
		}
	case s.draining:
		s.refuse(h, ResetShutdown)
	case s.inbound >= s.cfg.MaxInboundStreams || s.unaccepted >= s.cfg.AcceptBacklog:
		s.refuse(h, ResetResourceLimit)
	default:
		st = s.newStream(h.ID, true)
		s.events.push(Event{Kind: StreamOpened, ID: h.ID})
		s.recvKnown(st, h, true)
	}
}

// refuse answers a SYN with RST. It may cost 8 bytes in a queue and nothing more.
func (s *Session) refuse(h Header, code uint32) {
	s.skipBody(h)
	grant := uint32(ProtocolWindow)
	if h.Type == TypeData {
		grant -= h.Length
	}
	s.late.allow(grant)
	s.queueReset(h.ID, code, true)
	s.chargeRefusal()
}

// recvKnown handles a frame of a live stream; news says that its flags have changed something.
func (s *Session) recvKnown(st *stream, h Header, news bool) {
	if h.Type == TypeData {
		s.recvData(st, h, news)
		return
	}
	if h.Flags&FlagRST != 0 {
		s.recvReset(st, h.Length)
		return
	}
	if h.Length > math.MaxUint32-st.sendWindow {
		s.fail(ErrWindowOverflow)
		return
	}
	st.sendWindow += h.Length
	if h.Length > 0 && st.used {
		st.used = false
		s.prove()
	}
	if st.body != nil {
		s.schedule(st)
	}
	if h.Flags&FlagFIN != 0 && !st.remoteClosed {
		s.recvFIN(st)
	} else if !news {
		s.charge(1)
	}
}

func (s *Session) recvData(st *stream, h Header, news bool) {
	if st.remoteClosed && h.Flags&FlagRST == 0 {
		s.recvStray(h)
		return
	}
	if h.Length > st.grant {
		// Also the answer to a length of 2^32-1 with the body held back.
		s.fail(ErrWindowExceeded)
		return
	}
	st.grant -= h.Length
	if h.Flags&FlagRST != 0 {
		s.skipBody(h)
		s.recvReset(st, 0)
		return
	}
	fin := h.Flags&FlagFIN != 0
	switch {
	case h.Length > 0:
		s.body.left, s.body.st, s.body.fin = h.Length, st, fin
	case fin:
		s.recvFIN(st)
	case !news:
		s.charge(1)
	}
}

// recvBody delivers what has arrived of a body. Frames are not put together: what is here goes
// on, so a frame that never ends holds up nothing but itself.
func (s *Session) recvBody() {
	n := min(len(s.in), int(min(s.body.left, math.MaxInt32)))
	p := s.in[:n]
	s.in = s.in[n:]
	s.body.left -= uint32(n)
	st := s.body.st
	switch {
	case st == nil:
		return
	case !st.readClosed:
		if n > s.cfg.MaxHeld-s.held {
			s.abort(st, ResetResourceLimit, ErrMaxHeld)
			return
		}
		s.hold(st, n)
		s.events.push(Event{Kind: Data, ID: st.id, P: p, N: n})
	case !s.discard(st, n):
		return
	}
	if s.body.left == 0 {
		s.body.st = nil
		if s.body.fin {
			s.recvFIN(st)
		}
	}
}

// discard drops n bytes of a stream that nobody reads and gives their credit back, so that the
// remote can get to its end. It reports whether the stream lives on.
func (s *Session) discard(st *stream, n int) bool {
	st.discarded += n
	if st.discarded <= maxDiscard {
		s.credit(st, false)
		return true
	}
	s.abort(st, st.readCode, nil)
	return false
}

// abort is a reset that the caller did not ask for. why may be nil.
func (s *Session) abort(st *stream, code uint32, why error) {
	s.events.push(Event{Kind: StreamReset, ID: st.id, Code: code, Err: why})
	s.reset(st, code)
}

func (s *Session) recvFIN(st *stream) {
	st.remoteClosed = true
	s.events.push(Event{Kind: RemoteClosed, ID: st.id})
	s.dropIfDone(st)
}

func (s *Session) recvReset(st *stream, code uint32) {
	young := st.inbound && s.now.Sub(st.opened) < rapidResetAge
	s.events.push(Event{Kind: StreamReset, ID: st.id, Code: code, Remote: true})
	s.drop(st)
	if young && !s.rapid.Take(1, s.now) {
		s.fail(ErrResetFlood)
	}
}

// recvStray drops a frame of a stream that is gone or never was. What can have been in flight
// is free; the rest has a price.
func (s *Session) recvStray(h Header) {
	if h.Type != TypeData || h.Length == 0 {
		if s.late.frames > 0 {
			s.late.frames--
			return
		}
		s.charge(1)
		return
	}
	if int64(h.Length) > int64(s.cfg.MaxWindow) {
		s.fail(ErrWindowExceeded) // no stream ever had such a window
		return
	}
	s.skipBody(h)
	if int64(h.Length) <= s.late.bytes {
		s.late.bytes -= int64(h.Length)
		return
	}
	s.charge(1 + int64(h.Length)/1024)
}

func (s *Session) skipBody(h Header) {
	if h.Type == TypeData {
		s.body.left, s.body.st, s.body.fin = h.Length, nil, false
	}
}

func (s *Session) recvGoAway(h Header) {
	if s.remoteGone != nil {
		s.charge(1)
		return
	}
	s.remoteGone = &GoAwayError{Code: h.Length, Remote: true}
	s.events.push(Event{Kind: RemoteGoAway, Code: h.Length})
	if h.Length != GoAwayNormal {
		s.end(s.remoteGone, false)
	}
}

// ours says whether id is of the kind that this end opens.
func (s *Session) ours(id uint32) bool { return (id%2 == 1) == (s.role == Client) }
