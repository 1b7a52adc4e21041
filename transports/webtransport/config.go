package webtransport

import (
	"io"
	"slices"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bound"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack"

	quicgo "github.com/quic-go/quic-go"
)

// Config of the transport. The zero value works for the transport of a node. Where QUIC listens on the
// same address, what a remote may do is the wider of the two transports' limits: ALPN says who is meant,
// and the QUIC stack wants to know before.
type Config struct {
	// Key is the identity that remotes get proven, and what the certificates follow from. Default:
	// that of the node that the transport joins.
	Key identity.PrivateKey
	// MaxStreams is how many streams a remote may have open on one connection. Default 256.
	MaxStreams int
	// StreamWindow and ConnWindow are how many bytes a remote may send that nobody has read: on
	// one stream, and on all streams of one connection. They begin with 256 KiB and grow while
	// the reader is fast. Default 10 MiB and 15 MiB.
	StreamWindow, ConnWindow int
	// Growth is how many bytes the windows of all connections may have grown by together. Default
	// 128 MiB.
	Growth int
	// ReadBuffer is the most that one Offer carries, in bytes. Default 64 KiB.
	ReadBuffer int
	// SendBuffer is how many bytes TryWrite keeps for each stream; as many again may be on their
	// way to the QUIC stack. Default 64 KiB.
	SendBuffer int
	// HalfOpen is how many inbound handshakes may be under way on one socket, until Noise is done.
	// From half of it on, a remote has to prove its address first (Retry); and a network that has as
	// many as there is room for gets no more. Default 256.
	HalfOpen int
	// HandshakeTimeout bounds the silence during a TLS handshake, and then, as a whole, what follows
	// it: CONNECT and Noise. Default 5 s.
	HandshakeTimeout time.Duration
	// IdleTimeout ends a connection from which nothing comes. Default 30 s.
	IdleTimeout time.Duration
	// KeepAlive is how long a connection is silent before it is probed. Default 15 s; negative
	// turns probing off.
	KeepAlive time.Duration
	// KeyLog gets the secrets of TLS, for those who look at captured packets. Default: nobody
	// gets them.
	KeyLog io.Writer

	now         func() time.Time // for tests
	headTimeout time.Duration
}

const (
	// DefaultMaxStreams, the windows, the buffers and the timeouts are package quic's.
	DefaultMaxStreams       = quicstack.DefaultMaxStreams
	DefaultStreamWindow     = quicstack.DefaultStreamWindow
	DefaultConnWindow       = quicstack.DefaultConnWindow
	DefaultGrowth           = quicstack.DefaultGrowth
	DefaultReadBuffer       = quicstack.DefaultReadBuffer
	DefaultSendBuffer       = quicstack.DefaultSendBuffer
	DefaultHalfOpen         = quicstack.DefaultHalfOpen
	DefaultHandshakeTimeout = quicstack.DefaultHandshakeTimeout
	DefaultIdleTimeout      = quicstack.DefaultIdleTimeout
	DefaultKeepAlive        = quicstack.DefaultKeepAlive

	// uniStreams are those of HTTP/3, of which it wants at least three.
	uniStreams = 5
	// maxUniStreams is how many of them may come before the one of the settings.
	maxUniStreams = 32
	// maxHeader bounds the header of a request or an answer. Those of browsers have a tenth of it.
	maxHeader = 8 << 10
	// headTimeout is how long a stream may be open before it says whose it is: until then it is
	// nobody's, and nobody else has a deadline for it.
	headTimeout = 30 * time.Second
	// maxRequests is how many requests a remote may make before the one that opens the session.
	maxRequests = 4
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

func (c Config) withDefaults(rt *actors.Runtime) Config {
	if c.headTimeout <= 0 {
		c.headTimeout = headTimeout
	}
	if c.now == nil {
		c.now = rt.Now
	}
	return c
}

// stackConfig is the part of it that is for the QUIC stack. Datagrams and resets with partial delivery are
// what other implementations insist on; the second is how a stream's head gets through though the stream
// is reset.
func stackConfig(t quicstack.Tuning) *quicgo.Config {
	conf := t.QUIC()
	conf.MaxIncomingUniStreams = uniStreams
	conf.EnableDatagrams = true
	conf.EnableStreamResetPartialDelivery = true
	return conf
}

// Bounds lists what a remote can fill, at the default Config.
func Bounds() []bound.Bound {
	return slices.Concat(quicstack.SharedBounds("transports/webtransport"), []bound.Bound{
		{Name: "transports/webtransport: inbound handshakes under way on one socket", Cap: DefaultHalfOpen,
			Attack: "first packets from made-up addresses, and sessions without Noise"},
		{Name: "transports/webtransport: streams of one connection reset or refused, at once", Cap: quicstack.ResetBurst,
			Attack: "streams opened and reset in a storm, or of a session that is not there"},
		{Name: "transports/webtransport: bytes of an HTTP header", Cap: maxHeader,
			Attack: "a header without end"},
		{Name: "transports/webtransport: bytes of a session's last word", Cap: maxCloseMessage,
			Attack: "a capsule of a gigabyte"},
		{Name: "transports/webtransport: unidirectional streams before that of the settings", Cap: maxUniStreams,
			Attack: "streams of no kind, opened and closed"},
		{Name: "transports/webtransport: requests of a remote that has no session", Cap: maxRequests,
			Attack: "requests to anywhere, one after the other"},
	})
}
