package quic

import (
	"io"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bound"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/halfopen"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack"

	quicgo "github.com/quic-go/quic-go"
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
	DefaultMaxStreams   = 256
	DefaultStreamWindow = 10 << 20
	DefaultConnWindow   = 15 << 20
	// DefaultGrowth lets eight connections have the widest windows, or a hundred windows of 1 MiB.
	DefaultGrowth = 128 << 20
	// DefaultReadBuffer is package tcp's.
	DefaultReadBuffer = 64 << 10
	// DefaultSendBuffer keeps the QUIC stack busy while a writer is woken.
	DefaultSendBuffer = 64 << 10
	// DefaultHalfOpen is what a quiet node never reaches: a handshake takes milliseconds.
	DefaultHalfOpen = halfopen.Default
	// DefaultHandshakeTimeout is quic-go's.
	DefaultHandshakeTimeout = 5 * time.Second
	// DefaultIdleTimeout and DefaultKeepAlive are go-libp2p's.
	DefaultIdleTimeout = 30 * time.Second
	DefaultKeepAlive   = 15 * time.Second

	// firstWindow is yamux's, for a stream as for a connection: what a connection may cost without
	// asking is the same over every transport.
	firstWindow = 256 << 10
)

// Transport makes the transport of a node: troupe.Config{Transports: []troupe.Transport{c.Transport}}.
func (c Config) Transport(rt *actors.Runtime) (conduit.Transport, error) { return New(rt, c), nil }

func (c Config) withDefaults() Config {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&c.MaxStreams, DefaultMaxStreams)
	def(&c.StreamWindow, DefaultStreamWindow)
	def(&c.ConnWindow, DefaultConnWindow)
	def(&c.Growth, DefaultGrowth)
	def(&c.ReadBuffer, DefaultReadBuffer)
	def(&c.SendBuffer, DefaultSendBuffer)
	def(&c.HalfOpen, DefaultHalfOpen)
	if c.HandshakeTimeout <= 0 {
		c.HandshakeTimeout = DefaultHandshakeTimeout
	}
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = DefaultIdleTimeout
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = DefaultKeepAlive
	}
	return c
}

// quic is the part of it that is for the QUIC stack.
func (c Config) quic() *quicgo.Config {
	return &quicgo.Config{
		Versions:                       []quicgo.Version{quicgo.Version1},
		HandshakeIdleTimeout:           c.HandshakeTimeout,
		MaxIdleTimeout:                 c.IdleTimeout,
		KeepAlivePeriod:                max(c.KeepAlive, 0),
		InitialStreamReceiveWindow:     uint64(min(firstWindow, c.StreamWindow)),
		MaxStreamReceiveWindow:         uint64(c.StreamWindow),
		InitialConnectionReceiveWindow: uint64(min(firstWindow, c.ConnWindow)),
		MaxConnectionReceiveWindow:     uint64(c.ConnWindow),
		MaxIncomingStreams:             int64(c.MaxStreams),
		MaxIncomingUniStreams:          -1,
	}
}

// Bounds lists what a remote can fill, at the default Config.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "transports/quic: streams that a remote has open on one connection", Cap: DefaultMaxStreams,
			Attack: "endless streams"},
		{Name: "transports/quic: bytes of one stream that nobody has read", Cap: DefaultStreamWindow,
			Attack: "a sender faster than the owner"},
		{Name: "transports/quic: bytes of one connection that nobody has read", Cap: DefaultConnWindow,
			Attack: "many streams that nobody reads"},
		{Name: "transports/quic: bytes that the windows of all connections have grown by", Cap: DefaultGrowth,
			Attack: "many connections whose streams are read until their windows are wide, and no more then"},
		{Name: "transports/quic: bytes of one stream that wait to be sent", Cap: 2*DefaultSendBuffer + quicstack.MaxDirect,
			Attack: "questions whose answers are not read"},
		{Name: "transports/quic: inbound handshakes under way on one socket", Cap: DefaultHalfOpen,
			Attack: "first packets from made-up addresses"},
		{Name: "transports/quic: streams of one connection reset by the remote that opened them, at once", Cap: quicstack.ResetBurst,
			Attack: "streams opened and reset in a storm (rapid reset)"},
	}
}
