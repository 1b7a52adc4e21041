package websocket

import (
	"errors"
	"io"
	"net"

	"github.com/gorilla/websocket"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
)

// read is the reader's pump.
func (c *conn) read() {
	s := sizer{size: min(firstRead, c.most), most: c.most}
	for c.credit() {
		b, err := c.next(s.size)
		if err != nil {
			c.finish(err)
			return
		}
		s.took(len(b.B))
		c.offer(b)
	}
	c.finish(c.end("read from", net.ErrClosed))
}

// next is the next piece of a message, wherever it begins and ends. Between messages it waits
// without a buffer, and the length that a message announces allocates nothing.
func (c *conn) next(size int) (*buf.Buf, error) {
	for {
		if c.msg == nil {
			kind, r, err := c.ws.NextReader()
			switch {
			case err != nil:
				_ = c.queue.flush() // the library may have told the remote what was wrong
				return nil, c.readEnd(err)
			case kind != websocket.BinaryMessage:
				_ = c.goodbye(websocket.CloseUnsupportedData, "binary messages only")
				_ = c.queue.flush()
				return nil, fail(fault.Remote, "read from", c.ends.Remote, ErrText)
			}
			c.msg = r
		}
		b := buf.Get(size)
		n, err := c.msg.Read(b.B)
		if n > 0 {
			b.B = b.B[:n]
			return b, nil // an error that came with bytes comes again
		}
		b.Release()
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			c.msg = nil
		default:
			_ = c.queue.flush()
			return nil, c.readEnd(err)
		}
	}
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
	s := c.sink
	c.mu.Unlock()
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

// firstRead is what reads begin with and come back to, as those of TCP do.
const firstRead = 4 << 10

// backAfter is how many small reads in a row end a burst. The first read of each message is small:
// it takes what came with the head of the frame.
const backAfter = 4

// sizer chooses the size of the next read.
type sizer struct {
	size, most int
	small      int // reads in a row that the first size would have been enough for
}

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
