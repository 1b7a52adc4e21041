package pingcore

import "time"

// Responder is the listening side of one stream. It is owned by one actor.
type Responder struct {
	cfg    Config
	echo   []byte // whole pings that wait for the stream, then the partial one
	whole  int    // how much of echo is whole pings
	ended  bool   // the remote ended its direction
	idleAt time.Time
	partAt time.Time // first byte of the partial ping
	waitAt time.Time // first of the waiting answers
	err    error
}

// NewResponder returns a Responder for a stream that was opened now.
func NewResponder(cfg Config, now time.Time) *Responder {
	return &Responder{cfg: cfg, idleAt: now}
}

// HandleBytes takes what the remote sent. An error ends the stream with a reset.
func (r *Responder) HandleBytes(now time.Time, b []byte) error {
	if r.err != nil || len(b) == 0 {
		return r.err
	}
	if r.ended {
		return r.fail(ErrUnasked)
	}
	if len(b) > maxEcho-len(r.echo) {
		return r.fail(ErrFlood)
	}
	if len(r.echo) == r.whole || len(r.echo)-r.whole+len(b) >= Size {
		r.partAt = now
	}
	r.echo = append(r.echo, b...)
	if whole := len(r.echo) / Size * Size; whole > r.whole {
		if r.whole == 0 {
			r.waitAt = now
		}
		r.whole, r.idleAt = whole, now
	}
	return nil
}

// AppendOutput appends the answers that are due. Call it only when the stream can take them:
// what stays here longer than the timeout ends the stream.
func (r *Responder) AppendOutput(dst []byte) []byte {
	if r.whole == 0 || r.err != nil {
		return dst
	}
	dst = append(dst, r.echo[:r.whole]...)
	r.echo = r.echo[:copy(r.echo, r.echo[r.whole:])]
	r.whole = 0
	return dst
}

// HandleEnd says that the remote ended its direction in order. Answers that are still due
// must be sent before our direction is ended (Done).
func (r *Responder) HandleEnd() error {
	if r.err == nil && len(r.echo) > r.whole {
		return r.fail(ErrTruncated)
	}
	r.ended = true
	return r.err
}

// Done says that the remote has ended and has got every answer: time to end our direction.
func (r *Responder) Done() bool { return r.ended && r.whole == 0 && r.err == nil }

// Deadline is when HandleTimeout is due.
func (r *Responder) Deadline() (time.Time, bool) {
	if r.err != nil || r.Done() {
		return time.Time{}, false
	}
	at := r.idleAt.Add(r.cfg.idle())
	if len(r.echo) > r.whole {
		at = earlier(at, r.partAt.Add(r.cfg.timeout()))
	}
	if r.whole > 0 {
		at = earlier(at, r.waitAt.Add(r.cfg.timeout()))
	}
	return at, true
}

// HandleTimeout fails a remote that stalls inside a ping, reads no answers or is silent.
func (r *Responder) HandleTimeout(now time.Time) error {
	if at, ok := r.Deadline(); ok && !now.Before(at) {
		return r.fail(ErrTimeout)
	}
	return r.err
}

func (r *Responder) fail(err error) error {
	r.err, r.echo, r.whole = err, nil, 0
	return err
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
