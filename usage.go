package troupe

import "sync/atomic"

// Usage is what is in use of one of Config.Limits.
type Usage struct {
	// Limit is the field of Limits.
	Limit     string
	Used, Cap int64
}

// counts are what the actors that enforce limits say of them. They can be read while those are
// stuck, or down.
type counts struct{ conns, dials, halfOpen atomic.Int64 }

func (c *counts) peers(conns, dials int) {
	c.conns.Store(int64(conns))
	c.dials.Store(int64(dials))
}

func (c *counts) gate(halfOpen int) { c.halfOpen.Store(int64(halfOpen)) }

// Usage tells what is in use of the limits that hold for the whole node, in the order of Limits. It
// asks nobody.
func (s *System) Usage() []Usage {
	l := s.cfg.Limits.WithDefaults()
	streams, _ := s.streams.Used()
	bytes, _ := s.buffers.Used()
	return []Usage{
		{"Conns", s.counts.conns.Load(), int64(l.Conns)},
		{"HalfOpen", s.counts.halfOpen.Load(), int64(max(1, l.HalfOpen))}, // as the gate reads it
		{"HalfOpenOut", s.counts.dials.Load(), int64(l.HalfOpenOut)},
		{"Streams", streams, int64(l.Streams)},
		{"BufferBytes", bytes, int64(l.BufferBytes)},
	}
}
