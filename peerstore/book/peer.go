package book

import (
	"slices"
	"strings"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/clean"

	ma "github.com/multiformats/go-multiaddr"
)

// Estimated costs in memory beside the bytes themselves.
const (
	peerCost  = 512
	addrCost  = 64
	nameCost  = 32
	recordFat = 64
)

// peer is one entry of the book.
type peer struct {
	id    identity.ID
	addrs []entry // in order of arrival
	facts Facts
	seq   uint64 // of the newest record seen; outlives the record

	connected bool
	pinned    bool
	met       bool
	keep      time.Time // without addresses it is kept until then

	cost int
	// What the totals of the book hold of it.
	countedAddrs, countedCost int

	wake time.Time // when something expires; zero: nothing does
	pos  int       // in Book.due, from 1; 0: not there
	used uint64    // larger: more recently useful
	in   *order
	prev *peer
	next *peer
}

// entry is an address. It is kept as bytes, which take a quarter of what the parsed form does.
type entry struct {
	raw     string
	source  Source
	expires time.Time // zero: lives with the connection or the pin
}

func (e entry) live(now time.Time) bool { return e.expires.IsZero() || now.Before(e.expires) }

// less says that e goes before f when there is no room for both: hearsay before the peer's own
// word, then what expires first.
func (e entry) less(f entry) bool {
	if e.source != f.source {
		return e.source < f.source
	}
	if e.expires.IsZero() || f.expires.IsZero() {
		return !e.expires.IsZero() && f.expires.IsZero()
	}
	return e.expires.Before(f.expires)
}

// put adds an address or improves the one that is there. It reports whether the peer has it now.
func (p *peer) put(raw string, source Source, expires time.Time) bool {
	fresh := entry{raw, source, expires}
	for i := range p.addrs {
		e := &p.addrs[i]
		if e.raw != raw {
			continue
		}
		// A longer life may not come with a lower rank: who gossips an address cannot
		// make it outlive the connection it came from.
		switch {
		case source > e.source:
			*e = fresh
		case source == e.source && !e.expires.IsZero() && (expires.IsZero() || e.expires.Before(expires)):
			e.expires = expires
		}
		return true
	}
	p.addrs = append(p.addrs, fresh)
	return p.shrink(source) != raw
}

// shrink drops one address if there are more of this kind than may be, and returns it.
func (p *peer) shrink(source Source) (dropped string) {
	limit, own := MaxAddrs, source >= Said
	if own && p.connected {
		limit = MaxOwnAddrs
	}
	// Hearsay about a connected peer has a limit of its own.
	kind := func(e entry) bool { return !p.connected || (e.source >= Said) == own }
	n := 0
	for _, e := range p.addrs {
		if kind(e) {
			n++
		}
	}
	worst := p.worst(kind)
	if n <= limit || worst < 0 {
		return ""
	}
	dropped = p.addrs[worst].raw
	p.addrs = slices.Delete(p.addrs, worst, worst+1)
	return dropped
}

// drop removes the addresses that gone is true for.
func (p *peer) drop(gone func(entry) bool) {
	p.addrs = slices.DeleteFunc(p.addrs, gone)
	if len(p.addrs) == 0 {
		p.addrs = nil
	}
}

// measure brings up to date what is derived from the rest.
func (p *peer) measure() {
	p.cost = peerCost + len(p.facts.AgentVersion) + len(p.facts.ProtocolVersion)
	p.wake, p.pinned = time.Time{}, false
	for _, e := range p.addrs {
		p.cost += addrCost + len(e.raw)
		p.pinned = p.pinned || e.source == Pinned
		if !e.expires.IsZero() && (p.wake.IsZero() || e.expires.Before(p.wake)) {
			p.wake = e.expires
		}
	}
	for _, name := range p.facts.Protocols {
		p.cost += nameCost + len(name)
	}
	if len(p.facts.Sealed) > 0 {
		p.cost += recordFat + len(p.facts.Sealed)
	}
	if len(p.addrs) == 0 && !p.connected {
		p.wake = p.keep
	}
}

// trim makes p cost no more than most, if it can: names first, then the record, then addresses.
func (p *peer) trim(most int) {
	for _, cut := range []func(){
		func() {},
		func() { p.facts.Protocols = nil },
		func() { p.facts.Sealed = nil },
		func() { p.facts.AgentVersion, p.facts.ProtocolVersion = "", "" },
	} {
		cut()
		if p.measure(); p.cost <= most {
			return
		}
	}
	for p.cost > most && p.dropWorst() {
		p.measure()
	}
}

// dropWorst removes the least important address; false if there is none but pinned ones.
func (p *peer) dropWorst() bool {
	worst := p.worst(func(entry) bool { return true })
	if worst < 0 {
		return false
	}
	p.addrs = slices.Delete(p.addrs, worst, worst+1)
	return true
}

// worst is the least important of the addresses that of is true for and that are not pinned. Of
// equals it is the last: peers list first what they like best.
func (p *peer) worst(of func(entry) bool) int {
	worst := -1
	for i, e := range p.addrs {
		if of(e) && e.source != Pinned && (worst < 0 || !p.addrs[worst].less(e)) {
			worst = i
		}
	}
	return worst
}

// text makes a bounded text that can be shown and holds nothing else alive.
func text(s string) string { return strings.Clone(clean.Text(s, maxText)) }

func parse(raw string) (ma.Multiaddr, bool) {
	a, err := ma.NewMultiaddrBytes([]byte(raw))
	return a, err == nil
}
