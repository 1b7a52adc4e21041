package book

import (
	"slices"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/rawaddr"
	"github.com/troupe-p2p/troupe/internal/tally"
)

// Saved is a peer as it is written to a file. It says how long things live, not until when, so that
// a clock that was set does not matter.
type Saved struct {
	Peer            identity.ID
	Addrs           []SavedAddr
	Met             bool
	ProtocolVersion string
	AgentVersion    string
	Protocols       []string
	PublicKey       []byte // encoded; empty if it is not known
	// Seq is of the newest record seen. The record itself is not kept: verifying ten thousand
	// of them would hold up the start, and the peer sends it again.
	Seq uint64
}

// SavedAddr is an address of a Saved peer.
type SavedAddr struct {
	Addr   []byte
	Source Source
	// TTL is the time that is left. A pinned address has none and needs none.
	TTL time.Duration
}

// Export returns everything that is worth keeping, least recently useful first.
func (b *Book) Export(now time.Time) []Saved {
	var out []Saved
	for _, p := range b.byUse() {
		s := Saved{
			Peer: p.id, Met: p.met, Seq: p.seq,
			ProtocolVersion: p.facts.ProtocolVersion, AgentVersion: p.facts.AgentVersion, Protocols: p.facts.Protocols,
		}
		if p.facts.PublicKey != nil {
			s.PublicKey = identity.MarshalPublicKey(p.facts.PublicKey)
		}
		for _, e := range p.addrs {
			ttl := RecentTTL // while connected there is no end in sight
			switch {
			case e.source == Pinned:
				ttl = 0
			case !e.expires.IsZero():
				ttl = e.expires.Sub(now)
			}
			if ttl > 0 || e.source == Pinned {
				s.Addrs = append(s.Addrs, SavedAddr{Addr: []byte(e.raw), Source: e.source, TTL: ttl})
			}
		}
		if len(s.Addrs) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// Import takes back what Export returned, within the bounds, and returns how many peers were fit to
// be taken. A file may have been damaged: everything is checked like what a remote says.
func (b *Book) Import(now time.Time, saved []Saved) int {
	n := 0
	for _, s := range saved {
		if _, err := identity.IDFromBytes([]byte(s.Peer)); err != nil {
			continue
		}
		p := b.get(s.Peer, s.Met)
		if p == nil {
			break
		}
		for _, a := range s.Addrs {
			if _, err := rawaddr.Parse(a.Addr); err != nil || a.Source > Pinned || a.TTL <= 0 && a.Source != Pinned {
				continue
			}
			var expires time.Time
			if a.Source != Pinned {
				expires = now.Add(min(a.TTL, MaxTTL))
			}
			p.put(string(a.Addr), a.Source, expires)
		}
		p.met = p.met || s.Met
		p.seq = max(p.seq, s.Seq)
		p.facts.ProtocolVersion, p.facts.AgentVersion = text(s.ProtocolVersion), text(s.AgentVersion)
		p.facts.Protocols = b.names(s.Protocols)
		if k, err := identity.UnmarshalPublicKey(s.PublicKey); err == nil && s.Peer.MatchesKey(k) {
			p.facts.PublicKey = k
		}
		b.touch(p)
		if b.settle(p); b.peers[s.Peer] == p {
			n++
		}
	}
	return n
}

// Repair makes the book whole after its actor has crashed in the middle of a change: everything
// that is derived is made anew, and the peers that are connected are those given.
func (b *Book) Repair(now time.Time, connected []identity.ID) {
	all := b.byUse()
	b.known, b.met, b.due, b.costs = order{}, order{}, nil, tally.Tally[identity.ID]{}
	b.addrs, b.bytes, b.peers = 0, 0, make(map[identity.ID]*peer, len(all))
	for _, p := range all {
		p.in, p.prev, p.next, p.pos, p.countedAddrs, p.countedCost = nil, nil, nil, 0, 0, 0
		b.peers[p.id] = p
	}
	here := make(map[identity.ID]bool, len(connected))
	for _, id := range connected {
		here[id] = true
	}
	for _, p := range all {
		if p.connected && !here[p.id] {
			b.part(now, p)
		}
		p.drop(func(e entry) bool { return !e.live(now) })
		b.update(p)
	}
	for _, p := range all {
		if b.peers[p.id] == p {
			b.settle(p)
		}
	}
	for _, id := range connected {
		_ = b.Connected(now, id) // a full book has no room for it either way
	}
}

// byUse returns all peers, least recently useful first.
func (b *Book) byUse() []*peer {
	all := make([]*peer, 0, len(b.peers))
	for _, p := range b.peers { // order-free: sorted below
		all = append(all, p)
	}
	slices.SortFunc(all, func(p, q *peer) int {
		if p.used != q.used {
			if p.used < q.used {
				return -1
			}
			return 1
		}
		if p.id < q.id {
			return -1
		}
		return 1
	})
	return all
}
