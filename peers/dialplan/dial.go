package dialplan

import (
	"errors"
	"time"

	"github.com/troupe-p2p/troupe/identity"

	ma "github.com/multiformats/go-multiaddr"
)

// MaxParallel is how many attempts of one dial run at the same time, as in go-libp2p. It stops a
// long list of addresses from becoming a burst of connections.
const MaxParallel = 8

var (
	// ErrNoAddress is a dial without an address to try.
	ErrNoAddress = errors.New("dial: local: no address of the peer can be dialled")
	// ErrTimeout is a dial that took too long as a whole.
	ErrTimeout = errors.New("dial: local: no connection in time")
)

// Config of a Dial; the zero value is the default.
type Config struct {
	// Total bounds the whole dial. Default 60 s.
	Total time.Duration
	// Each bounds one attempt up to the end of its upgrade. Default 15 s.
	Each time.Duration
	// Near bounds one attempt within this network, if that is less. Default 5 s.
	Near time.Duration
}

func or(d, def time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return def
}

// Event is what a Dial asks of its owner: Start, Stop or Ended.
type Event interface{ event() }

// Start begins attempt N, which fails after Timeout.
type Start struct {
	N       int
	Addr    ma.Multiaddr
	Timeout time.Duration
}

// Stop cancels attempt N, whose outcome does not matter any more.
type Stop struct{ N int }

// Ended is the last event: either attempt N has won, or there is an Err.
type Ended struct {
	N   int
	Err error // nil: N has won; else a *Error, or what Cancel was given
}

func (Start) event() {}
func (Stop) event()  {}
func (Ended) event() {}

// Dial runs the attempts for one peer. It is owned by the peer's actor.
type Dial struct {
	cfg     Config
	peer    identity.ID
	began   time.Time
	ahead   time.Duration // how much earlier than planned the attempts are due
	all     []attempt     // in the order of their delays; len <= 2*MaxAttempts
	next    int           // the first that has not been started
	running int
	more    bool // addresses are still being resolved
	ended   bool
	skipped []Skipped
	events  []Event
}

type attempt struct {
	Attempt
	state   state
	err     error
	skipped bool // nothing was sent
	won     bool
}

type state uint8

const (
	waiting state = iota
	running
	over
)

// NewDial starts a dial with the outcome of Rank. With more set, the dial does not give up before
// Add has been called with the rest.
func NewDial(cfg Config, now time.Time, peer identity.ID, plan []Attempt, skipped []Skipped, more bool) *Dial {
	d := &Dial{cfg: cfg, peer: peer, began: now, more: more}
	d.add(plan, skipped)
	d.step(now)
	return d
}

// Add takes further attempts: names that were resolved, or addresses that came with another wish
// for the same peer. What has been tried or is waiting already is left out.
func (d *Dial) Add(now time.Time, plan []Attempt, skipped []Skipped, more bool) {
	if d.ended {
		return
	}
	d.more = more
	passed := now.Sub(d.began) + d.ahead
	fresh := make([]Attempt, 0, len(plan))
	for _, a := range plan {
		if !d.has(a.Addr) {
			a.Delay += passed // the delays of a plan count from when it is added
			fresh = append(fresh, a)
		}
	}
	d.add(fresh, skipped)
	d.step(now)
}

func (d *Dial) add(plan []Attempt, skipped []Skipped) {
	d.skipped = append(d.skipped, skipped[:min(len(skipped), max(0, MaxAttempts-len(d.skipped)))]...)
	for _, a := range plan {
		if len(d.all) == 2*MaxAttempts {
			return
		}
		i := len(d.all) // behind all that are due before it or at the same time
		for i > d.next && d.all[i-1].Delay > a.Delay {
			i--
		}
		d.all = append(d.all, attempt{})
		copy(d.all[i+1:], d.all[i:])
		d.all[i] = attempt{Attempt: a}
	}
}

