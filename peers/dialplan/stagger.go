package dialplan

import (
	"cmp"
	"slices"
	"time"

	"github.com/troupe-p2p/troupe/addrs"

	ma "github.com/multiformats/go-multiaddr"
)

// The classes of transports, in the order of dialling.
const (
	local = iota // in this process or machine: there at once
	quic
	tcp
	other
	classes
)

type candidate struct {
	addr    ma.Multiaddr
	class   int
	variant int // within the class: plain before wrapped
	v4      bool
	near    bool
	relayed bool
}

func classify(a ma.Multiaddr) candidate {
	c := candidate{addr: a}
	hop := a
	if relay, _, ok := addrs.SplitCircuit(a); ok {
		c.relayed, hop = true, relay
	}
	switch addrs.Transport(hop) {
	case "memory", "unix":
		c.class = local
	case "quic-v1":
		c.class = quic
	case "webtransport", "quic":
		c.class, c.variant = quic, 1
	case "tcp":
		c.class = tcp
	case "ws", "wss":
		c.class, c.variant = tcp, 1
	default:
		c.class = other
	}
	if ip, ok := addrs.IP(hop); ok {
		c.v4 = ip.Is4()
	}
	switch addrs.ScopeOf(hop) {
	case addrs.InProcess, addrs.Loopback, addrs.LinkLocal, addrs.Private:
		c.near = true
	default:
	}
	return c
}

func schedule(found []candidate) []Attempt {
	var groups [3][]candidate // near, public, relayed
	for _, c := range found {
		switch {
		case c.relayed:
			groups[2] = append(groups[2], c)
		case c.near:
			groups[0] = append(groups[0], c)
		default:
			groups[1] = append(groups[1], c)
		}
	}
	plan := stagger(groups[0], privateStep, privateRest, 0)
	plan = append(plan, stagger(groups[1], publicStep, publicRest, 0)...)
	var wait time.Duration
	switch {
	case len(groups[1]) > 0:
		wait = relayDelay
	case len(groups[0]) > 0:
		wait = relayLocal
	}
	plan = append(plan, stagger(groups[2], publicStep, publicRest, wait)...)
	slices.SortStableFunc(plan, func(a, b Attempt) int { return cmp.Compare(a.Delay, b.Delay) })
	return plan
}

// stagger gives the candidates of one group their delays from base on.
func stagger(group []candidate, step, rest, base time.Duration) []Attempt {
	var byClass [classes][]candidate
	for _, c := range group {
		byClass[c.class] = append(byClass[c.class], c)
	}
	var plan []Attempt
	next := base // when the class may begin
	for class, list := range byClass {
		if len(list) == 0 {
			continue
		}
		if class == other && len(plan) > 0 {
			next += rest - step
		}
		for i, c := range eyeballs(list) {
			if i == 1 || i == 2 && list[1].v4 != list[0].v4 {
				next += step
			}
			plan = append(plan, Attempt{Addr: c.addr, Delay: next, Near: c.near && !c.relayed})
		}
		next += step
	}
	return plan
}

// eyeballs sorts one class in place: plain variants first and IPv6 before IPv4, but the best
// address of the other family second.
func eyeballs(list []candidate) []candidate {
	slices.SortStableFunc(list, func(a, b candidate) int {
		switch {
		case a.variant != b.variant:
			return a.variant - b.variant
		case a.v4 == b.v4:
			return 0
		case b.v4:
			return -1
		}
		return 1
	})
	for i := 2; i < len(list) && list[1].v4 == list[0].v4; i++ {
		if list[i].v4 != list[0].v4 {
			c := list[i]
			copy(list[2:i+1], list[1:i])
			list[1] = c
		}
	}
	return list
}
