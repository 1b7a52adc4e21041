package tcp

import (
	"net"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
)

// firstRead is what reads begin with and come back to: most connections carry small messages
// most of the time, and the reader of a message may hold the whole buffer for a while.
const firstRead = 4 << 10

// read is the reader's pump.
func (c *conn) read() {
	s := sizer{size: min(firstRead, c.most), most: c.most}
	for c.credit() {
		b, err := c.sock.read(s.size)
		if toRest(err) {
			c.restart()
			return
		}
		if err != nil {
			c.finish(c.end("read from", err))
			return
		}
		s.took(len(b.B))
		c.offer(b)
	}
	c.finish(c.end("read from", net.ErrClosed))
}

// credit waits until the sink takes a buffer; false when the connection was closed.
func (c *conn) credit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.credits <= 0 && !c.closed {
		c.wake.Wait()
	}
	return !c.closed
}

func (c *conn) offer(b *buf.Buf) {
	c.deliver.Lock()
	defer c.deliver.Unlock()
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		b.Release()
		return
	}
	c.credits--
	c.reads++
	woken := !c.awake
	c.awake = true
	s := c.sink
	c.mu.Unlock()
	if woken {
		c.rests.add(c)
	}
	s.Offer(b)
}

// finish notes that nothing more will be read.
func (c *conn) finish(why error) {
	c.mu.Lock()
	if c.bug != nil {
		why = c.bug
	}
	c.over, c.why = true, why
	c.mu.Unlock()
	c.tell()
}

// tell lets the present sink know of the end, once.
func (c *conn) tell() {
	c.deliver.Lock()
	defer c.deliver.Unlock()
	c.mu.Lock()
	told, s, why := c.told, c.sink, c.why
	c.told = true
	c.mu.Unlock()
	if !told {
		s.Ended(why)
	}
}

// readerFailed takes the place of a reader that panicked.
func (c *conn) readerFailed(pe *actors.PanicError) {
	c.failed(pe)
	c.rt.Pump(c.pump("end"), func() { c.finish(pe) }, ignore)
}

// sizer chooses the size of the next read.
type sizer struct {
	size, most int
	small      int // reads in a row that the first size would have been enough for
}

// backAfter is how many small reads in a row end a burst. One happens inside of bursts too, at
// the end of what the sender had.
const backAfter = 4

func (s *sizer) took(n int) {
	switch {
	case n == s.size:
		s.size, s.small = s.most, 0
	case n > firstRead || s.size <= firstRead:
		s.small = 0
	default:
		if s.small++; s.small == backAfter {
			s.size, s.small = min(firstRead, s.most), 0
		}
	}
}
