package webrtc

import (
	"crypto/tls"
	"io"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bound"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// Config of the transport. The zero value works for the transport of a node.
type Config struct {
	// Key is the identity that remotes get proven. Default: that of the node that the transport
	// joins.
	Key identity.PrivateKey
	// Certificate is what listeners show, and what the certhash in their addresses is of. Default: one
	// made of the key, the same each time.
	Certificate *tls.Certificate
	// Version of WebRTC-direct that is dialled with, 1 or 2. Listeners take both. Default 1, which
	// everybody understands.
	Version int
	// MaxStreams is how many streams a remote may have open on one connection, and how many we open.
	// Default 256.
	MaxStreams int
	// StreamWindow and ConnWindow are how many bytes a remote may send that nobody has read: on one
	// stream, and on all streams of one connection. Default 256 KiB and 16 MiB. Where the remote knows
	// windows, ConnWindow is 32 KiB for each of MaxStreams at least.
	StreamWindow, ConnWindow int
	// ReceiveBuffer is how many bytes SCTP keeps of messages that did not get as far as a stream.
	// Default 1 MiB.
	ReceiveBuffer int
	// SendBuffer and ConnSendBuffer are how many bytes wait for the remote's acknowledgement. Default
	// 128 KiB, and 16 MiB for all streams of one connection.
	SendBuffer, ConnSendBuffer int
	// HalfOpen is how many inbound handshakes may be under way on one socket. A network that has as
	// many as there is room for gets no more. Default 128.
	HalfOpen int
	// HandshakeTimeout bounds a handshake: ICE, DTLS, SCTP and Noise together. Default 10 s.
	HandshakeTimeout time.Duration
	// IdleTimeout ends a connection from which nothing comes. Default 30 s.
	IdleTimeout time.Duration
	// KeepAlive is how often a connection that we dialled is probed. Default 5 s.
	KeepAlive time.Duration
	// Stall is how long a stream whose window is full may hold up the other streams of a connection,
	// which it does where the remote knows no windows. Then it is reset. Default 30 s.
	Stall time.Duration
	// KeyLog gets the DTLS secrets of all connections, for those who look at captured packets.
	// Default: nobody gets them.
	KeyLog io.Writer
}

const (
	// DefaultMaxStreams is package quic's.
	DefaultMaxStreams = 256
	// DefaultStreamWindow is what yamux and QUIC begin with.
	DefaultStreamWindow = 256 << 10
	// firstWindow is how many bytes of each stream a remote that knows windows may always be ahead.
	firstWindow = maxFrame
	// DefaultConnWindow is half for the first windows of all streams, and lets 34 streams have their whole
	// window. Without windows a quarter of a remote's streams may be full.
	DefaultConnWindow = 16 << 20
	// DefaultReceiveBuffer is pion's.
	DefaultReceiveBuffer = 1 << 20
	// DefaultSendBuffer keeps SCTP busy while a writer is woken.
	DefaultSendBuffer = 128 << 10
	// DefaultConnSendBuffer is as much as may come.
	DefaultConnSendBuffer = DefaultConnWindow
	// DefaultHalfOpen is go-libp2p's.
	DefaultHalfOpen = 128
	// DefaultHandshakeTimeout is go-libp2p's.
	DefaultHandshakeTimeout = 10 * time.Second
	// DefaultIdleTimeout is package quic's, and go-libp2p's for ICE.
	DefaultIdleTimeout = 30 * time.Second
	// DefaultKeepAlive is how long consent lasts at least: RFC 7675, section 5.1.
	DefaultKeepAlive = 5 * time.Second

	// DefaultStall is a reader's long pause.
	DefaultStall = 30 * time.Second

	// maxEntries bounds the pieces of messages that SCTP keeps for one stream: as many of the smallest
	// ones could otherwise cost far more than the bytes in them.
	maxEntries = 4 << 10
	// pathQueue is how many bytes of datagrams wait for DTLS on one connection.
	pathQueue = 512 << 10
	// socketBuffer is what the system is asked for, for bursts.
	socketBuffer = 2 << 20
	// maxRecent is how many addresses that have sent checks are remembered, to find the connection of
	// a client that changes its path right at the begin. Losing one loses nothing else.
	maxRecent = 1024
	// maxEarly is how many channels a remote may open before it is known.
	maxEarly = 64
	// maxLingering is how many channels may be closed by us and not by the remote, or four times MaxStreams if
	// that is more. Each has a goroutine, and SCTP looks at all of them for each packet. Who does as RFC 8831,
	// section 6.7, says closes its side in a round trip.
	maxLingering = 1 << 10
	// maxOwed is how many channels may be over before the remote has acknowledged what was said on them. No
	// more are taken until it has.
	maxOwed = 4 << 10
	// patience is how long an answer is waited for that a stream needs to end in order (FIN_ACK, the
	// remote's reset of a channel) or to begin (its open). It is go-libp2p's for FIN_ACK.
	patience = 10 * time.Second
	// resetBurst and resetRate are package yamux's budget for streams that a remote opens and resets.
	resetBurst = 1000
	resetRate  = 200
)

// Transport makes the transport of a node: troupe.Config{Transports: []troupe.Transport{c.Transport}}.
func (c Config) Transport(rt *actors.Runtime) (conduit.Transport, error) { return New(rt, c), nil }

func (c Config) withDefaults() Config {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	defTime := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&c.Version, 1)
	def(&c.MaxStreams, DefaultMaxStreams)
	def(&c.StreamWindow, DefaultStreamWindow)
	def(&c.ConnWindow, DefaultConnWindow)
	def(&c.ReceiveBuffer, DefaultReceiveBuffer)
	def(&c.SendBuffer, DefaultSendBuffer)
	def(&c.ConnSendBuffer, DefaultConnSendBuffer)
	def(&c.HalfOpen, DefaultHalfOpen)
	defTime(&c.HandshakeTimeout, DefaultHandshakeTimeout)
	defTime(&c.IdleTimeout, DefaultIdleTimeout)
	defTime(&c.KeepAlive, DefaultKeepAlive)
	defTime(&c.Stall, DefaultStall)
	c.StreamWindow = max(c.StreamWindow, 2*maxFrame)
	c.SendBuffer = max(c.SendBuffer, 2*maxFrame)
	c.ConnSendBuffer = max(c.ConnSendBuffer, c.SendBuffer)
	return c
}

