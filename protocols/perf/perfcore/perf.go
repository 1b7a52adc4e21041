// Package perfcore is both roles of /perf/1.0.0 without any I/O.
//
//	client -> uint64 big endian: how many bytes it wants back
//	client -> any number of bytes, then the end of its direction
//	server <- as many bytes as were wanted, not one before the client's end, then its own end
//
// Spec: perf/perf.md. The content is zeros, which are shared and only read: neither side holds
// a buffer, whatever is asked for.
package perfcore

import (
	"errors"
	"time"

	"github.com/troupe-p2p/troupe/internal/bound"
)

const (
	// Protocol is what the two sides agree on for the stream.
	Protocol = "/perf/1.0.0"
	// BlockSize is the most that NextWrite gives at once.
	BlockSize = 64 << 10

	headerSize = 8
)

// zeros is lent to every stream and written by none.
var zeros [BlockSize]byte

var (
	// ErrStalled is a remote that neither sends nor reads.
	ErrStalled = errors.New("perf: remote: no progress in time")
	// ErrTruncated is an end before the eight bytes of the header.
	ErrTruncated = errors.New("perf: remote: stream ended inside the header")
	// ErrAfterEnd is data after the end of the remote's direction.
	ErrAfterEnd = errors.New("perf: remote: data after its end")
	// ErrEarly is an answer that begins while the upload is under way. perf.md: it "MUST NOT
	// be run concurrently".
	ErrEarly = errors.New("perf: remote: answer before the end of the upload")
	// ErrShort is an answer with fewer bytes than were asked for.
	ErrShort = errors.New("perf: remote: answer is shorter than asked for")
	// ErrLong is an answer with more bytes than were asked for.
	ErrLong = errors.New("perf: remote: answer is longer than asked for")
)

// Config of both roles; the zero value is the default.
type Config struct {
	// Stall is how long a stream may go without a byte in either direction. Default 30 s.
	Stall time.Duration
}

func (c Config) stall() time.Duration {
	if c.Stall > 0 {
		return c.Stall
	}
	return 30 * time.Second
}

// Bounds lists what a remote can fill: nothing but the header.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "protocols/perf: bytes held of a stream", Cap: headerSize, Attack: "an upload without end, a download that is not read"},
	}
}

// progress is the time of the last byte in either direction.
type progress struct {
	cfg Config
	at  time.Time
	err error
}

func (p *progress) deadline(done bool) (time.Time, bool) {
	return p.at.Add(p.cfg.stall()), p.err == nil && !done
}

func (p *progress) fail(err error) error {
	if p.err == nil {
		p.err = err
	}
	return p.err
}

// block is the next piece of n bytes that are left to write.
func block(n uint64) []byte { return zeros[:min(n, BlockSize)] }
