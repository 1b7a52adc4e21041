package websocket

import (
	"errors"
	"io"
	"net"

	"github.com/gorilla/websocket"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"
)

// read is the reader's pump.
func (c *conn) read() {
	s := sockets.NewSizer(c.most)
	for c.credit() {
		b, err := c.next(s.Size)
		if err != nil {
			c.finish(err)
			return
		}
		s.Took(len(b.B))
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
				return nil, c.stopped(err)
			case kind != websocket.BinaryMessage:
				return nil, c.refuse(websocket.CloseUnsupportedData, fault.Remote, ErrText)
			}
			c.msg = r
		}
		b := buf.Get(size)
		n, err := c.msg.Read(b.B)
		if n > 0 {
			c.wire.toll.brought(n)
			b.B = b.B[:n]
			return b, nil // an error that came with bytes comes again
		}
		b.Release()
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			c.msg = nil
		default:
			return nil, c.stopped(err)
		}
	}
}

// stopped is why the library reads no more.
func (c *conn) stopped(err error) error {
	switch {
	case errors.Is(c.wire.readErr, ErrEmpty):
		return c.refuse(websocket.ClosePolicyViolation, fault.Remote, ErrEmpty)
	case errors.Is(err, websocket.ErrReadLimit):
		return c.refuse(websocket.CloseMessageTooBig, fault.Limit, ErrTooLong)
	}
	_ = c.queue.flush() // the library may have told the remote what was wrong
	return c.readEnd(err)
}

// refuse tells the remote what is wrong with what it sends, unless the library has done so.
func (c *conn) refuse(code int, o fault.Origin, why error) error {
	_ = c.goodbye(code, why.Error())
	_ = c.queue.flush()
	return fail(o, "read from", c.ends.Remote, why)
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
