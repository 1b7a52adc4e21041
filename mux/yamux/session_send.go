package yamux

// maxOwedResets is how many RSTs for the remote's streams may wait to be written: more than
// the SYNs of one 64 KiB read. A remote that opens streams to be refused and does not read the
// refusals ends its session here.
const maxOwedResets = 8192

// NextWrite returns the next frame for the wire: a header, and for data a body that follows it
// directly. hdr is valid until the next call; body is borrowed from the caller of Write until
// its Written event is drained, so drain events only after the bytes have been used.
//
// Control frames come first: each answers something and there are few. Bodies then take turns,
// one frame each, as far as their windows reach; small ones pass the others, up to a share.
//
// It knows the time only from the latest other call. After a stall of the conduit, call
// HandleTimeout first, or the wait counts into a round trip.
func (s *Session) NextWrite() (hdr, body []byte, ok bool) {
	h, ok := s.nextControl()
	if !ok {
		h, body, ok = s.nextData()
	}
	if !ok {
		return nil, nil, false
	}
	hdr = h.Append(s.hdr[:0])
	s.stats.BytesOut += uint64(len(hdr) + len(body))
	return hdr, body, true
}

// WantsWrite reports whether NextWrite may have a frame. While it does and the conduit takes
// nothing, output is stalled: the caller's clock decides when that is too long.
func (s *Session) WantsWrite() bool {
	return s.controlPending() > 0 || s.dataq.len() > 0
}

func (s *Session) controlPending() int {
	n := s.pongs.n + s.resets.n + s.controlq.n
	if s.ping.queued {
		n++
	}
	if s.goAway != nil {
		n++
	}
	return n
}

func (s *Session) nextControl() (Header, bool) {
	if s.ping.queued {
		s.ping.queued, s.ping.sent, s.ping.sentAt = false, true, s.now
		return Header{Type: TypePing, Flags: FlagSYN, Length: s.ping.opaque}, true
	}
	if opaque, ok := s.pongs.pop(); ok {
		return Header{Type: TypePing, Flags: FlagACK, Length: opaque}, true
	}
	if r, ok := s.resets.pop(); ok {
		if !s.ours(r.id) {
			s.owed--
		}
		return Header{Type: TypeWindowUpdate, Flags: FlagRST, ID: r.id, Length: r.code}, true
	}
	if h, ok := s.nextUpdate(); ok {
		return h, true
	}
	if s.goAway != nil {
		h := *s.goAway
		s.goAway = nil
		return h, true
	}
	return Header{}, false
}

// nextUpdate makes the window update of the first stream that needs one.
func (s *Session) nextUpdate() (Header, bool) {
	for st := s.controlq.pop(); st != nil; st = s.controlq.pop() {
		opening := st.wantSYN || st.wantACK
		if opening && st.links[dataQueue].in && s.room(st) <= 0 {
			continue // no credit to tell: the flags ride on the data
		}
		h := Header{Type: TypeWindowUpdate, ID: st.id, Flags: s.takeOpening(st)}
		if opening || st.wantCredit {
			h.Length = s.takeCredit(st)
		}
		if st.wantFIN {
			st.wantFIN, st.finSent = false, true
			h.Flags |= FlagFIN
			s.dropIfDone(st)
		}
		if h.Flags != 0 || h.Length != 0 {
			return h, true
		}
	}
	return Header{}, false
}

// takeOpening returns the flags that the first frame of a stream carries.
func (s *Session) takeOpening(st *stream) Flags {
	var f Flags
	if st.wantSYN {
		s.letSYNGo(st)
		st.wantSYN, st.announced = false, true
		f |= FlagSYN
	}
	if st.wantACK {
		st.wantACK = false
		f |= FlagACK
	}
	return f
}

// nextData cuts the next frame off the body whose turn it is.
func (s *Session) nextData() (Header, []byte, bool) {
	st := s.dataq.pop()
	if st == nil {
		return Header{}, nil, false
	}
	rest := st.body[st.sent:]
	n := min(len(rest), s.cfg.MaxFrame, int(st.sendWindow))
	h := Header{Type: TypeData, Flags: s.takeOpening(st), ID: st.id, Length: uint32(n)}
	st.sent += n
	st.sendWindow -= uint32(n)
	st.used = true
	s.earn(n)
	if n == len(rest) {
		s.events.push(Event{Kind: Written, ID: st.id, N: st.sent})
		s.bodyDone(st)
	} else {
		s.schedule(st)
	}
	return h, rest[:n], true
}

// schedule puts a stream with a body in line, or notes since when its window is shut.
func (s *Session) schedule(st *stream) {
	if st.sendWindow > 0 {
		st.blockedSince = noTime
		s.dataq.push(st)
	} else if st.blockedSince.IsZero() {
		st.blockedSince = s.now
	}
}

// bodyDone forgets the body of a stream and lets a FIN that waited for it go.
func (s *Session) bodyDone(st *stream) {
	st.body, st.sent, st.blockedSince = nil, 0, noTime
	if st.writeClosed {
		st.wantFIN = true
		s.controlq.push(st)
	}
}

// reset ends st with an RST, which is not needed if the remote never heard of the stream.
func (s *Session) reset(st *stream, code uint32) {
	if st.inbound || st.announced {
		grant := st.grant
		if st.remoteClosed {
			grant = 0
		}
		s.late.allow(grant)
		s.queueReset(st.id, code, st.inbound)
	}
	s.drop(st)
}

func (s *Session) queueReset(id, code uint32, owed bool) {
	if owed {
		if s.owed >= maxOwedResets {
			s.fail(ErrNotReading)
			return
		}
		s.owed++
	}
	s.resets.push(reset{id, code})
}
