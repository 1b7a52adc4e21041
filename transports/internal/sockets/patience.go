package sockets

import (
	"errors"
	"net"
	"syscall"
	"time"
)

const (
	firstWait = 5 * time.Millisecond
	// lastWait costs three tries a second while there are no descriptors, and has the node
	// accept again well within the second after they came back.
	lastWait = 320 * time.Millisecond
	// episodeGap without a failure ends an episode. It is longer than lastWait, so that one
	// shortage is one episode however often a descriptor comes free in between.
	episodeGap = time.Second
	// MaxFlukes is how many connections in a row may fail before we wait. Waiting for each
	// would let a remote that aborts its connections keep the others out; never waiting would
	// spin if the fault is not with them.
	MaxFlukes = 100
)

// Patience says how long to wait after a failed accept.
type Patience struct {
	wait time.Duration
	last time.Time
	odd  int // flukes in a row
}

// Spares says that err needs no wait.
func (p *Patience) Spares(err error) bool {
	if !fluke(err) || p.odd == MaxFlukes {
		return false
	}
	p.odd++
	return true
}

// Failed gives the time to wait; first says that a new episode begins.
func (p *Patience) Failed(now time.Time) (wait time.Duration, first bool) {
	first = p.last.IsZero() || now.Sub(p.last) > episodeGap
	p.last = now
	p.wait = min(max(2*p.wait, firstWait), lastWait)
	return p.wait, first
}

// Worked is for an accept that did not fail.
func (p *Patience) Worked() { p.wait, p.odd = 0, 0 }

// Temporary says that a later accept may work.
func Temporary(err error) bool { return Exhausted(err) || fluke(err) }

// fluke says that the error is about one connection: accept(2) reports on Linux what had gone
// wrong with the connection that it was about to return.
func fluke(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	for _, e := range flukes {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

var flukes = []error{
	syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR, syscall.EAGAIN, syscall.ETIMEDOUT, syscall.EPERM,
	syscall.EPROTO, syscall.ENOPROTOOPT, syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EHOSTDOWN,
	syscall.EOPNOTSUPP,
}
