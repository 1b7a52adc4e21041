package sockets

import (
	"errors"
	"io"
	"net"

	"github.com/troupe-p2p/troupe/actors"
)

// TryWrite implements conduit.Raw.
func (c *Conn) TryWrite(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.mu.Lock()
	draining, err := c.draining, c.dead()
	c.mu.Unlock()
	switch {
	case draining:
		panic(c.ends.Transport + ": TryWrite during a Drain")
	case err != nil:
		return 0, err
	}
	n, err := c.sock.tryWrite(p)
	if err != nil {
		err = c.end("write to", err)
	}
	return n, err
}

// dead is why nothing can be written, as far as that is known without trying. It is called with
// mu held. A kernel reports a reset once, and the reader may have been the one to hear of it.
func (c *Conn) dead() error {
	switch {
	case c.closed:
		return c.end("write to", net.ErrClosed)
	case c.over && !errors.Is(c.why, io.EOF):
		return c.why
	}
	return nil
}

// Drain implements conduit.Raw. There must be a sink to tell.
func (c *Conn) Drain(p []byte) {
	c.mu.Lock()
	switch {
	case c.sink == nil:
		c.mu.Unlock()
		panic(c.ends.Transport + ": Drain before Bind")
	case c.draining:
		c.mu.Unlock()
		panic(c.ends.Transport + ": Drain during a Drain")
	}
	c.draining = true
	if c.drainer == "" {
		c.drainer = c.pump("drain")
	}
	c.mu.Unlock()
	told := false
	c.rt.Pump(c.drainer, func() {
		c.mu.Lock()
		err := c.dead() // a connection that has words of its own for the end may still be saying them
		c.mu.Unlock()
		if err == nil {
			if err = c.sock.drain(p); err != nil {
				err = c.end("write to", err)
			}
		}
		told = true
		c.drained(err)
	}, func(pe *actors.PanicError) {
		c.failed(pe)
		if !told {
			c.rt.Pump(c.pump("drain"), func() { c.drained(pe) }, ignore)
		}
	})
}

func (c *Conn) drained(err error) {
	c.deliver.Lock()
	defer c.deliver.Unlock()
	c.mu.Lock()
	c.draining = false // the sink may write again in Drained
	s := c.sink
	c.mu.Unlock()
	s.Drained(err)
}