// unread is how many bytes of one connection may be unread where the remote knows windows.
func (c Config) unread() int { return max(c.ConnWindow, c.firstWindows()) }

// firstWindows are those of all streams: the remote may have as many open as we.
func (c Config) firstWindows() int { return 2 * c.MaxStreams * firstWindow }

func (c Config) lingering() int { return max(maxLingering, 4*c.MaxStreams) }

// Bounds lists what a remote can fill, at the default Config.
func Bounds() []bound.Bound {
	const at = "transports/webrtc: "
	return []bound.Bound{
		{Name: at + "streams that a remote has open on one connection", Cap: DefaultMaxStreams,
			Attack: "endless streams"},
		{Name: at + "bytes of one stream that nobody has read", Cap: DefaultStreamWindow + maxFrame,
			Attack: "a sender faster than the owner"},
		{Name: at + "bytes of one connection that nobody has read", Cap: DefaultConnWindow + 2*DefaultMaxStreams*maxFrame,
			Attack: "many streams that nobody reads"},
		{Name: at + "bytes of one frame", Cap: maxFrame, Attack: "a length that nothing follows"},
		{Name: at + "bytes that SCTP keeps of one connection", Cap: DefaultReceiveBuffer,
			Attack: "messages whose last piece never comes"},
		{Name: at + "bytes of one stream that wait to be sent", Cap: DefaultSendBuffer,
			Attack: "questions whose answers are not read"},
		{Name: at + "messages of one stream that wait to be sent", Cap: smallBuffer/smallest + DefaultSendBuffer/smallFrame,
			Attack: "questions of one byte whose answers are not acknowledged"},
		{Name: at + "bytes of one connection that wait to be sent", Cap: DefaultConnSendBuffer,
			Attack: "questions on many streams whose answers are not acknowledged"},
		{Name: at + "channels of one connection that the remote has not closed behind us", Cap: maxLingering,
			Attack: "streams that are ended and never closed"},
		{Name: at + "channels of one connection that are over and not acknowledged", Cap: maxOwed,
			Attack: "streams that are opened and closed by a remote that acknowledges nothing"},
		{Name: at + "inbound handshakes under way on one socket", Cap: DefaultHalfOpen,
			Attack: "ClientHellos from made-up addresses"},
		{Name: at + "bytes of datagrams that wait for one connection", Cap: pathQueue,
			Attack: "datagrams faster than they are decrypted"},
		{Name: at + "addresses of one socket that have sent checks", Cap: maxRecent,
			Attack: "STUN messages from made-up addresses"},
		{Name: at + "channels of a remote that has not proven who it is", Cap: maxEarly,
			Attack: "channels opened before the Noise handshake"},
		{Name: at + "streams of one connection reset by the remote that opened them, at once", Cap: resetBurst,
			Attack: "streams opened and reset in a storm (rapid reset)"},
	}
}
