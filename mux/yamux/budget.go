package yamux

import "time"

// bucket is a token bucket: at most burst at once, rate per second in the long run.
type bucket struct {
	level, burst, rate int64
	at                 time.Time
}

func newBucket(burst, rate int, now time.Time) bucket {
	return bucket{level: int64(burst), burst: int64(burst), rate: int64(rate), at: now}
}

// take removes n tokens and reports whether there were as many. Time is looked at only when
// the level runs low, which keeps the bound (burst + rate·t in any t) and the usual call cheap.
func (b *bucket) take(n int64, now time.Time) bool {
	if b.level < n {
		b.refill(now)
	}
	if b.level < n {
		return false
	}
	b.level -= n
	return true
}

func (b *bucket) refill(now time.Time) {
	elapsed := now.Sub(b.at)
	if elapsed <= 0 {
		return
	}
	if elapsed.Seconds() >= float64(b.burst)/float64(b.rate) {
		b.level, b.at = b.burst, now
		return
	}
	// elapsed < burst/rate seconds and burst < 2^31+4: the product stays below 2^61.
	n := int64(elapsed) * b.rate / int64(time.Second)
	b.level = min(b.level+n, b.burst)
	b.at = b.at.Add(time.Duration(n * int64(time.Second) / b.rate))
}

// earn adds tokens up to the burst.
func (b *bucket) earn(n int64) { b.level = min(b.level+n, b.burst) }

// refusalsPerToken is how many refused SYNs cost as much as one control frame. A refusal is
// cheap, and an honest peer in a hurry collects many; an endless flood is still ended.
const refusalsPerToken = 16

// earnPerToken is how many bytes of data sent earn one control token: honest window updates
// come in proportion to what we send.
const earnPerToken = 1 << 10

// lateFrames is how many control frames a peer may have had under way when we ended a stream:
// an acknowledgement, a FIN or RST, and window updates.
const lateFrames = 4

// Caps of what the sums below may reach, so that resetting streams for days does not pile up
// an allowance without bound.
const (
	maxLateBytes  = 1 << 30
	maxLateFrames = 1 << 16
)

// late is what peers may still send for streams that are gone on this end, because it was in
// flight: bytes of data within windows we had granted, and control frames.
type late struct {
	bytes  int64
	frames int64
}

func (l *late) allow(grant uint32) {
	l.bytes = min(l.bytes+int64(grant), maxLateBytes)
	l.frames = min(l.frames+lateFrames, maxLateFrames)
}

// charge takes the price of a control frame from the budget and ends the session when it is
// overdrawn.
func (s *Session) charge(n int64) {
	if !s.control.take(n, s.now) {
		s.fail(ErrControlFlood)
	}
}

// chargeRefusal takes the price of a refused SYN.
func (s *Session) chargeRefusal() {
	s.refusals++
	s.stats.Refused++
	if s.refusals >= refusalsPerToken {
		s.refusals = 0
		s.charge(1)
	}
}

// earn pays for bytes of data handed out for writing.
func (s *Session) earn(n int) {
	s.earned += n
	s.control.earn(int64(s.earned / earnPerToken))
	s.earned %= earnPerToken
}
