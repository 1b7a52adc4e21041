package tcp

import (
	"errors"
	"io"
	"net"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

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
	case sockets.Ours(err):
		return fault.Local
	case sockets.Exhausted(err):
		return fault.Limit
	}
	return fault.Remote
}
