package dialplan

import (
	"fmt"
	"time"

	"github.com/troupe-p2p/troupe/addrs"

	ma "github.com/multiformats/go-multiaddr"
)

const (
	// BlackHoleWindow is how many of the last dials are looked at, and how seldom one is let through
	// to a class of addresses that swallows them. go-libp2p has the same two numbers.
	BlackHoleWindow = 100
	blackHoleLeast  = 5 // successes among them, for the class to be taken for alive
	// loserPatience is how long an attempt must have run for its end by the success of another to
	// count as a failure: with RFC 8305's head start it would have won, had anybody been there.
	loserPatience = publicStep
)

// Class is a kind of public address that some networks swallow without a word.
type Class uint8

// The classes. An address may be of both.
const (
	UDP Class = iota
	IPv6
	holes
)

func (c Class) String() string {
	if c == UDP {
		return "UDP"
	}
	return "IPv6"
}

// BlackHoleError leaves out an address of a class of which the last dials have failed almost all.
type BlackHoleError struct {
	Class        Class
	Worked, Last int // so many of the last so many dials
	Next         int // the attempt from now on that is let through to find out
}

func (e *BlackHoleError) Error() string {
	return fmt.Sprintf("dial: local: the network seems to swallow %v: %d of the last %d dials worked; the next one is tried after %d more", e.Class, e.Worked, e.Last, e.Next)
}

// BlackHoles finds out which classes of public addresses lead nowhere from here, so that dials do not wait
// for them.
//
//	Allow    an attempt is to begin, or why not
//	Handle   how one has ended
//
// A class is being probed until BlackHoleWindow outcomes are known: everything goes. It is open while 5 of
// the last 100 dials have worked, and closed else; then one attempt in a hundred is let through, and
// opens the class for another 100 outcomes if it works. Addresses of this network say nothing of the
// others, and are not counted. The zero BlackHoles has seen nothing. It is owned by one actor.
type BlackHoles struct{ of [holes]window }

// window is what is known of one class.
type window struct {
	past   [BlackHoleWindow]bool // the last outcomes, in a ring
	at, n  int
	worked int
	asked  int // attempts since the class was closed
}

func (w *window) closed() bool { return w.n == BlackHoleWindow && w.worked < blackHoleLeast }

// Outcome is how an attempt has ended.
type Outcome uint8

// The outcomes.
const (
	// Answered: somebody was there, whatever came of it.
	Answered Outcome = iota
	// Failed: nobody was.
	Failed
	// Lost: it was stopped because another one had won.
	Lost
)

// Allow says whether an attempt may begin.
func (b *BlackHoles) Allow(a ma.Multiaddr) error {
	var err error
	probe := false
	for c := range holes {
		w := &b.of[c]
		if !in(a, c) {
			continue
		}
		if !w.closed() {
			continue
		}
		if w.asked++; w.asked >= BlackHoleWindow {
			w.asked = 0
			probe = true
			continue
		}
		if err == nil {
			err = &BlackHoleError{Class: c, Worked: w.worked, Last: w.n, Next: BlackHoleWindow - w.asked - 1}
		}
	}
	if probe {
		return nil // its outcome counts for every class of it
	}
	return err
}

// Handle counts the end of an attempt that took so long.
func (b *BlackHoles) Handle(a ma.Multiaddr, o Outcome, took time.Duration) {
	if o == Lost && took < loserPatience {
		return // who was not given time proves nothing
	}
	for c := range holes {
		if in(a, c) {
			b.of[c].add(o == Answered)
		}
	}
}

// Closed says that a class is taken for a black hole.
func (b *BlackHoles) Closed(c Class) bool { return b.of[c].closed() }

func (w *window) add(worked bool) {
	if worked && w.closed() {
		*w = window{} // the network has changed: all that is known is of the old one
	}
	if w.n == BlackHoleWindow {
		if w.past[w.at] {
			w.worked--
		}
	} else {
		w.n++
	}
	w.past[w.at] = worked
	if worked {
		w.worked++
	}
	w.at = (w.at + 1) % BlackHoleWindow
}

// in says whether a public address is of a class. A relayed one is of the relay's.
func in(a ma.Multiaddr, c Class) bool {
	if addrs.ScopeOf(a) != addrs.Public {
		return false
	}
	code := ma.P_IP6
	if c == UDP {
		code = ma.P_UDP
	}
	for i, p := range a {
		if i < 2 && p.Code() == code {
			return true
		}
	}
	return false
}
