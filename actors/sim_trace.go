package actors

import (
	"fmt"
	"reflect"
	"time"
)

// TraceEntry is one thing that happened in a simulation.
type TraceEntry struct {
	At   time.Duration // virtual, since the start
	Kind string        // "turn", "system", or what Note was told
	Who  string        // the actor's path, or a connection
	What string        // the type of the message, or what was delivered
	N    uint64        // for Note
	Sum  uint64        // for Note
}

func (e TraceEntry) String() string {
	s := fmt.Sprintf("%14v %-8s %s %s", e.At, e.Kind, e.Who, e.What)
	if e.N != 0 || e.Sum != 0 {
		s += fmt.Sprintf(" %d %016x", e.N, e.Sum)
	}
	return s
}

// simTrace keeps the last entries, and a hash over all.
type simTrace struct {
	ring []TraceEntry
	n    uint64
	hash uint64
}

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func (t *simTrace) init(last int) {
	t.ring = make([]TraceEntry, last)
	t.hash = fnvOffset
}

func (t *simTrace) add(e TraceEntry) {
	t.ring[t.n%uint64(len(t.ring))] = e
	t.n++
	h := t.hash
	h = mixWord(h, uint64(e.At))
	h = mixText(h, e.Kind)
	h = mixText(h, e.Who)
	h = mixText(h, e.What)
	h = mixWord(h, e.N)
	t.hash = mixWord(h, e.Sum)
}

func mixText(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return (h ^ 0xff) * fnvPrime
}

func mixWord(h, v uint64) uint64 {
	h = (h ^ v) * fnvPrime
	return h ^ h>>29
}

// Note puts something of the simulated world into the trace: a delivery, a fault.
func (s *Simulation) Note(kind, who, what string, n, sum uint64) {
	s.traced.add(TraceEntry{At: s.Elapsed(), Kind: kind, Who: who, What: what, N: n, Sum: sum})
}

// noteTurn is called for each message that an actor is about to handle.
func (s *Simulation) noteTurn(kind string, c *cell, m any) {
	s.Note(kind, c.path(), messageKind(m), 0, 0)
}

// messageKind is the type of a message, and for the kit's own envelopes that of what is in them.
func messageKind(m any) string {
	switch m := m.(type) {
	case nil:
		return "nil"
	case *taskDone:
		return "task " + messageKind(m.m)
	case *Timer:
		return "timer " + messageKind(m.msg)
	}
	return reflect.TypeOf(m).String()
}

// Trace is the last entries of the trace, oldest first.
func (s *Simulation) Trace() []TraceEntry {
	t := &s.traced
	n := uint64(len(t.ring))
	if t.n <= n {
		return append([]TraceEntry(nil), t.ring[:t.n]...)
	}
	k := t.n % n
	return append(append([]TraceEntry(nil), t.ring[k:]...), t.ring[:k]...)
}

// TraceHash covers every entry of the trace from the start: two runs with the same hash did the
// same things at the same times in the same order.
func (s *Simulation) TraceHash() uint64 { return s.traced.hash }

// KeepTrace sets how many entries are kept to be read, and forgets those so far.
func (s *Simulation) KeepTrace(last int) {
	s.traced.ring, s.traced.n = make([]TraceEntry, max(last, 1)), 0
}
