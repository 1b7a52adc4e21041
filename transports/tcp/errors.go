package tcp

import (
	"errors"

	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
)

// Error is the error of this package; errors.Is sees through it to syscall's and net's.
type Error = fault.Error

// ErrAddress: the address is not one of TCP over IP.
var ErrAddress = errors.New("not a TCP address: want /ip4/.../tcp/... or /ip6/.../tcp/...")

func fail(o fault.Origin, op string, addr ma.Multiaddr, err error) error {
	return sockets.Fail(name, o, op, addr, err)
}

// origin tells what this machine refuses from what the other end or the network does.
func origin(err error) fault.Origin { return sockets.OriginOf(err) }
