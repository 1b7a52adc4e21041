package simnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/troupe-p2p/troupe/transports/tcp"

	ma "github.com/multiformats/go-multiaddr"
)

// Error is package tcp's error: what a node makes of a failure is the same here as there.
type Error = tcp.Error

// The origins, as package tcp's errors print them.
const (
	local  = 1
	remote = 2
)

var (
	// ErrDown: the host, or the process that held the transport, has crashed.
	ErrDown = errors.New("the simulated host is down")
	// ErrNoHost: nobody in the network has the address, as seen from where the packet is.
	ErrNoHost error = &noHost{}
	// ErrClosed: the packet conn was closed.
	ErrClosed = net.ErrClosed
)

// noHost is what a kernel says after an ICMP message.
type noHost struct{}

func (*noHost) Error() string { return "no host of the simulated network has this address" }
func (*noHost) Unwrap() error { return syscall.EHOSTUNREACH }

func fail(origin uint8, op string, addr ma.Multiaddr, err error) error {
	e := &Error{Transport: name, Origin: remote, Op: op, Addr: addr, Err: err}
	if origin == local {
		e.Origin = local
	}
	return e
}

func noAnswer(d time.Duration) error {
	return fmt.Errorf("no answer within %s: %w", d, os.ErrDeadlineExceeded)
}

// canceled is why a dial's context is done: its error, and the cause if somebody gave one.
func canceled(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(cause, err) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
