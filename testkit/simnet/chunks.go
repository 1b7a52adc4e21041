package simnet

import "github.com/troupe-p2p/troupe/internal/buf"

// chunks are bytes that wait for their reader, in the buffers in which they came.
type chunks struct {
	q    []*buf.Buf
	head int
	n    int // bytes
}

// add takes b over. Small pieces share buffers, so that a sender of single bytes is not dear.
func (c *chunks) add(b *buf.Buf) {
	c.n += len(b.B)
	if c.head < len(c.q) {
		last := c.q[len(c.q)-1]
		if len(last.B)+len(b.B) <= min(last.Cap(), maxSegment) {
			last.Append(b.B)
			b.Release()
			return
		}
	}
	c.q = append(c.q, b)
}

// next takes the oldest buffer out; there must be one.
func (c *chunks) next() *buf.Buf {
	b := c.q[c.head]
	c.q[c.head] = nil
	c.head++
	c.n -= len(b.B)
	if c.head == len(c.q) {
		c.q, c.head = idle(c.q), 0
	}
	return b
}

// idle is what an empty queue keeps of its storage: next to nothing.
func idle[T any](q []T) []T {
	if cap(q) > 4 {
		return nil
	}
	clear(q)
	return q[:0]
}

func (c *chunks) drop() {
	for _, b := range c.q[c.head:] {
		b.Release()
	}
	*c = chunks{}
}
