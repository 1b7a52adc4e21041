package websocket

import (
	"crypto/tls"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/bound"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// Config of the transport. The zero value dials /ws and /wss and listens on /ws.
type Config struct {
	// TLS is for listening on /wss. It must have a certificate or a way to get one, unless CertFile
	// says where one is.
	TLS *tls.Config
	// CertFile and KeyFile, in PEM, take the place of the certificates of TLS; without KeyFile the key
	// is in CertFile too. They have to be there when a listener starts. They are read again when they
	// have changed, looked at no more than once a second; when that fails the last certificate goes
	// on, and the listener's event says why.
	CertFile, KeyFile string
	// ClientTLS is for dialling /wss. The server's name is taken from the address. Default: the
	// system's certificate authorities.
	ClientTLS *tls.Config

	// ReadBuffer is the most that one read takes, in bytes. Default 64 KiB. Reads begin with
	// 4 KiB and grow when they are filled.
	ReadBuffer int
	// MaxMessage is the longest message that is taken, in bytes. It costs no memory: messages are
	// read in pieces. Default 16 MiB.
	MaxMessage int64
	// DialTimeout bounds one dial with its TLS and HTTP handshakes, within the caller's context.
	// Default 10 s.
	DialTimeout time.Duration
	// HandshakeTimeout bounds the TLS and HTTP handshakes of an accepted connection together.
	// Default 10 s.
	HandshakeTimeout time.Duration
	// Handshakes is how many accepted connections may be in their handshakes. Default 512. One
	// more ends the oldest one of the network that has most of them.
	Handshakes int
	// KeepAlive is how long a connection is silent before TCP probes it. Default 30 s;
	// negative turns probing off.
	KeepAlive time.Duration

	indirect bool // tests: every write by the pump, as over TLS
}

const (
	// DefaultReadBuffer bounds what one connection makes us hold for one read.
	DefaultReadBuffer = 64 << 10
	// DefaultMaxMessage is beyond what any implementation of libp2p sends at once.
	DefaultMaxMessage = 16 << 20
	// DefaultDialTimeout is TCP's 5 s and as much again for TLS and HTTP.
	DefaultDialTimeout = 10 * time.Second
	// DefaultHandshakeTimeout is what a slow but honest remote needs for three round trips.
	DefaultHandshakeTimeout = 10 * time.Second
	// DefaultHandshakes bounds connections that have sent no request yet. It is that of the gate
	// behind, which counts them from there on.
	DefaultHandshakes = 512
	// DefaultKeepAlive keeps NAT mappings alive under the muxer's own keepalive.
	DefaultKeepAlive = 30 * time.Second

	// maxHeader is how much of an HTTP request or answer is read. Browsers send less than 2 KiB.
	maxHeader = 8 << 10
	// frameRead is the library's buffer of a connection, for the heads of frames and small
	// messages. It lives as long as the connection does.
	frameRead = 1 << 10
	// lingerTime is how long a closed connection may take to send what is queued.
	lingerTime = 2 * time.Second
)

// Transport makes the transport for a node: troupe.Config{Transports: []troupe.Transport{c.Transport}}.
func (c Config) Transport(rt *actors.Runtime) (conduit.Transport, error) { return New(rt, c), nil }

func (c Config) withDefaults() Config {
	if c.KeyFile == "" {
		c.KeyFile = c.CertFile
	}
	if c.ReadBuffer <= 0 {
		c.ReadBuffer = DefaultReadBuffer
	}
	if c.MaxMessage <= 0 {
		c.MaxMessage = DefaultMaxMessage
	}
	if c.DialTimeout <= 0 {
		c.DialTimeout = DefaultDialTimeout
	}
	if c.HandshakeTimeout <= 0 {
		c.HandshakeTimeout = DefaultHandshakeTimeout
	}
	if c.Handshakes <= 0 {
		c.Handshakes = DefaultHandshakes
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
		{Name: "transports/websocket: bytes of one read", Cap: DefaultReadBuffer,
			Attack: "a sender faster than the owner"},
		{Name: "transports/websocket: bytes of one message", Cap: DefaultMaxMessage,
			Attack: "a message without end"},
		{Name: "transports/websocket: bytes of an HTTP header", Cap: maxHeader,
			Attack: "a header without end"},
		{Name: "transports/websocket: bytes that wait for a socket", Cap: queueCap,
			Attack: "pings of a remote that does not read"},
		{Name: "transports/websocket: bytes without data at once", Cap: emptyBurst,
			Attack: "frames that cost no credit: pings, empty messages"},
		{Name: "transports/websocket: connections in their handshake", Cap: DefaultHandshakes,
			Attack: "connections that never send a request"},
	}
}
