package book

import (
	"slices"
	"time"

	"github.com/troupe-p2p/troupe/identity"

	ma "github.com/multiformats/go-multiaddr"
)

// Learn takes addresses of a peer that somebody else told, for a lifetime of at most MaxTTL. It
// returns how many of them are known now.
func (b *Book) Learn(now time.Time, id identity.ID, addrs []ma.Multiaddr, ttl time.Duration) int {
	if ttl <= 0 {
		return 0
	}
	return b.add(now, id, addrs, Told, now.Add(min(ttl, MaxTTL)))
}

// Pin takes addresses of a peer from the user, for as long as the book lives or until Unpin.
func (b *Book) Pin(now time.Time, id identity.ID, addrs []ma.Multiaddr) int {
	return b.add(now, id, addrs, Pinned, time.Time{})
}

// Unpin lets the user's addresses of a peer expire like those of any other peer.
func (b *Book) Unpin(now time.Time, id identity.ID) {
	p := b.peers[id]
	if p == nil {
		return
	}
	for i := range p.addrs {
		if e := &p.addrs[i]; e.source == Pinned {
			e.source, e.expires = Told, now.Add(RecentTTL)
		}
	}
	b.settle(p)
}

func (b *Book) add(now time.Time, id identity.ID, addrs []ma.Multiaddr, source Source, expires time.Time) int {
	if id == "" || len(addrs) == 0 {
		return 0
	}
	p := b.get(id, false)
	if p == nil {
		b.stats.Refused += uint64(len(addrs))
		return 0
	}
	p.drop(func(e entry) bool { return !e.live(now) })
	for _, a := range addrs {
		if len(a) > 0 {
			p.put(string(a.Bytes()), source, expires)
		}
	}
	b.settle(p)
	// Counted at the end: a later address, or another peer, may have taken a place.
	kept := 0
	for _, a := range addrs {
		if b.peers[id] == p && slices.ContainsFunc(p.addrs, func(e entry) bool { return e.raw == string(a.Bytes()) }) {
			kept++
		}
	}
	b.stats.Refused += uint64(len(addrs) - kept)
	return kept
}

// Connected says that there is a connection with the peer now.
func (b *Book) Connected(now time.Time, id identity.ID) error {
	p := b.get(id, true)
	if p == nil {
		return ErrFull
	}
	p.connected, p.met = true, true
	for i := range p.addrs {
		if e := &p.addrs[i]; e.source >= Said {
			e.expires = time.Time{}
		}
	}
	b.touch(p)
	b.settle(p)
	return nil
}

// Disconnected says that there is none any more.
func (b *Book) Disconnected(now time.Time, id identity.ID) {
	p := b.peers[id]
	if p == nil || !p.connected {
		return
	}
	b.part(now, p)
	b.touch(p)
	b.settle(p)
}

// part lets what lived with the connection live for a while.
func (b *Book) part(now time.Time, p *peer) {
	p.connected = false
	p.keep = now.Add(RecentTTL)
	for i := range p.addrs {
		if e := &p.addrs[i]; e.source != Pinned && e.expires.IsZero() {
			e.expires = p.keep
		}
	}
	for n := len(p.addrs); n > MaxAddrs; n-- {
		p.shrink(Said)
	}
}

// Worked says that a dial to a known address of the peer has succeeded: it lives on, and the peer
// is worth remembering. An address that nobody has told us is not added: who dials from behind a
// NAT has a new one each time.
func (b *Book) Worked(now time.Time, id identity.ID, addr ma.Multiaddr) {
	p := b.peers[id]
	if p == nil {
		return
	}
	raw := string(addr.Bytes())
	for i := range p.addrs {
		if e := &p.addrs[i]; e.raw == raw && !e.expires.IsZero() && e.expires.Before(now.Add(RecentTTL)) {
			e.expires = now.Add(RecentTTL)
		}
	}
	b.touch(p)
	b.settle(p)
}

// Addrs returns what is known, the most trustworthy first and the newest first among equals. Asking
// does not make a peer useful: remotes ask too.
func (b *Book) Addrs(now time.Time, id identity.ID) []Address {
	p := b.peers[id]
	if p == nil {
		return nil
	}
	var live []entry
	for _, e := range p.addrs {
		if e.live(now) {
			live = append(live, e)
		}
	}
	slices.SortStableFunc(live, func(e, f entry) int {
		switch {
		case f.less(e):
			return -1
		case e.less(f):
			return 1
		}
		return 0
	})
	out := make([]Address, 0, len(live))
	for _, e := range live {
		if a, ok := parse(e.raw); ok {
			out = append(out, Address{Addr: a, Source: e.source, Expires: e.expires})
		}
	}
	return out
}

// Peers returns the peers of the book in a fixed order.
func (b *Book) Peers() []identity.ID {
	ids := make([]identity.ID, 0, len(b.peers))
	for id := range b.peers { // order-free: sorted below
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Forget removes a peer. One that is connected keeps its place and loses what is known of it.
func (b *Book) Forget(id identity.ID) {
	p := b.peers[id]
	switch {
	case p == nil:
	case p.connected:
		p.addrs, p.facts = nil, Facts{}
		b.settle(p)
	default:
		b.remove(p)
	}
}
