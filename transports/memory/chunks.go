package memory

import "github.com/troupe-p2p/troupe/internal/buf"

// chunks is a first-in first-out queue of bytes in pooled buffers. A buffer that is taken out
// goes to the reader as it is: a byte is copied once on its way.
type chunks struct {
	q    []*buf.Buf
	head int
	n    int // bytes
}

// nextChunk is the least size of a buffer behind another one: who is behind gets less of them.
const nextChunk = 4 << 10

// push copies as much of p as room allows, into buffers of at most most bytes.
func (c *chunks) push(p []byte, room, most int) int {
	p = p[:min(len(p), max(room, 0))]
	total := len(p)
	for len(p) > 0 {
		var last *buf.Buf
		if c.head < len(c.q) {
			last = c.q[len(c.q)-1]
		}
		if last == nil || len(last.B) >= min(cap(last.B), most) {
			size := len(p)
			if last != nil {
				size = max(size, nextChunk)
			}
			last = buf.Get(min(size, most))
			last.B = last.B[:0]
			c.q = append(c.q, last)
		}
		k := min(len(p), min(cap(last.B), most)-len(last.B))
		last.B = append(last.B, p[:k]...)
		p = p[k:]
	}
	c.n += total
	return total
}

// pop takes the oldest buffer; there must be one.
func (c *chunks) pop() *buf.Buf {
	b := c.q[c.head]
	c.q[c.head] = nil
	c.head++
	c.n -= len(b.B)
	switch {
	case c.head == len(c.q):
		c.q, c.head = c.q[:0], 0
	case c.head >= 32 && 2*c.head >= len(c.q):
		k := copy(c.q, c.q[c.head:])
		clear(c.q[k:])
		c.q, c.head = c.q[:k], 0
	}
	return b
}

// drop releases everything.
func (c *chunks) drop() {
	for _, b := range c.q[c.head:] {
		b.Release()
	}
	*c = chunks{}
}
