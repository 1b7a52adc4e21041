package simnet

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Kind of a packet.
type Kind uint8

// The kinds. All but Datagram belong to streams.
const (
	Syn    Kind = iota + 1 // asks for a stream
	SynAck                 // grants it
	Ack                    // the dialler has the grant: the stream is open at both ends
	Data
	Fin   // nothing follows
	Reset // the sender knows no such stream, or ends it at once
	Datagram
)

var kinds = [...]string{"none", "syn", "synack", "ack", "data", "fin", "reset", "datagram"}

func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return "unknown"
}

// Segment is a packet that is about to travel, as fault rules see it. What a kernel sends again is
// not shown again, but for Syn and SynAck.
type Segment struct {
	Kind     Kind
	From, To string         // hosts; To is a guess while a NAT with several hosts has not decided
	Src, Dst netip.AddrPort // behind the sender's NAT
	Port     uint16         // Dst's
	Stream   uint64         // its number; 0 for datagrams and for resets by who knows no stream
	Offset   int64          // of the payload in what its side of the stream sends
	Payload  []byte         // read only, and only during the call
}

// Action is what a fault does.
type Action uint8

// The actions.
const (
	// Drop loses it: a datagram or a Reset for good, a Syn until the dialler asks again, anything
	// else of a stream until its sender sends it again.
	Drop Action = iota + 1
	// Delay makes it arrive later by Fault.Delay. What follows on the same stream waits behind it.
	Delay
	// Break resets the stream at both ends, as a middlebox would, in place of the segment. It
	// ignores datagrams.
	Break
	// Duplicate makes a datagram arrive twice. It ignores streams.
	Duplicate
)

var actions = [...]string{"nothing", "drop", "delay", "break", "duplicate"}

func (a Action) String() string {
	if int(a) < len(actions) {
		return actions[a]
	}
	return "unknown"
}

// Fault is an exact rule.
type Fault struct {
	// Name is shown in dumps.
	Name string
	// Match chooses packets. It must depend on nothing but its argument and its own count.
	Match func(Segment) bool
	// K is which of those that match is hit, from 1. Default 0: each.
	K int
	// Do is what happens to it.
	Do Action
	// Delay is for the action of that name.
	Delay time.Duration
}

// Rule is a fault that was added.
type Rule struct {
	Fault
	n       *Network
	matched int
	hits    int
}

// Matched is how many packets have matched, hit or not.
func (r *Rule) Matched() int { return r.matched }

// Hits is how often the fault was done.
func (r *Rule) Hits() int { return r.hits }

// Remove ends the rule.
func (r *Rule) Remove() {
	for i, o := range r.n.rules {
		if o == r {
			r.n.rules = append(r.n.rules[:i:i], r.n.rules[i+1:]...)
			return
		}
	}
}

// AddFault adds a rule. If several hit one packet, each does what it says.
func (n *Network) AddFault(f Fault) (*Rule, error) {
	switch {
	case f.Match == nil:
		return nil, errors.New("simnet: a fault without Match")
	case f.Do < Drop || f.Do > Duplicate:
		return nil, fmt.Errorf("simnet: fault %q does %d, which is no action", f.Name, f.Do)
	case f.K < 0:
		return nil, fmt.Errorf("simnet: fault %q hits packet %d: they are counted from 1", f.Name, f.K)
	case (f.Do == Delay) != (f.Delay > 0):
		return nil, fmt.Errorf("simnet: fault %q does %s with a delay of %v", f.Name, f.Do, f.Delay)
	}
	r := &Rule{Fault: f, n: n}
	n.rules = append(n.rules, r)
	return r, nil
}

// verdict is what all rules together do to a packet.
type verdict struct {
	drop, reset, double bool
	delay               time.Duration
}

func (n *Network) judge(kind Kind, from *Host, w wire, stream uint64, offset int64, payload []byte) (v verdict) {
	if len(n.rules) == 0 {
		return v
	}
	s := Segment{
		Kind: kind, From: from.name, Src: w.src, Dst: w.dst, Port: w.dst.Port(),
		Stream: stream, Offset: offset, Payload: payload,
	}
	if w.to != nil {
		s.To = w.to.name
	}
	for _, r := range n.rules {
		switch {
		case r.Do == Duplicate && kind != Datagram, r.Do == Break && kind == Datagram:
			continue
		case !r.Match(s):
			continue
		}
		r.matched++
		if r.K > 0 && r.K != r.matched {
			continue
		}
		r.hits++
		switch r.Do {
		case Drop:
			v.drop = true
		case Delay:
			v.delay += r.Delay
		case Break:
			v.reset = true
		case Duplicate:
			v.double = true
		}
	}
	return v
}
