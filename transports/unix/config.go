package unix

import (
	"errors"
	"io/fs"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/bound"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
)

// Config of the transport. The zero value works.
type Config struct {
	// Mode is the permissions of the socket file of a listener: who may write may connect. Default
	// 0600, the user alone.
	Mode fs.FileMode
	// ReadBuffer is the most that one read takes, in bytes. Default 64 KiB. Reads begin with
	// 4 KiB and grow when they are filled.
	ReadBuffer int
	// DialTimeout bounds one dial, within the caller's context: it waits for a listener that does
	// not come to accept. Default 5 s.
	DialTimeout time.Duration

	portable bool // tests: the form without readiness, on systems that have it
}

const (
	// DefaultMode lets the user connect, and nobody else but root.
	DefaultMode fs.FileMode = 0o600
	// DefaultReadBuffer bounds what one connection makes us hold for one read.
	DefaultReadBuffer = 64 << 10
	// DefaultDialTimeout is TCP's.
	DefaultDialTimeout = 5 * time.Second
)

// Transport makes the transport for a node: troupe.Config{Transports: []troupe.Transport{c.Transport}}.
func (c Config) Transport(rt *actors.Runtime) (conduit.Transport, error) { return New(rt, c), nil }

func (c Config) withDefaults() Config {
	if c.Mode == 0 {
		c.Mode = DefaultMode
	}
	if c.ReadBuffer <= 0 {
		c.ReadBuffer = DefaultReadBuffer
	}
	if c.DialTimeout <= 0 {
		c.DialTimeout = DefaultDialTimeout
	}
	return c
}

// Bounds lists what a remote can fill, at the default Config.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "transports/unix: bytes of one read", Cap: DefaultReadBuffer,
			Attack: "a sender faster than the owner"},
	}
}

// Error is the error of this package; errors.Is sees through it to syscall's and net's.
type Error = fault.Error

var (
	// ErrAddress: the address is not one of a Unix socket.
	ErrAddress = errors.New("not the address of a Unix socket: want /unix/... and nothing behind the path")
	// ErrInUse: somebody listens there.
	ErrInUse = errors.New("another listener answers there")
	// ErrNotSocket: there is a file that is no socket.
	ErrNotSocket = errors.New("there is a file that is no socket")
	// ErrTooLong: the path has more bytes than the system takes.
	ErrTooLong = errors.New("the path is too long for a socket")
)

func fail(o fault.Origin, op string, addr ma.Multiaddr, err error) error {
	return sockets.Fail(name, o, op, addr, err)
}
