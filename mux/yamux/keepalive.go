package yamux

import "time"

// rttInterval is the age after which a round trip is measured again, if windows depend on it.
const rttInterval = 30 * time.Second

// pinger is our one ping under way and what it is for.
type pinger struct {
	queued, sent bool
	opaque       uint32
	since        time.Time // when it was queued: an output that is stuck counts against the peer
	sentAt       time.Time
	last         time.Time // when the last one was answered
}

// Ping measures the round trip once more, unless a measurement is under way.
func (s *Session) Ping(now time.Time) {
	s.now = now
	if s.err != nil || s.pinging() {
		return
	}
	s.ping.queued = true
	s.ping.opaque++
	s.ping.since = now
}

func (s *Session) pinging() bool { return s.ping.queued || s.ping.sent }

// RTT is the smoothed round trip, 0 before the first measurement. It falls at once and rises
// slowly: a queue on either end makes samples too long, never too short.
func (s *Session) RTT() time.Duration { return s.rtt }

func (s *Session) refreshRTT() {
	if s.now.Sub(s.ping.last) >= rttInterval {
		s.Ping(s.now)
	}
}

// recvPing answers a ping or takes the answer to ours.
func (s *Session) recvPing(h Header) {
	if h.Flags&FlagSYN != 0 {
		if s.pongs.n >= s.cfg.PingBacklog {
			// As go-yamux does: a peer that does not read its answers gets no more of them.
			s.stats.PongsDropped++
		} else {
			s.pongs.push(h.Length)
		}
		s.charge(1)
		return
	}
	if h.Flags&FlagACK == 0 || !s.ping.sent || h.Length != s.ping.opaque {
		s.charge(1) // unsolicited
		return
	}
	s.ping.sent = false
	s.ping.last = s.now
	s.prove()
	sample := max(s.now.Sub(s.ping.sentAt), time.Microsecond)
	if s.rtt == 0 || sample < s.rtt {
		s.rtt = sample
	} else {
		s.rtt += (sample - s.rtt) / 8
	}
}

// Deadline is when HandleTimeout is due. It moves with every input: arm one timer, and let
// HandleTimeout find out that it is early.
func (s *Session) Deadline() (time.Time, bool) {
	if s.err != nil {
		return time.Time{}, false
	}
	silent, ok := s.silenceDue()
	if active, some := s.proofDue(); some && (!ok || active.Before(silent)) {
		return active, true
	}
	return silent, ok
}

// silenceDue is when a remote that sends nothing is asked whether it lives, or is given up.
func (s *Session) silenceDue() (time.Time, bool) {
	switch {
	case s.cfg.KeepAlive < 0:
		return time.Time{}, false
	case s.pinging():
		return later(s.ping.since, s.lastRecv).Add(s.cfg.KeepAliveTimeout), true
	}
	return s.lastRecv.Add(s.cfg.KeepAlive), true
}

// HandleTimeout does what is due at now; calling it early is harmless.
func (s *Session) HandleTimeout(now time.Time) {
	s.now = now
	if s.err != nil {
		return
	}
	silent, keep := s.silenceDue()
	keep = keep && !now.Before(silent)
	active, prove := s.proofDue()
	prove = prove && !now.Before(active)
	switch {
	case !keep && !prove:
	case !s.pinging():
		if keep {
			s.trim()
		}
		s.Ping(now)
	case prove:
		s.fail(ErrNotReading)
	default:
		s.end(ErrKeepAlive, false)
	}
}

// trim gives memory back that a busy time has left behind: idle sessions are many.
func (s *Session) trim() {
	s.free, s.numFree = nil, 0
	if s.events.len() == 0 {
		s.events = eventQueue{}
	}
	if len(s.streams) == 0 {
		s.streams = map[uint32]*stream{}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
