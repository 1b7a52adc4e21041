package sockets

import (
	"github.com/troupe-p2p/troupe/actors"
)

// TryWrite implements conduit.Raw.
func (c *Conn) TryWrite(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := c.owner.Writable(); err != nil {
		return 0, err
	}
	n, err := c.sock.tryWrite(p)
	if err != nil {
		c.lost.Store(true)
		err = c.why("write to", err)
	}
	return n, err
}

// Drain implements conduit.Raw. There must be a sink to tell.
func (c *Conn) Drain(p []byte) {
	id := c.owner.Drain()
	if c.drainer == "" {
		c.drainer = c.label("drain")
	}
	c.rt.Pump(c.drainer, func() {
		err := c.owner.Dead() // a connection that has words of its own for the end may still be saying them
		if err == nil {
			if err = c.sock.drain(p); err != nil {
				c.lost.Store(true)
				err = c.why("write to", err)
			}
		}
		c.owner.Drained(id, err)
	}, func(pe *actors.PanicError) {
		c.owner.Failed(pe)
		c.owner.DrainedLater(id, pe)
	})
}
