package websocket

import (
	"errors"
	"io"
	"net"

	"github.com/gorilla/websocket"

	"github.com/troupe-p2p/troupe/actors"
)

// TryWrite implements conduit.Raw. Each piece that fits is a message. What the socket does not take
// at once is queued, and nothing more is taken while the queue is full.
func (c *conn) TryWrite(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.mu.Lock()
	draining, err := c.draining, c.dead()
	c.mu.Unlock()
	switch {
	case draining:
		panic("websocket: TryWrite during a Drain")
	case err != nil:
		return 0, err
	}
	total := 0
	for total < len(p) {
		n, err := c.frame(p[total:])
		if err == nil && n > 0 {
			err = c.queue.flush()
		}
		if err != nil {
			return total, c.writeEnd(err)
		}
		if n == 0 {
			break
		}
		total += n
	}
	return total, nil
}

// frame queues as much of p as there is room for.
func (c *conn) frame(p []byte) (int, error) {
	n := c.queue.room(len(p))
	if n == 0 {
		return 0, nil
	}
	return n, c.ws.WriteMessage(websocket.BinaryMessage, p[:n])
}

// dead is why nothing can be written, as far as that is known without trying. It is called with
// mu held. After a goodbye nothing may be sent: RFC 6455 section 5.5.1.
func (c *conn) dead() error {
	switch {
	case c.closed:
		return c.end("write to", net.ErrClosed)
	case c.over && errors.Is(c.why, io.EOF):
		return c.end("write to", errRemoteClosed)
	case c.over:
		return c.why
	}
	return nil
}

// Drain implements conduit.Raw. There must be a sink to tell.
func (c *conn) Drain(p []byte) {
	c.mu.Lock()
	switch {
	case c.sink == nil:
		c.mu.Unlock()
		panic("websocket: Drain before Bind")
	case c.draining:
		c.mu.Unlock()
		panic("websocket: Drain during a Drain")
	}
	c.draining, c.rest = true, p
	c.drain++
	id, err := c.drain, c.dead()
	c.mu.Unlock()
	if err == nil {
		if err = c.queue.failure(); err != nil {
			err = c.writeEnd(err)
		}
	}
	if err != nil {
		c.rt.Pump(c.pump("drain"), func() { c.drained(id, err) }, ignore)
		return
	}
	c.queue.wake()
}

// refill is called by the queue's pump when all is written: the next piece of a Drain is framed, or
// its end is told.
func (c *conn) refill() bool {
	c.mu.Lock()
	draining, id, rest := c.draining, c.drain, c.rest
	c.mu.Unlock()
	if !draining {
		return false
	}
	if len(rest) == 0 {
		return c.drained(id, nil)
	}
	n, err := c.frame(rest)
	if err != nil {
		return c.drained(id, c.writeEnd(err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drain == id && c.rest != nil {
		if c.rest = rest[n:]; len(c.rest) == 0 {
			c.rest = nil
		}
	}
	return n > 0
}

// drained answers a Drain, unless that has happened.
func (c *conn) drained(id int, err error) bool {
	c.deliver.Lock()
	defer c.deliver.Unlock()
	c.mu.Lock()
	if !c.draining || c.drain != id {
		c.mu.Unlock()
		return false
	}
	if err == nil && c.closed {
		err = c.end("write to", net.ErrClosed) // the rest was dropped
	}
	c.draining, c.rest = false, nil // the sink may write again in Drained
	s := c.sink
	c.mu.Unlock()
	s.Drained(err)
	return true
}

// writerLost is called by the queue's pump when it can write no more.
func (c *conn) writerLost(err error) {
	c.mu.Lock()
	id := c.drain
	c.mu.Unlock()
	c.drained(id, c.writeEnd(err))
}

// writerPanicked contains a panic in the queue's pump, for the most part of the sink's in Drained.
func (c *conn) writerPanicked(pe *actors.PanicError) {
	c.mu.Lock()
	id := c.drain
	c.mu.Unlock()
	c.failed(pe)
	c.rt.Pump(c.pump("drain"), func() { c.drained(id, pe) }, ignore)
}
