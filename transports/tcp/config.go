package tcp

import (
	"time"

	"github.com/troupe-p2p/troupe/internal/bound"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"
)

// Config of the transport. The zero value works.
type Config struct {
	// ReadBuffer is the most that one read takes, in bytes. Default 64 KiB. Reads begin with
	// 4 KiB and grow when they are filled.
	ReadBuffer int
	// DialTimeout bounds one dial, within the caller's context. Default 5 s.
	DialTimeout time.Duration
	// KeepAlive is how long a connection is silent before TCP probes it. Default 30 s;
	// negative turns probing off.
	KeepAlive time.Duration

	portable bool // tests: the form without readiness, on systems that have it
}

const (
	// DefaultReadBuffer bounds what one connection makes us hold for one read.
	DefaultReadBuffer = 64 << 10
	// DefaultDialTimeout is go-libp2p's for one TCP dial: two lost SYNs.
	DefaultDialTimeout = 5 * time.Second
	// DefaultKeepAlive keeps NAT mappings alive under the muxer's own keepalive.
	DefaultKeepAlive = 30 * time.Second
)

func (c Config) withDefaults() Config {
	if c.ReadBuffer <= 0 {
		c.ReadBuffer = DefaultReadBuffer
	}
	if c.DialTimeout <= 0 {
		c.DialTimeout = DefaultDialTimeout
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = DefaultKeepAlive
	}
	return c
}

// Bounds lists what a remote can fill, at the default Config. How many buffers a connection has
// out is up to the credits that its owner grants.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "transports/tcp: bytes of one read", Cap: DefaultReadBuffer,
			Attack: "a sender faster than the owner"},
		{Name: "transports/tcp: connections to shared ports that have sent nothing", Cap: sockets.MaxSilent,
			Attack: "connections to a port of TCP and WebSockets that never say what they want"},
	}
}
