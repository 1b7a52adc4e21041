package message

import (
	"slices"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

// Delta is how one Info differs from an earlier one.
type Delta struct {
	// Added and Removed are protocols, sorted.
	Added, Removed []string
	// Addrs says that the listen addresses or the record differ, Versions that a version does.
	Addrs, Versions bool
}

// Empty reports whether there is nothing to tell.
func (d Delta) Empty() bool {
	return len(d.Added) == 0 && len(d.Removed) == 0 && !d.Addrs && !d.Versions
}

// Diff compares two Infos of one node: our own, to see whether a push is due, or a peer's, to say
// what it has changed. What a node observes is not part of it.
func Diff(before, after Info) Delta {
	was, is := sorted(before.Protocols), sorted(after.Protocols)
	return Delta{
		Added:    minus(is, was),
		Removed:  minus(was, is),
		Addrs:    !slices.Equal(raw(before.Addrs()), raw(after.Addrs())) || string(before.Record) != string(after.Record),
		Versions: before.AgentVersion != after.AgentVersion || before.ProtocolVersion != after.ProtocolVersion,
	}
}

// Update applies a push to what is known of a peer. identify/README.md: "missing fields should be
// ignored, as peers may choose to send partial updates".
func Update(known, push Info) Info {
	if push.PublicKey == nil {
		push.PublicKey = known.PublicKey
	}
	if push.ProtocolVersion == "" {
		push.ProtocolVersion = known.ProtocolVersion
	}
	if push.AgentVersion == "" {
		push.AgentVersion = known.AgentVersion
	}
	if push.Protocols == nil {
		push.Protocols = known.Protocols
	}
	if push.Observed == nil {
		push.Observed = known.Observed
	}
	// A newer list of addresses replaces an older record, which would hide it.
	switch {
	case push.Certified != nil && known.Certified != nil && push.Certified.Seq < known.Certified.Seq:
		push.Certified, push.Record = known.Certified, known.Record
	case push.Certified == nil && push.ListenAddrs == nil:
		push.Certified, push.Record = known.Certified, known.Record
	}
	if push.ListenAddrs == nil {
		push.ListenAddrs = known.ListenAddrs
	}
	return push
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}

// minus returns what is in a and not in b; both are sorted and without doubles.
func minus(a, b []string) []string {
	var out []string
	for _, s := range a {
		for len(b) > 0 && b[0] < s {
			b = b[1:]
		}
		if len(b) == 0 || b[0] != s {
			out = append(out, s)
		}
	}
	return out
}

func raw(addrs []ma.Multiaddr) []string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = string(a.Bytes())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

const (
	// MaxPushes is how many pushes we send at the same time, as go-libp2p does: a change of
	// address must not open a stream to every peer at once.
	MaxPushes = 32

	// pushBurst and pushEvery bound the pushes taken from one peer: so many at once, and one
	// more so often. They stop a peer that makes us verify signatures all day.
	pushBurst = 5
	pushEvery = 5 * time.Second
)

// Pace says which pushes of one peer are read. The zero value is ready.
type Pace struct {
	free time.Time // when all of the burst is there again
}

// Allow reports whether a push that arrives now is read; if not, its stream is reset.
func (p *Pace) Allow(now time.Time) bool {
	if p.free.Before(now) {
		p.free = now
	}
	next := p.free.Add(pushEvery)
	if next.Sub(now) > pushBurst*pushEvery {
		return false
	}
	p.free = next
	return true
}
