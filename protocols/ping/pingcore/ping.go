// Package pingcore is both roles of /ipfs/ping/1.0.0 without any I/O.
//
//	dialer   -> 32 random bytes
//	listener <- the same 32 bytes
//	...         repeated on the same stream
//	dialer   -> end of its direction after the last ping; the listener echoes what is left and ends too
//
// A Pinger is the dialer and a Responder the listener. Spec: ping/ping.md. The limit of two
// inbound ping streams for each peer (ping.md: "SHOULD accept at most two streams per peer")
// is the business of whoever accepts streams; MaxStreamsPerPeer is its number.
package pingcore

import (
	"errors"
	"fmt"
	"time"

	"github.com/troupe-p2p/troupe/internal/bound"
)

const (
	// Protocol is what the two sides agree on for the stream.
	Protocol = "/ipfs/ping/1.0.0"
	// Size is the length of a ping and of its answer.
	Size = 32
	// MaxStreamsPerPeer is how many ping streams of one remote are served at a time.
	MaxStreamsPerPeer = 2
	// maxEcho bounds the answers that wait for the stream. It stops a remote that sends
	// pings and never reads the answers; honest dialers have one ping under way.
	maxEcho = 128 * Size
)

var (
	// ErrTimeout is a ping that was not answered in time, or a remote that stalls.
	ErrTimeout = errors.New("ping: remote: no answer in time")
	// ErrMismatch is an answer that differs from what was sent.
	ErrMismatch = errors.New("ping: remote: answer differs from the ping")
	// ErrUnasked is data that answers nothing.
	ErrUnasked = errors.New("ping: remote: sent bytes that answer no ping")
	// ErrFlood is a remote that pings without reading the answers.
	ErrFlood = fmt.Errorf("ping: remote: more than %d pings unanswered", maxEcho/Size)
	// ErrEnded is a stream that ended under a ping.
	ErrEnded = errors.New("ping: remote: stream ended before the answer")
	// ErrTruncated is a stream that ended inside a ping.
	ErrTruncated = errors.New("ping: remote: stream ended inside a ping")
	// ErrBusy is a second Ping while one is under way.
	ErrBusy = errors.New("ping: local: a ping is under way already")
)

// Config of both roles; the zero value is the default.
type Config struct {
	// Timeout bounds the wait for an answer, for the rest of a half-received ping, and for
	// answers that the stream does not take. Default 10 s.
	Timeout time.Duration
	// Idle is how long a Responder keeps a stream without a ping. Default 60 s: rust-libp2p
	// pings every 15 s on one stream and must not find it gone.
	Idle time.Duration
}

func (c Config) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return 10 * time.Second
}

func (c Config) idle() time.Duration {
	if c.Idle > 0 {
		return c.Idle
	}
	return time.Minute
}

// Bounds lists what a remote can fill.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "protocols/ping: bytes of answers that wait for a stream", Cap: maxEcho, Attack: "pings whose answers are never read"},
		{Name: "protocols/ping: inbound streams of a peer", Cap: MaxStreamsPerPeer, Attack: "a ping stream per handler slot"},
	}
}
