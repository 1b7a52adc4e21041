package quicstack

import (
	"time"

	"github.com/troupe-p2p/troupe/internal/bound"
	"github.com/troupe-p2p/troupe/transports/internal/halfopen"

	quicgo "github.com/quic-go/quic-go"
)

// Tuning is what the Configs of the transports say of windows, buffers and times. Package quic's has a
// word on each.
type Tuning struct {
	MaxStreams               int
	StreamWindow, ConnWindow int
	Growth                   int
	ReadBuffer, SendBuffer   int
	HalfOpen                 int
	HandshakeTimeout         time.Duration
	IdleTimeout              time.Duration
	KeepAlive                time.Duration
}

// What the transports take where nothing is said, and export. Package quic says why.
const (
	DefaultMaxStreams       = 256
	DefaultStreamWindow     = 10 << 20
	DefaultConnWindow       = 15 << 20
	DefaultGrowth           = 128 << 20
	DefaultReadBuffer       = 64 << 10
	DefaultSendBuffer       = 64 << 10
	DefaultHalfOpen         = halfopen.Default
	DefaultHandshakeTimeout = 5 * time.Second
	DefaultIdleTimeout      = 30 * time.Second
	DefaultKeepAlive        = 15 * time.Second
)

// FirstWindow is yamux's, for a stream as for a connection: what a connection may cost without asking is
// the same over every transport.
const FirstWindow = 256 << 10

// WithDefaults fills in what was not said.
func (t Tuning) WithDefaults() Tuning {
	def(&t.MaxStreams, DefaultMaxStreams)
	def(&t.StreamWindow, DefaultStreamWindow)
	def(&t.ConnWindow, DefaultConnWindow)
	def(&t.Growth, DefaultGrowth)
	def(&t.ReadBuffer, DefaultReadBuffer)
	def(&t.SendBuffer, DefaultSendBuffer)
	def(&t.HalfOpen, DefaultHalfOpen)
	def(&t.HandshakeTimeout, DefaultHandshakeTimeout)
	def(&t.IdleTimeout, DefaultIdleTimeout)
	if t.KeepAlive == 0 { // negative: nobody probes
		t.KeepAlive = DefaultKeepAlive
	}
	return t
}

func def[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// QUIC is the part of it that is for the QUIC stack. Unidirectional streams are for protocols that ask for
// them.
func (t Tuning) QUIC() *quicgo.Config {
	return &quicgo.Config{
		Versions:                       []quicgo.Version{quicgo.Version1},
		HandshakeIdleTimeout:           t.HandshakeTimeout,
		MaxIdleTimeout:                 t.IdleTimeout,
		KeepAlivePeriod:                max(t.KeepAlive, 0),
		InitialStreamReceiveWindow:     uint64(min(FirstWindow, t.StreamWindow)),
		MaxStreamReceiveWindow:         uint64(t.StreamWindow),
		InitialConnectionReceiveWindow: uint64(min(FirstWindow, t.ConnWindow)),
		MaxConnectionReceiveWindow:     uint64(t.ConnWindow),
		MaxIncomingStreams:             int64(t.MaxStreams),
		MaxIncomingUniStreams:          -1,
	}
}

// SharedBounds lists what a remote can fill in every transport over QUIC, of which at is one. Handshakes and
// resets are for each to add: others can attack them in other ways.
func SharedBounds(at string) []bound.Bound {
	return []bound.Bound{
		{Name: at + ": streams that a remote has open on one connection", Cap: DefaultMaxStreams,
			Attack: "endless streams"},
		{Name: at + ": bytes of one stream that nobody has read", Cap: DefaultStreamWindow,
			Attack: "a sender faster than the owner"},
		{Name: at + ": bytes of one connection that nobody has read", Cap: DefaultConnWindow,
			Attack: "many streams that nobody reads"},
		{Name: at + ": bytes that the windows of all connections have grown by", Cap: DefaultGrowth,
			Attack: "many connections whose streams are read until their windows are wide, and no more then"},
		{Name: at + ": bytes of one stream that wait to be sent", Cap: 2*DefaultSendBuffer + MaxDirect,
			Attack: "questions whose answers are not read"},
	}
}
