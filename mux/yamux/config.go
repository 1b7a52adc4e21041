package yamux

import (
	"math"
	"time"
)

// ProtocolWindow is the window that both ends assume for a new stream. It is the protocol's
// and cannot be configured; a larger InitialWindow is granted with the first frame.
const ProtocolWindow = 256 << 10

// Defaults of Config.
const (
	DefaultMaxWindow    = 16 << 20
	DefaultWindowBudget = 64 << 20
	DefaultMaxHeld      = 128 << 20
	DefaultMaxFrame     = 64 << 10

	DefaultMaxInboundStreams = 2048
	DefaultAcceptBacklog     = 256
	DefaultOpenBacklog       = 256
	DefaultPingBacklog       = 32

	DefaultKeepAlive        = 30 * time.Second
	DefaultKeepAliveTimeout = 10 * time.Second

	DefaultActivePing        = 5 * time.Second
	DefaultActivePingTimeout = 10 * time.Second

	DefaultResetBurst   = 1000
	DefaultResetRate    = 200
	DefaultControlBurst = 10_000
	DefaultControlRate  = 2_000
)

// Config tunes a Session. The zero value means the defaults.
type Config struct {
	// InitialWindow is the receive window of a new stream in bytes. Default and least
	// ProtocolWindow. What it has above that counts against WindowBudget.
	InitialWindow int
	// MaxWindow is the most that a receive window grows to, in bytes. Default 16 MiB.
	MaxWindow int
	// WindowBudget is how many bytes the receive windows of one session may grow by in sum,
	// beyond ProtocolWindow each. Default 64 MiB; negative: windows do not grow.
	WindowBudget int
	// MaxHeld is how many bytes all streams together may have delivered that are not consumed.
	// A stream whose data would pass it is reset. Default 128 MiB. (Each stream's own bound is
	// its window, and ProtocolWindow cannot be withheld from any stream that is open.)
	MaxHeld int
	// MaxFrame is the longest body of a data frame that we send, in bytes. Default 64 KiB.
	// A small one is fairer between streams, a large one cheaper.
	MaxFrame int

	// MaxInboundStreams is how many streams the remote may have open. Default 2048.
	MaxInboundStreams int
	// AcceptBacklog is how many of them may wait for Accept. Default 256.
	AcceptBacklog int
	// OpenBacklog is how many streams of ours may wait for the remote's acknowledgement.
	// Default 256, which the specification says one SHOULD NOT exceed.
	OpenBacklog int
	// PingBacklog is how many answers to pings may wait to be written. Default 32; further
	// pings are not answered.
	PingBacklog int

	// KeepAlive is the silence after which a ping is sent. Default 30 s; negative: never.
	KeepAlive time.Duration
	// KeepAliveTimeout is how long an unanswered ping and silence together last before the
	// session ends. Default 10 s.
	KeepAliveTimeout time.Duration

	// ActivePing is how long a remote may send, while we send too, without a proof that it
	// reads: an answer to a ping, an acknowledgement, credit, or room in a conduit that was
	// full (HandleDrained). Then a ping asks for one. Default 5 s; negative: never.
	ActivePing time.Duration
	// ActivePingTimeout is how long an active remote may leave a ping unanswered without any
	// other proof before the session ends. Default 10 s.
	ActivePingTimeout time.Duration

	// ResetBurst and ResetRate are the budget for streams that the remote opens and resets
	// within ten seconds: so many at once, so many per second. Default 1000 and 200.
	ResetBurst, ResetRate int
	// ControlBurst and ControlRate are the budget for pings, plain window updates and frames
	// without effect: so many at once, so many per second, and one more for each KiB of data
	// that we send. Default 10000 and 2000.
	ControlBurst, ControlRate int

	// Spare keeps the memory of ended streams for all sessions that have it, as a sync.Pool does.
	// Default: each session keeps that of its own.
	Spare Spare
}

// Spare keeps what is not in use. Its methods may be called by many sessions at once.
type Spare interface {
	Get() any // nil: there is none
	Put(any)
}

// WithDefaults fills in what was not said and bounds what was.
func (c Config) WithDefaults() Config {
	def := func(v *int, d, lo, hi int) {
		if *v == 0 {
			*v = d
		}
		*v = min(max(*v, lo), hi)
	}
	def(&c.MaxWindow, DefaultMaxWindow, ProtocolWindow, math.MaxInt32)
	def(&c.InitialWindow, ProtocolWindow, ProtocolWindow, c.MaxWindow)
	def(&c.WindowBudget, DefaultWindowBudget, 0, math.MaxInt)
	def(&c.MaxHeld, DefaultMaxHeld, ProtocolWindow, math.MaxInt)
	def(&c.MaxFrame, DefaultMaxFrame, 1, math.MaxInt32)
	def(&c.MaxInboundStreams, DefaultMaxInboundStreams, 0, math.MaxInt32)
	def(&c.AcceptBacklog, DefaultAcceptBacklog, 0, math.MaxInt32)
	def(&c.OpenBacklog, DefaultOpenBacklog, 1, math.MaxInt32)
	def(&c.PingBacklog, DefaultPingBacklog, 1, 1<<16)
	if c.KeepAlive == 0 {
		c.KeepAlive = DefaultKeepAlive
	}
	if c.KeepAliveTimeout <= 0 {
		c.KeepAliveTimeout = DefaultKeepAliveTimeout
	}
	if c.ActivePing == 0 {
		c.ActivePing = DefaultActivePing
	}
	if c.ActivePingTimeout <= 0 {
		c.ActivePingTimeout = DefaultActivePingTimeout
	}
	def(&c.ResetBurst, DefaultResetBurst, 1, math.MaxInt32)
	def(&c.ResetRate, DefaultResetRate, 1, math.MaxInt32)
	def(&c.ControlBurst, DefaultControlBurst, 1, math.MaxInt32)
	def(&c.ControlRate, DefaultControlRate, 1, math.MaxInt32)
	return c
}
