package book

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/clean"

	ma "github.com/multiformats/go-multiaddr"
)

// Facts is what a peer says about itself in identify. It is shared: nobody changes the slices.
type Facts struct {
	PublicKey       identity.PublicKey
	ProtocolVersion string
	AgentVersion    string
	Protocols       []string
	// Sealed is the signed peer record as it came, nil if there is none or no room for it.
	Sealed []byte
}

// Statement is what identify brings: Facts and addresses.
type Statement struct {
	Facts
	// Addrs are the listen addresses without a signature.
	Addrs []ma.Multiaddr
	// Record is the opened Facts.Sealed. If it is nil and there is a Sealed, it is opened here.
	Record *identity.PeerRecord
}

// Identified takes what a connected peer says about itself. It replaces what the peer said before;
// the addresses of a record replace those without. A record that is not newer than the known one
// is left out, and everything else is taken.
func (b *Book) Identified(now time.Time, id identity.ID, s Statement) error {
	if s.Record == nil && len(s.Sealed) > 0 {
		r, _, err := identity.OpenPeerRecord(s.Sealed)
		if err != nil {
			b.stats.Refused++
			return fmt.Errorf("remote: %w", err)
		}
		s.Record = &r
	}
	if s.Record != nil && s.Record.ID != id {
		b.stats.Refused++
		return ErrForeignRecord
	}
	p := b.get(id, true)
	if p == nil {
		b.stats.Refused++
		return ErrFull
	}
	p.met = true
	sealed := p.facts.Sealed
	p.facts = Facts{
		PublicKey:       s.PublicKey,
		ProtocolVersion: text(s.ProtocolVersion),
		AgentVersion:    text(s.AgentVersion),
		Protocols:       b.names(s.Protocols),
		Sealed:          sealed,
	}
	var expires time.Time
	if !p.connected {
		p.keep = now.Add(RecentTTL)
		expires = p.keep
	}
	var err error
	switch {
	case s.Record == nil:
		p.facts.Sealed = nil
		p.replace(s.Addrs, Said, expires)
	case s.Record.Seq > p.seq || p.seq == 0:
		p.certify(*s.Record, s.Sealed, expires)
	case s.Record.Seq == p.seq && p.certified():
		// The same record again, as after every reconnect: its addresses live on.
		for i := range p.addrs {
			if e := &p.addrs[i]; e.source == Certified {
				e.expires = expires
			}
		}
	case s.Record.Seq == p.seq:
		p.certify(*s.Record, s.Sealed, expires)
	default:
		b.stats.Refused++
		err = ErrOldRecord
	}
	b.touch(p)
	b.settle(p)
	return err
}

// Certify takes a signed record of a peer that came some other way than identify. OpenPeerRecord
// has verified that its peer signed it.
func (b *Book) Certify(now time.Time, id identity.ID, r identity.PeerRecord, sealed []byte, ttl time.Duration) error {
	if r.ID != id {
		b.stats.Refused++
		return ErrForeignRecord
	}
	if p := b.peers[id]; p != nil && (r.Seq < p.seq || r.Seq == p.seq && p.certified()) {
		b.stats.Refused++
		return ErrOldRecord
	}
	p := b.get(id, false)
	if p == nil {
		b.stats.Refused++
		return ErrFull
	}
	var expires time.Time
	if !p.connected {
		expires = now.Add(min(ttl, MaxTTL))
	}
	p.certify(r, sealed, expires)
	b.settle(p)
	return nil
}

func (p *peer) certified() bool {
	return slices.ContainsFunc(p.addrs, func(e entry) bool { return e.source == Certified })
}

func (p *peer) certify(r identity.PeerRecord, sealed []byte, expires time.Time) {
	p.seq = r.Seq
	p.facts.Sealed = nil
	if len(sealed) > 0 && len(sealed) <= identity.MaxEnvelope {
		p.facts.Sealed = slices.Clone(sealed)
	}
	p.replace(r.Addrs, Certified, expires)
}

// replace makes addrs all that the peer itself says. What it no longer says is forgotten, so that
// addresses that it has left do not linger (go-libp2p issue 3487).
func (p *peer) replace(addrs []ma.Multiaddr, source Source, expires time.Time) {
	p.drop(func(e entry) bool { return e.source == Said || e.source == Certified })
	for i, a := range addrs {
		if i == MaxOwnAddrs {
			break
		}
		if len(a) > 0 {
			p.put(string(a.Bytes()), source, expires)
		}
	}
}

// names copies what fits of a list of protocols. Peers of one make say the same one after another:
// they share the list.
func (b *Book) names(protocols []string) []string {
	out := make([]string, 0, min(len(protocols), MaxProtocols))
	for _, name := range protocols {
		if len(out) == MaxProtocols {
			break
		}
		if len(name) > 0 && len(name) <= maxText && clean.Is(name) {
			out = append(out, name)
		}
	}
	switch {
	case len(out) == 0:
		return nil
	case !slices.Equal(out, b.lastNames):
		b.lastNames = slices.Clip(out)
	}
	return b.lastNames
}

// Facts returns what the peer says about itself.
func (b *Book) Facts(id identity.ID) (Facts, bool) {
	p := b.peers[id]
	if p == nil {
		return Facts{}, false
	}
	return p.facts, true
}

// Supports returns the first of the protocols that the peer speaks. A peer that has not said what
// it speaks supports none that we know of.
func (b *Book) Supports(id identity.ID, protocols ...string) (string, bool) {
	if p := b.peers[id]; p != nil {
		for _, want := range protocols {
			if slices.Contains(p.facts.Protocols, want) {
				return want, true
			}
		}
	}
	return "", false
}

// IsConnected reports what Connected and Disconnected said last.
func (b *Book) IsConnected(id identity.ID) bool {
	p := b.peers[id]
	return p != nil && p.connected
}
