package script

import (
	"errors"
	"fmt"
)

// Stream is one stream of a Mux: a channel again.
type Stream struct {
	Channel
	ID uint32
	m  *Mux

	// Guarded by the peer's lock.
	out     [][]byte
	busy    bool // the core has a body of ours
	fin     bool // CloseWrite was called
	over    bool // the core has forgotten it
	stalled bool
	owed    int // credit that the remote gets back with Resume
}

// ResetError is the end of a stream by a reset.
type ResetError struct {
	Code   uint32
	Remote bool // who reset it
}

func (e *ResetError) Error() string {
	if e.Remote {
		return fmt.Sprintf("reset by the remote with code %#x", e.Code)
	}
	return fmt.Sprintf("reset by ourselves with code %#x", e.Code)
}

// send gives bytes to the core, one body at a time.
func (s *Stream) send(b []byte) {
	if len(b) == 0 || s.over || s.fin {
		return
	}
	s.out = append(s.out, b)
	s.flush()
	s.m.drain()
}

// flush is called with the peer's lock held.
func (s *Stream) flush() {
	if s.busy || s.over {
		return
	}
	now := s.p.d.Now()
	if len(s.out) > 0 {
		b := s.out[0]
		s.out = s.out[1:]
		s.busy = s.m.core.Write(now, s.ID, b) == nil
	} else if s.fin {
		_ = s.m.core.CloseWrite(now, s.ID)
	}
}

// credit tells the core what was read.
func (s *Stream) credit() {
	if s.stalled || s.owed == 0 {
		return
	}
	s.m.core.Consumed(s.p.d.Now(), s.ID, s.owed)
	s.owed = 0
}

// Unsent is how many bytes the remote's window has had no room for.
func (s *Stream) Unsent() (n int) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	for _, b := range s.out {
		n += len(b)
	}
	return n
}

// Stall makes the stream's reader stop: no more credit goes back.
func (s *Stream) Stall() {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.note("-- stops reading")
	s.stalled = true
}

// Resume makes it read on.
func (s *Stream) Resume() {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.note("-- reads on")
	s.stalled = false
	s.credit()
	s.m.drain()
}

// CloseWrite ends our direction in order, behind what was sent.
func (s *Stream) CloseWrite() {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.note("-> the end")
	s.fin = true
	s.flush()
	s.m.drain()
}

// Reset ends both directions at once with a code.
func (s *Stream) Reset(code uint32) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.note("-> reset %#x", code)
	s.m.core.Reset(s.p.d.Now(), s.ID, code)
	s.m.drain()
}

// WantReset waits until the remote resets the stream with a code. What came before need not have
// been taken.
func (s *Stream) WantReset(reason string, code uint32) {
	s.p.t.Helper()
	s.p.run(func() bool { return s.end != nil })
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	wanted := fmt.Sprintf("a reset with code %#x", code)
	var r *ResetError
	switch {
	case s.end == nil:
		s.failLocked(reason, wanted, nil, fmt.Sprintf("it did not come within %s", s.p.cfg.Patience))
	case !errors.As(s.end, &r) || r.Code != code || !r.Remote:
		s.failLocked(reason, wanted, nil, "it ended otherwise")
	}
	s.note("<- %v", s.end)
}
