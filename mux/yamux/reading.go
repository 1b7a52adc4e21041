package yamux

import "time"

// reader is what is known of whether the remote reads what we send. Silence has its keep-alive;
// this is about a remote that goes on sending, and lets what it causes pile up in the conduit.
// No window update after data, acknowledgement or pong gets lost on the way, so a remote that
// reads, however slowly, proves it now and then.
type reader struct {
	proof time.Time // of the latest proof
	doubt time.Time // when the remote first sent something after it; zero: it has not
	out   uint64    // bytes that we had sent by then
}

// prove notes that the remote has read something.
func (s *Session) prove() {
	s.reader = reader{proof: s.now, out: s.stats.BytesOut}
}

// HandleDrained says that the conduit, which had not taken all output, has room again: somebody
// reads at the other end. Further output counts from now on in round trips.
func (s *Session) HandleDrained(now time.Time) {
	s.now = now
	s.prove()
}

// proofDue is when a remote that is active is asked for a proof, or is given up.
func (s *Session) proofDue() (time.Time, bool) {
	r := &s.reader
	switch {
	case s.cfg.ActivePing < 0 || r.doubt.IsZero() || s.stats.BytesOut == r.out:
		return time.Time{}, false
	case s.pinging():
		return later(s.ping.since, r.proof).Add(s.cfg.ActivePingTimeout), true
	}
	return r.doubt.Add(s.cfg.ActivePing), true
}
