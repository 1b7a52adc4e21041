package quic

import (
	"io"
	"slices"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bound"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack"
)

// Config of the transport. The zero value works for the transport of a node.
type Config struct {
	// Key is the identity that remotes get proven. Default: that of the node that the transport
	// joins.
	Key identity.PrivateKey
	// MaxStreams is how many streams a remote may have open on one connection. Default 256.
	MaxStreams int
	// StreamWindow and ConnWindow are how many bytes a remote may send that nobody has read: on
	// one stream, and on all streams of one connection. They begin with 256 KiB, as yamux's do,
	// and grow while the reader is fast. Default 10 MiB and 15 MiB.
	StreamWindow, ConnWindow int
	// Growth is how many bytes the windows of all connections may have grown by together. Default
	// 128 MiB.
	Growth int
	// ReadBuffer is the most that one Offer carries, in bytes. Default 64 KiB. Reads begin with
	// 4 KiB and grow when they are filled.
	ReadBuffer int
	// SendBuffer is how many bytes TryWrite keeps for each stream; as many again may be on their
	// way to the QUIC stack. Default 64 KiB.
	SendBuffer int
	// HalfOpen is how many inbound handshakes may be under way on one socket. From half of it
	// on, a remote has to prove its address first (Retry); and a network that has as many as there
	// is room for gets no more. Default 256.
	HalfOpen int
	// HandshakeTimeout bounds the silence during a handshake; all of it may take twice as long.
	// Default 5 s.
	HandshakeTimeout time.Duration
	// IdleTimeout ends a connection from which nothing comes. Default 30 s.
	IdleTimeout time.Duration
	// KeepAlive is how long a connection is silent before it is probed. Default 15 s; negative
	// turns probing off.
	KeepAlive time.Duration
	// KeyLog gets the secrets of all connections, for those who look at captured packets.
	// Default: nobody gets them.
	KeyLog io.Writer
}

const (
	// DefaultMaxStreams and the windows are go-libp2p's.
	DefaultMaxStreams   = quicstack.DefaultMaxStreams
	DefaultStreamWindow = quicstack.DefaultStreamWindow
	DefaultConnWindow   = quicstack.DefaultConnWindow
	// DefaultGrowth lets eight connections have the widest windows, or a hundred windows of 1 MiB.
	DefaultGrowth = quicstack.DefaultGrowth
	// DefaultReadBuffer is package tcp's.
	DefaultReadBuffer = quicstack.DefaultReadBuffer
	// DefaultSendBuffer keeps the QUIC stack busy while a writer is woken.
	DefaultSendBuffer = quicstack.DefaultSendBuffer
	// DefaultHalfOpen is what a quiet node never reaches: a handshake takes milliseconds.
	DefaultHalfOpen = quicstack.DefaultHalfOpen
	// DefaultHandshakeTimeout is quic-go's.
	DefaultHandshakeTimeout = quicstack.DefaultHandshakeTimeout
	// DefaultIdleTimeout and DefaultKeepAlive are go-libp2p's.
	DefaultIdleTimeout = quicstack.DefaultIdleTimeout
	DefaultKeepAlive   = quicstack.DefaultKeepAlive
)

// Transport makes the transport of a node: troupe.Config{Transports: []troupe.Transport{c.Transport}}.
func (c Config) Transport(rt *actors.Runtime) (conduit.Transport, error) { return New(rt, c), nil }

func (c Config) tuning() quicstack.Tuning {
	return quicstack.Tuning{
		MaxStreams: c.MaxStreams, StreamWindow: c.StreamWindow, ConnWindow: c.ConnWindow, Growth: c.Growth,
		ReadBuffer: c.ReadBuffer, SendBuffer: c.SendBuffer, HalfOpen: c.HalfOpen,
		HandshakeTimeout: c.HandshakeTimeout, IdleTimeout: c.IdleTimeout, KeepAlive: c.KeepAlive,
	}.WithDefaults()
}

// Bounds lists what a remote can fill, at the default Config.
func Bounds() []bound.Bound {
	return slices.Concat(quicstack.SharedBounds("transports/quic"), []bound.Bound{
		{Name: "transports/quic: inbound handshakes under way on one socket", Cap: DefaultHalfOpen,
			Attack: "first packets from made-up addresses"},
		{Name: "transports/quic: streams of one connection reset by the remote that opened them, at once", Cap: quicstack.ResetBurst,
			Attack: "streams opened and reset in a storm (rapid reset)"},
	})
}
