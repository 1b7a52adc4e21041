package message

import (
	"errors"
	"time"

	"github.com/troupe-p2p/troupe/identity"
)

// Reader reads one message from a stream. It is owned by one actor.
type Reader struct {
	cfg   Config
	began time.Time
	parts int
	head  [2]byte // the length of the part under way: 2 bytes are enough for maxMessage
	heads int
	left  int    // bytes of the part that are missing
	buf   []byte // what there is of it; len <= maxMessage
	inner bool   // inside a part
	draft draft
	err   error
}

// NewReader returns a Reader for a stream that was opened now.
func NewReader(cfg Config, now time.Time) *Reader { return &Reader{cfg: cfg, began: now} }

// HandleBytes takes what the remote sent. An error ends the stream with a reset.
func (r *Reader) HandleBytes(now time.Time, p []byte) error {
	for r.err == nil && (len(p) > 0 || r.inner && r.left == 0) {
		switch {
		case !r.inner:
			p = r.length(p)
		case len(r.buf) == 0 && len(p) >= r.left: // whole in p: nothing is copied
			part := p[:r.left]
			p = p[r.left:]
			r.part(part)
		default:
			n := min(len(p), r.left)
			r.buf = append(r.buf, p[:n]...)
			r.left -= n
			p = p[n:]
			if r.left == 0 {
				r.part(r.buf)
			}
		}
	}
	return r.err
}

// length reads one byte of the length.
func (r *Reader) length(p []byte) []byte {
	if r.heads == 0 && r.parts == maxParts {
		r.fail(ErrTooManyParts)
		return nil
	}
	b := p[0]
	r.head[r.heads] = b
	r.heads++
	switch {
	case b >= 0x80 && r.heads == len(r.head):
		r.fail(ErrTooLarge)
	case b >= 0x80:
	case b == 0 && r.heads > 1:
		r.fail(ErrMalformed) // not the shortest form of the number
	default:
		n := int(r.head[0] & 0x7f)
		if r.heads > 1 {
			n |= int(b) << 7
		}
		if n > maxMessage {
			r.fail(ErrTooLarge)
		}
		r.inner, r.left, r.heads = true, n, 0
	}
	return p[1:]
}

func (r *Reader) part(b []byte) {
	r.parts++
	if err := r.draft.merge(b, r.cfg.Peer); err != nil {
		r.fail(err)
	}
	r.inner, r.left, r.buf = false, 0, r.buf[:0]
}

// HandleEnd says that the remote ended its direction in order. It returns the message.
func (r *Reader) HandleEnd(now time.Time) (Info, error) {
	switch {
	case r.err != nil:
	case r.inner || r.heads > 0 || r.parts == 0:
		r.fail(ErrTruncated)
	default:
		info, err := r.draft.finish(r.cfg)
		if err == nil {
			r.draft = draft{}
			r.fail(errDone)
			return info, nil
		}
		r.fail(err)
	}
	return Info{}, r.err
}

// errDone keeps a Reader from being used again.
var errDone = errors.New("identify: local: the message has been read")

// Deadline is when HandleTimeout is due.
func (r *Reader) Deadline() (time.Time, bool) { return r.began.Add(r.cfg.timeout()), r.err == nil }

// HandleTimeout fails a message that is not complete in time.
func (r *Reader) HandleTimeout(now time.Time) error {
	if at, ok := r.Deadline(); ok && !now.Before(at) {
		r.fail(ErrTimeout)
	}
	return r.err
}

func (r *Reader) fail(err error) { r.err, r.buf = err, nil }

// hostile tells a record that lies from one that we cannot read.
func hostile(err error) bool {
	return errors.Is(err, identity.ErrMismatch) || errors.Is(err, identity.ErrSignature)
}
