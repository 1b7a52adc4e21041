package sockets

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/unsent"

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

// Conn is one connection: a Raw conduit over a stream socket.
//
//	read    wait for bytes -> borrow a buffer -> read
//	write   TryWrite: one non-blocking write on the caller's goroutine
//	drain   pump: write, wait until writable, write ... -> Sink.Drained, and the pump ends
//
// Ended(io.EOF) ends one direction only: the remote can still be written to until Close. After any
// other end too the descriptor is held until the owner calls Close.
type Conn struct {
	rt    *actors.Runtime
	nc    net.Conn
	sock  sock
	ends  conduit.Endpoints
	owner Owner
	// drainer is the pump's name, once there was one: a bulk stream drains at each write.
	drainer string
	lost    atomic.Bool // a write has failed

	rests *Rests
	awake atomic.Bool   // rests knows of the reader
	reads atomic.Uint32 // of the reader, that brought something
	seen  uint32        // of them, by rests
}

var (
	_ conduit.Raw      = (*Conn)(nil)
	_ conduit.Resetter = (*Conn)(nil)
	_ conduit.Poller   = (*Conn)(nil)
)

// NewConn takes over a connection, or closes it.
func NewConn(nc net.Conn, cfg ConnConfig) (*Conn, error) {
	if tc, ok := nc.(*net.TCPConn); ok {
		unsent.Bound(tc)
	}
	s, err := sock(&waitingSock{nc}), error(nil)
	if own, ok := nc.(Socket); ok && !cfg.Portable {
		s, err = newSock(own)
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	c := &Conn{rt: cfg.Runtime, nc: nc, sock: s, ends: cfg.Ends, rests: cfg.Rests}
	c.owner.Init(cfg.Runtime, (*line)(c), cfg.ReadBuffer, false)
	c.owner.rests = true
	c.owner.polled, _ = s.(polled)
	return c, nil
}

// Socket is what the connection lies over.
func (c *Conn) Socket() net.Conn { return c.nc }

// Rests is what looks after its reader.
func (c *Conn) Rests() *Rests { return c.rests }

// Endpoints implements conduit.Raw.
func (c *Conn) Endpoints() conduit.Endpoints { return c.ends }

// Poll implements conduit.Poller.
func (c *Conn) Poll() bool { return c.owner.Poll() }

// Bind implements conduit.Raw.
func (c *Conn) Bind(s conduit.Sink, credits int) { c.owner.Bind(s, credits) }

// More implements conduit.Raw.
func (c *Conn) More() { c.owner.More() }

// Close implements conduit.Raw. What the kernel has taken for sending is still sent, unless
// there are bytes that nobody has read: then the remote sees a reset.
func (c *Conn) Close() error { return c.close(false) }

// Reset implements conduit.Resetter. Only TCP can take back what the kernel has; a Unix socket has
// given it to the remote already, and its Close waits for nobody.
func (c *Conn) Reset() error { return c.close(true) }

func (c *Conn) close(reset bool) error {
	if !c.owner.Shut() {
		return nil
	}
	nc := c.nc
	if reset {
		nc = innermost(nc)
		if l, ok := nc.(interface{ SetLinger(int) error }); ok {
			_ = l.SetLinger(0) // it fails if the connection is gone already
		}
	}
	if _, ok := nc.(Socket); !ok {
		// It may have words of its own for the end, and wait until they are said.
		c.rt.Pump(c.label("close"), func() { _ = nc.Close() }, ignore)
		return nil
	}
	// This waits for a read or write that is inside its system call. None of them waits there.
	if err := nc.Close(); err != nil {
		return c.why("close", err)
	}
	return nil
}

func (c *Conn) why(op string, err error) error { return (*line)(c).Why(op, err) }
func (c *Conn) label(what string) string       { return (*line)(c).Label(what) }

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

// line is a Conn as its owner's reader sees it.
type line Conn

func (l *line) Close() error { return (*Conn)(l).Close() }

func (l *line) Label(what string) string {
	peer := l.nc.RemoteAddr().String()
	if peer == "" || peer == "@" { // a Unix socket that was never bound
		peer = l.ends.Remote.String()
	}
	return l.ends.Transport + " " + what + " " + peer
}

// Why leaves the orderly end io.EOF, and a bug of ours what it is.
func (l *line) Why(op string, err error) error {
	var pe *actors.PanicError
	if errors.Is(err, io.EOF) || errors.As(err, &pe) {
		return err
	}
	return Fail(l.ends.Transport, OriginOf(err), op, l.ends.Remote, err)
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

// OriginOfListen is OriginOf where no remote takes part.
func OriginOfListen(err error) fault.Origin {
	if Exhausted(err) {
		return fault.Limit
	}
	return fault.Local
}

// ignore is for pumps that bring the news of a panic: who panics on it is beyond help.
func ignore(*actors.PanicError) {}
