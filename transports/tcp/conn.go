package tcp

import (
	"net"
	"sync"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// conn is one connection. Whoever bound a Sink last owns it.
type conn struct {
	rt   *actors.Runtime
	nc   *net.TCPConn
	sock sock
	ends conduit.Endpoints
	most int // bytes of one read

	rests *rests

	// deliver is held while a method of the sink runs, so that reader and drainer take turns.
	// Nothing that a sink may call takes it.
	deliver sync.Mutex

	mu       sync.Mutex
	wake     sync.Cond // of mu: credits were granted, or the conn was closed
	sink     conduit.Sink
	credits  int
	why      error // set with over
	reading  bool  // the reader was started
	over     bool  // the reader has ended
	told     bool  // the present sink knows
	draining bool
	drainer  string // the pump's name, once there was one: a bulk stream drains at each write
	closed   bool
	awake    bool               // rests knows of the reader
	reads    uint32             // that brought something
	seen     uint32             // of them, by rests
	bug      *actors.PanicError // of the sink or of us: the better reason for the end
}

var (
	_ conduit.Raw      = (*conn)(nil)
	_ conduit.Resetter = (*conn)(nil)
)

// Endpoints implements conduit.Raw.
func (c *conn) Endpoints() conduit.Endpoints { return c.ends }

// Bind implements conduit.Raw.
func (c *conn) Bind(s conduit.Sink, credits int) {
	c.mu.Lock()
	c.sink, c.credits, c.told = s, max(credits, 1), false
	start, late := !c.reading, c.over
	c.reading = true
	c.mu.Unlock()
	c.wake.Signal()
	switch {
	case start:
		c.rt.Pump(c.pump("read"), c.read, c.readerFailed)
	case late:
		c.rt.Pump(c.pump("end"), c.tell, ignore)
	}
}

// More implements conduit.Raw.
func (c *conn) More() {
	c.mu.Lock()
	c.credits++
	c.mu.Unlock()
	c.wake.Signal()
}

// Close implements conduit.Raw. What the kernel has taken for sending is still sent, unless
// there are bytes that nobody has read: then the remote sees a reset.
func (c *conn) Close() error { return c.close(false) }

// Reset implements conduit.Resetter.
func (c *conn) Reset() error { return c.close(true) }

func (c *conn) close(reset bool) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	c.wake.Signal()
	if reset {
		_ = c.nc.SetLinger(0) // it fails if the connection is gone already
	}
	// This waits for a read or write that is inside its system call. None of them waits there.
	if err := c.nc.Close(); err != nil {
		return c.end("close", err)
	}
	return nil
}

// failed contains a panic: of the sink, for the most part, on what the remote sent.
func (c *conn) failed(pe *actors.PanicError) {
	c.mu.Lock()
	if c.bug == nil {
		c.bug = pe
	}
	c.mu.Unlock()
	_ = c.Close()
}

// pump is the name of a goroutine as the runtime shows it.
func (c *conn) pump(what string) string { return "tcp " + what + " " + c.nc.RemoteAddr().String() }
