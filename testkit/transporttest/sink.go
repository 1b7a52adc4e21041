package transporttest

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// Sink records what a conduit does and complains where that breaks the contract. The zero
// value takes everything and grants no credit back.
type Sink struct {
	board
	// OnOffer, if set, gets each buffer in place of the record.
	OnOffer func(b *buf.Buf)
	// OnDrained, if set, is called with each outcome, after it was recorded.
	OnDrained func(err error)

	inside  atomic.Int32
	bytes   []byte
	offers  int
	allowed int // offers that the credits allow
	drained []error
	ended   []error
	faults  []string
}

var _ conduit.Sink = (*Sink)(nil)

// bind makes the sink the owner of c.
func (s *Sink) bind(c conduit.Raw, credits int) {
	s.set(func() { s.allowed += credits })
	c.Bind(s, credits)
}

// more grants one credit.
func (s *Sink) more(c conduit.Raw) {
	s.set(func() { s.allowed++ })
	c.More()
}

func (s *Sink) enter(what string) {
	if s.inside.Add(1) > 1 {
		s.set(func() { s.faults = append(s.faults, what+" during another call") })
	}
}

func (s *Sink) leave() { s.inside.Add(-1) }

// Offer implements conduit.Sink.
func (s *Sink) Offer(b *buf.Buf) {
	s.enter("Offer")
	defer s.leave()
	s.set(func() {
		s.offers++
		if s.offers > s.allowed {
			s.faults = append(s.faults, fmt.Sprintf("offer %d with %d credits", s.offers, s.allowed))
		}
		if len(b.B) == 0 {
			s.faults = append(s.faults, "empty offer")
		}
		if len(s.ended) > 0 {
			s.faults = append(s.faults, "Offer after Ended")
		}
		if s.OnOffer == nil {
			s.bytes = append(s.bytes, b.B...)
			b.Release()
		}
	})
	if s.OnOffer != nil {
		s.OnOffer(b)
	}
}

// Drained implements conduit.Sink.
func (s *Sink) Drained(err error) {
	s.enter("Drained")
	defer s.leave()
	s.set(func() { s.drained = append(s.drained, err) })
	if s.OnDrained != nil {
		s.OnDrained(err)
	}
}

// Ended implements conduit.Sink.
func (s *Sink) Ended(err error) {
	s.enter("Ended")
	defer s.leave()
	s.set(func() {
		s.ended = append(s.ended, err)
		if err == nil {
			s.faults = append(s.faults, "Ended without a reason")
		}
		if len(s.ended) > 1 {
			s.faults = append(s.faults, "Ended twice")
		}
	})
}

// check reports breaches of the contract.
func (s *Sink) check(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		t.Error("the conduit broke the contract:", f)
	}
}

// WaitEnded waits for the end and says why it came.
func (s *Sink) WaitEnded(t *testing.T, what string) error {
	t.Helper()
	var err error
	s.wait(t, what, func() bool {
		if len(s.ended) == 0 {
			return false
		}
		err = s.ended[0]
		return true
	})
	return err
}

// WaitBytes waits for n bytes and returns all there are.
func (s *Sink) WaitBytes(t *testing.T, what string, n int) []byte {
	t.Helper()
	var got []byte
	s.wait(t, what, func() bool { got = s.bytes; return len(got) >= n })
	return got
}

// count reads a number under the lock.
func (s *Sink) count(f func() int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f()
}

// reader is a Sink that gives each credit back at once.
func reader(c conduit.Raw) *Sink {
	s := &Sink{}
	s.OnOffer = func(b *buf.Buf) {
		s.set(func() { s.bytes = append(s.bytes, b.B...) })
		b.Release()
		s.more(c)
	}
	return s
}
