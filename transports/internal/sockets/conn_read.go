package sockets

import (
	"net"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
)

// read is the reader's pump.
func (c *Conn) read() {
	s := NewSizer(c.most)
	for c.credit() {
		b, err := c.sock.read(s.Size)
		if toRest(err) {
			c.restart()
			return
		}
		if err != nil {
			c.finish(c.end("read from", err))
			return
		}
		s.Took(len(b.B))
		c.offer(b)
	}
	c.finish(c.end("read from", net.ErrClosed))
}

// credit waits until the sink takes a buffer; false when the connection was closed.
func (c *Conn) credit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.credits <= 0 && !c.closed {
		c.wake.Wait()
	}
	return !c.closed
}

func (c *Conn) offer(b *buf.Buf) {
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
func (c *Conn) finish(why error) {
	c.mu.Lock()
	if c.bug != nil {
		why = c.bug
	}
	c.over, c.why = true, why
	c.mu.Unlock()
	c.tell()
}

// tell lets the present sink know of the end, once.
func (c *Conn) tell() {
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
func (c *Conn) readerFailed(pe *actors.PanicError) {
	c.failed(pe)
	c.rt.Pump(c.pump("end"), func() { c.finish(pe) }, ignore)
}
