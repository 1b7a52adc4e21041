package tcp

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
	// maxFlukes is how many connections in a row may fail before we wait. Waiting for each
	// would let a remote that aborts its connections keep the others out; never waiting would
	// spin if the fault is not with them.
	maxFlukes = 100
)

// patience says how long to wait after a failed accept.
type patience struct {
	wait time.Duration
	last time.Time
	odd  int // flukes in a row
}

// spares says that err needs no wait.
func (p *patience) spares(err error) bool {
	if !fluke(err) || p.odd == maxFlukes {
		return false
	}
	p.odd++
	return true
}

// failed gives the time to wait; first says that a new episode begins.
func (p *patience) failed(now time.Time) (wait time.Duration, first bool) {
	first = p.last.IsZero() || now.Sub(p.last) > episodeGap
	p.last = now
	p.wait = min(max(2*p.wait, firstWait), lastWait)
	return p.wait, first
}

func (p *patience) worked() { p.wait, p.odd = 0, 0 }

// temporary says that a later accept may work.
func temporary(err error) bool { return exhausted(err) || fluke(err) }

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
