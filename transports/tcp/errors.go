package tcp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	ma "github.com/multiformats/go-multiaddr"
)

// Error is the error of this package; errors.Is sees through it to syscall's and net's.
type Error = fault.Error

// ErrAddress: the address is not one of TCP over IP.
var ErrAddress = errors.New("not a TCP address: want /ip4/.../tcp/... or /ip6/.../tcp/...")

// fail wraps err. What net adds around a system call's error says again what op and addr say.
func fail(o fault.Origin, op string, addr ma.Multiaddr, err error) error {
	var oe *net.OpError
	if errors.As(err, &oe) {
		err = oe.Err
	}
	return &Error{Transport: name, Origin: o, Op: op, Addr: addr, Err: err}
}

// end is why a connection's bytes stopped. The orderly end stays io.EOF, a bug of ours stays
// what it is.
func (c *conn) end(op string, err error) error {
	var pe *actors.PanicError
	if errors.Is(err, io.EOF) || errors.As(err, &pe) {
		return err
	}
	return fail(origin(err), op, c.ends.Remote, err)
}

// origin tells what this machine refuses from what the other end or the network does.
func origin(err error) fault.Origin {
	switch {
	case errors.Is(err, net.ErrClosed):
		return fault.Local
	case exhausted(err):
		return fault.Limit
	}
	for _, e := range ourErrnos {
		if errors.Is(err, e) {
			return fault.Local
		}
	}
	return fault.Remote
}

// ourErrnos do not come from the network: the address, the route or the right is missing here.
var ourErrnos = []error{
	syscall.EADDRINUSE, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.EACCES, syscall.EPERM,
	syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EINVAL, syscall.EBADF,
}

// exhausted says that this process or machine has no descriptors or no memory for sockets.
func exhausted(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func noAnswer(d time.Duration) error {
	return fmt.Errorf("no answer within %s: %w", d, os.ErrDeadlineExceeded)
}
