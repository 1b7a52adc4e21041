package pingcore

import (
	"crypto/subtle"
	"io"
	"time"
)

// Event is what happened to a Pinger: Pong or Failed.
type Event interface{ event() }

// Pong is an answered ping.
type Pong struct {
	Seq int // 1 for the first ping
	RTT time.Duration
}

// Failed is the end of a Pinger: the ping under way is lost and none will follow.
type Failed struct {
	Seq int // the ping that was under way, 0 if none was
	Err error
}

func (Pong) event()   {}
func (Failed) event() {}

// Pinger is the dialing side of one stream. It is owned by one actor.
type Pinger struct {
	cfg    Config
	sent   [Size]byte
	got    int // bytes of the answer that have matched so far
	seq    int
	busy   bool
	unsent bool // the ping has not been handed to the stream yet
	at     time.Time
	err    error
	events []Event // an input makes one at most, and is drained before the next
}

// NewPinger returns a Pinger that has sent nothing yet.
func NewPinger(cfg Config) *Pinger { return &Pinger{cfg: cfg} }

// Ping makes the next payload from rand; AppendOutput has it.
func (p *Pinger) Ping(now time.Time, rand io.Reader) error {
	switch {
	case p.err != nil:
		return p.err
	case p.busy:
		return ErrBusy
	}
	if _, err := io.ReadFull(rand, p.sent[:]); err != nil {
		return err
	}
	p.seq++
	p.busy, p.unsent, p.got, p.at = true, true, 0, now
	return nil
}

// AppendOutput appends what has to be sent.
func (p *Pinger) AppendOutput(dst []byte) []byte {
	if !p.unsent || p.err != nil {
		return dst
	}
	p.unsent = false
	return append(dst, p.sent[:]...)
}

// HandleBytes takes what the remote sent. An error ends the stream.
func (p *Pinger) HandleBytes(now time.Time, b []byte) error {
	if p.err != nil || len(b) == 0 {
		return p.err
	}
	if !p.busy || p.unsent || len(b) > Size-p.got {
		return p.fail(ErrUnasked)
	}
	if subtle.ConstantTimeCompare(b, p.sent[p.got:p.got+len(b)]) == 0 {
		return p.fail(ErrMismatch)
	}
	p.got += len(b)
	if p.got == Size {
		p.busy = false
		p.events = append(p.events, Pong{Seq: p.seq, RTT: now.Sub(p.at)})
	}
	return nil
}

// HandleEnd says that the stream ended: err is nil after an orderly end.
func (p *Pinger) HandleEnd(err error) {
	if err == nil {
		err = ErrEnded
	}
	_ = p.fail(err)
}

// Deadline is when HandleTimeout is due.
func (p *Pinger) Deadline() (time.Time, bool) {
	return p.at.Add(p.cfg.timeout()), p.busy && p.err == nil
}

// HandleTimeout fails a ping whose time is up.
func (p *Pinger) HandleTimeout(now time.Time) error {
	if at, ok := p.Deadline(); ok && !now.Before(at) {
		return p.fail(ErrTimeout)
	}
	return p.err
}

// Next returns the next event.
func (p *Pinger) Next() (Event, bool) {
	if len(p.events) == 0 {
		return nil, false
	}
	e := p.events[0]
	p.events = append(p.events[:0], p.events[1:]...)
	return e, true
}

func (p *Pinger) fail(err error) error {
	if p.err != nil {
		return p.err
	}
	p.err = err
	f := Failed{Err: err}
	if p.busy {
		f.Seq = p.seq
	}
	p.busy, p.unsent = false, false
	p.events = append(p.events, f)
	return err
}
