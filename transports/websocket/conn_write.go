package websocket

import (
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
	if err := c.owner.Writable(); err != nil {
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

// Drain implements conduit.Raw. There must be a sink to tell.
func (c *conn) Drain(p []byte) {
	id := c.begin(p)
	err := c.owner.Dead()
	if err == nil {
		if err = c.queue.failure(); err != nil {
			err = c.writeEnd(err)
		}
	}
	if err != nil {
		c.owner.DrainedLater(id, err)
		return
	}
	c.queue.wake()
}

// begin is one step for those who close at the same time.
func (c *conn) begin(p []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drain = c.owner.Drain()
	c.rest = p
	return c.drain
}

// refill is called by the queue's pump when all is written: the next piece of a Drain is framed, or
// its end is told. It says whether it has done anything.
func (c *conn) refill() bool {
	id, left, n, err := c.frameRest()
	switch {
	case err != nil:
		err = c.writeEnd(err)
	case left > 0:
		return n > 0
	case c.owner.Closed():
		err = c.why("write to", net.ErrClosed) // Close has dropped the rest
	}
	return c.owner.Drained(id, err)
}

// frameRest queues n of the left bytes of a Drain. Close waits for it: what is framed is the owner's
// until Drained.
func (c *conn) frameRest() (id, left, n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, left = c.drain, len(c.rest)
	if left > 0 {
		n, err = c.frame(c.rest)
	}
	if c.rest = c.rest[n:]; err != nil || n == left {
		c.rest = nil
	}
	return id, left, n, err
}

// last is the number of the last Drain.
func (c *conn) last() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drain
}

// writerLost is called by the queue's pump when it can write no more.
func (c *conn) writerLost(err error) {
	c.owner.Drained(c.last(), c.writeEnd(err))
}

// writerPanicked contains a panic in the queue's pump, for the most part of the sink's in Drained.
func (c *conn) writerPanicked(pe *actors.PanicError) {
	id := c.last()
	c.owner.Failed(pe)
	c.owner.DrainedLater(id, pe)
}
