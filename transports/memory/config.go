package memory

import (
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bound"
)

// Config of a transport. The zero value works: Raw conduits that meet nobody but themselves.
type Config struct {
	// Hub is where the transport's listeners are found. Default: one of its own.
	Hub *Hub
	// Muxed makes the transport yield Muxed conduits.
	Muxed bool
	// Key is what the remotes of Muxed conduits learn about this node. Default: that of the node
	// that the transport joins.
	Key identity.PublicKey
	// Window is how many bytes wait for one reader before its writer has to: per conduit, and
	// per stream of a Muxed one. Default 256 KiB.
	Window int
	// ReadBuffer is the most that one Offer carries, in bytes. Default 64 KiB.
	ReadBuffer int
	// MaxStreams is how many streams a remote may have open on one Muxed conduit. Default 256.
	MaxStreams int
	// Executor runs the steps. Default: pumps of the runtime, or the queue of a simulated one.
	Executor Executor
}

const (
	// DefaultWindow is yamux's first window, so that both feel alike.
	DefaultWindow = 256 << 10
	// DefaultReadBuffer is package tcp's.
	DefaultReadBuffer = 64 << 10
	// DefaultMaxStreams is what QUIC stacks allow by default, about.
	DefaultMaxStreams = 256
	// maxBacklog bounds the connections that a listener has not handed over. It stops a
	// dialler that is faster than the listener's executor.
	maxBacklog = 1024
)

func (c Config) withDefaults() Config {
	if c.Hub == nil {
		c.Hub = NewHub()
	}
	if c.Window <= 0 {
		c.Window = DefaultWindow
	}
	if c.ReadBuffer <= 0 {
		c.ReadBuffer = DefaultReadBuffer
	}
	if c.MaxStreams <= 0 {
		c.MaxStreams = DefaultMaxStreams
	}
	return c
}

// Bounds lists what a remote can fill, at the default Config.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "transports/memory: bytes that wait for one reader", Cap: DefaultWindow,
			Attack: "a sender faster than the owner"},
		{Name: "transports/memory: streams that a remote has open on one conduit", Cap: DefaultMaxStreams,
			Attack: "endless streams"},
		{Name: "transports/memory: connections that a listener has not handed over", Cap: maxBacklog,
			Attack: "a flood of dials"},
	}
}
