package yamux

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
	if !s.control.Take(n, s.now) {
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
	s.control.Earn(int64(s.earned / earnPerToken))
	s.earned %= earnPerToken
}
