package sockets

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	ma "github.com/multiformats/go-multiaddr"
)

// Socket is a connected stream socket of package net. Other kinds of net.Conn have the portable form.
type Socket interface {
	net.Conn
	syscall.Conn
}

// ConnConfig is what a Conn is made of.
type ConnConfig struct {
	Runtime *actors.Runtime
	Ends    conduit.Endpoints // its Transport is the transport's name in pumps and errors
	// ReadBuffer is the most that one read takes, in bytes.
	ReadBuffer int
	Rests      *Rests // the transport's
	// Portable has the form for systems that do not tell readiness.
	Portable bool
}

// Conn is one connection: a Raw conduit over a stream socket. Whoever bound a Sink last owns it.
//
//	read    pump: wait for a credit -> wait for bytes -> borrow a buffer -> read -> Sink.Offer
//	write   TryWrite: one non-blocking write on the caller's goroutine
//	drain   pump: write, wait until writable, write ... -> Sink.Drained, and the pump ends
//
// What a Sink can rely on, beside the contract of package conduit:
//
//   - Its methods run one at a time, whichever pump they come from.
//   - No Offer begins after Close has returned, but for one that was on its way already when
//     Close was called on another goroutine.
//   - Each Drain is answered by one Drained, also after Close.
//   - Each Bind is answered by one Ended once nothing more comes, even if the connection had
//     ended before the Bind: an owner that takes a dead connection over learns of it.
//   - Ended(io.EOF) ends one direction only: the remote can still be written to until Close.
//     After any other end too the descriptor is held until the owner calls Close.
type Conn struct {
	rt   *actors.Runtime
	nc   net.Conn
	sock sock
	ends conduit.Endpoints
	most int // bytes of one read

	rests *Rests

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
	_ conduit.Raw      = (*Conn)(nil)
	_ conduit.Resetter = (*Conn)(nil)
)

// NewConn takes over a connection, or closes it.
func NewConn(nc net.Conn, cfg ConnConfig) (*Conn, error) {
	s, err := sock(&waitingSock{nc}), error(nil)
	if own, ok := nc.(Socket); ok && !cfg.Portable {
		s, err = newSock(own)
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	c := &Conn{
		rt: cfg.Runtime, nc: nc, sock: s, ends: cfg.Ends, most: cfg.ReadBuffer, rests: cfg.Rests,
	}
	c.wake.L = &c.mu
	return c, nil
}

// Socket is what the connection lies over.
func (c *Conn) Socket() net.Conn { return c.nc }

// Rests is what looks after its reader.
func (c *Conn) Rests() *Rests { return c.rests }

// Endpoints implements conduit.Raw.
func (c *Conn) Endpoints() conduit.Endpoints { return c.ends }

// Bind implements conduit.Raw.
func (c *Conn) Bind(s conduit.Sink, credits int) {
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
func (c *Conn) More() {
	c.mu.Lock()
	c.credits++
	c.mu.Unlock()
	c.wake.Signal()
}

// Close implements conduit.Raw. What the kernel has taken for sending is still sent, unless
// there are bytes that nobody has read: then the remote sees a reset.
func (c *Conn) Close() error { return c.close(false) }

// Reset implements conduit.Resetter. Only TCP can take back what the kernel has; a Unix socket has
// given it to the remote already, and its Close waits for nobody.
func (c *Conn) Reset() error { return c.close(true) }

func (c *Conn) close(reset bool) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	c.wake.Signal()
	nc := c.nc
	if reset {
		nc = innermost(nc)
		if l, ok := nc.(interface{ SetLinger(int) error }); ok {
			_ = l.SetLinger(0) // it fails if the connection is gone already
		}
	}
	if _, ok := nc.(Socket); !ok {
		// It may have words of its own for the end, and wait until they are said.
		c.rt.Pump(c.pump("close"), func() { _ = nc.Close() }, ignore)
		return nil
	}
	// This waits for a read or write that is inside its system call. None of them waits there.
	if err := nc.Close(); err != nil {
		return c.end("close", err)
	}
	return nil
}

// innermost is what a connection like that of crypto/tls lies over.
func innermost(nc net.Conn) net.Conn {
	for {
		over, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		nc = over.NetConn()
	}
}

// failed contains a panic: of the sink, for the most part, on what the remote sent.
func (c *Conn) failed(pe *actors.PanicError) {
	c.mu.Lock()
	if c.bug == nil {
		c.bug = pe
	}
	c.mu.Unlock()
	_ = c.Close()
}

// pump is the name of a goroutine as the runtime shows it.
func (c *Conn) pump(what string) string {
	peer := c.nc.RemoteAddr().String()
	if peer == "" || peer == "@" { // a Unix socket that was never bound
		peer = c.ends.Remote.String()
	}
	return c.ends.Transport + " " + what + " " + peer
}

// end is why a connection's bytes stopped. The orderly end stays io.EOF, a bug of ours stays
// what it is.
func (c *Conn) end(op string, err error) error {
	var pe *actors.PanicError
	if errors.Is(err, io.EOF) || errors.As(err, &pe) {
		return err
	}
	return Fail(c.ends.Transport, OriginOf(err), op, c.ends.Remote, err)
}

// Fail wraps err. What net adds around a system call's error says again what op and addr say.
func Fail(transport string, o fault.Origin, op string, addr ma.Multiaddr, err error) error {
	var oe *net.OpError
	if errors.As(err, &oe) {
		err = oe.Err
	}
	return &fault.Error{Transport: transport, Origin: o, Op: op, Addr: addr, Err: err}
}

// OriginOf tells what this machine refuses from what the other end or the network does.
func OriginOf(err error) fault.Origin {
	switch {
	case Ours(err):
		return fault.Local
	case Exhausted(err):
		return fault.Limit
	}
	return fault.Remote
}

// ignore is for pumps that bring the news of a panic: who panics on it is beyond help.
func ignore(*actors.PanicError) {}