func (d *Dial) has(a ma.Multiaddr) bool {
	for i := range d.all {
		if d.all[i].Addr.Equal(a) {
			return true
		}
	}
	return false
}

// HandleFailed says that attempt n has failed.
func (d *Dial) HandleFailed(now time.Time, n int, err error) {
	if d.ended || n < 0 || n >= len(d.all) || d.all[n].state != running {
		return
	}
	d.all[n].state, d.all[n].err = over, err
	d.running--
	d.step(now)
}

// HandleSkipped says that attempt n was not made after all, and why.
func (d *Dial) HandleSkipped(now time.Time, n int, err error) {
	if d.ended || n < 0 || n >= len(d.all) || d.all[n].state != running {
		return
	}
	d.all[n].state, d.all[n].err, d.all[n].skipped = over, err, true
	d.running--
	d.step(now)
}

// HandleWon says that attempt n is a usable connection. It reports whether that is the one the
// dial was for: not if the dial had ended before.
func (d *Dial) HandleWon(now time.Time, n int) bool {
	if d.ended || n < 0 || n >= len(d.all) || d.all[n].state != running {
		return false
	}
	d.all[n].state, d.all[n].won = over, true
	d.running--
	d.end(Ended{N: n})
	return true
}

// Cancel ends the dial.
func (d *Dial) Cancel(err error) {
	if !d.ended {
		d.end(Ended{N: -1, Err: err})
	}
}

// Deadline is when HandleTimeout is due.
func (d *Dial) Deadline() (time.Time, bool) {
	if d.ended {
		return time.Time{}, false
	}
	at := d.began.Add(or(d.cfg.Total, time.Minute))
	if d.next < len(d.all) && d.running < MaxParallel {
		if due := d.due(d.next); due.Before(at) {
			at = due
		}
	}
	return at, true
}

// HandleTimeout starts what is due, or ends a dial that took too long.
func (d *Dial) HandleTimeout(now time.Time) {
	if d.ended {
		return
	}
	if !now.Before(d.began.Add(or(d.cfg.Total, time.Minute))) {
		d.end(Ended{N: -1, Err: d.failure(ErrTimeout)})
		return
	}
	d.step(now)
}

// Addr is the address of attempt n, for Backoff.
func (d *Dial) Addr(n int) ma.Multiaddr {
	if n < 0 || n >= len(d.all) {
		return nil
	}
	return d.all[n].Addr
}

// Running is the number of attempts under way.
func (d *Dial) Running() int { return d.running }

// Next returns the next event.
func (d *Dial) Next() (Event, bool) {
	if len(d.events) == 0 {
		d.events = nil
		return nil, false
	}
	e := d.events[0]
	d.events = d.events[1:]
	return e, true
}

func (d *Dial) due(n int) time.Time { return d.began.Add(d.all[n].Delay - d.ahead) }

// step starts what is due. If nothing runs the next attempt is due now, and what follows keeps its
// distance to it.
func (d *Dial) step(now time.Time) {
	if d.running == 0 && d.next < len(d.all) {
		if early := d.due(d.next).Sub(now); early > 0 {
			d.ahead += early
		}
	}
	for d.next < len(d.all) && d.running < MaxParallel && !now.Before(d.due(d.next)) {
		a := &d.all[d.next]
		a.state = running
		timeout := or(d.cfg.Each, 15*time.Second)
		if a.Near {
			timeout = min(timeout, or(d.cfg.Near, 5*time.Second))
		}
		d.events = append(d.events, Start{N: d.next, Addr: a.Addr, Timeout: timeout})
		d.next++
		d.running++
	}
	if d.running == 0 && d.next == len(d.all) && !d.more {
		d.end(Ended{N: -1, Err: d.failure(nil)})
	}
}

func (d *Dial) end(e Ended) {
	d.ended = true
	for n := range d.all[:d.next] {
		if d.all[n].state == running {
			d.all[n].state = over
			d.events = append(d.events, Stop{N: n})
		}
	}
	d.running = 0
	d.events = append(d.events, e)
}
