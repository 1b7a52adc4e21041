package message

import (
	"bytes"
	"slices"

	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/clean"

	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	fieldPublicKey       = 1
	fieldListenAddrs     = 2
	fieldProtocols       = 3
	fieldObserved        = 4
	fieldProtocolVersion = 5
	fieldAgentVersion    = 6
	fieldRecord          = 8
)

// draft merges the parts. The fields are read one by one rather than into a generated struct,
// because 80 KiB of parts can hold 40,000 empty strings: what is too much is never stored.
type draft struct {
	info      Info
	key       []byte
	observed  []byte
	protocols map[string]struct{} // to find doubles among more than few; len <= MaxProtocols
	seen      map[string]struct{} // addresses, to find doubles; len <= MaxAddrs
}

// merge takes in one part, which it does not keep.
func (d *draft) merge(part []byte, peer identity.ID) error {
	for len(part) > 0 {
		num, typ, n := protowire.ConsumeTag(part)
		if n < 0 {
			return ErrMalformed
		}
		part = part[n:]
		if typ == protowire.StartGroupType || typ == protowire.EndGroupType {
			return ErrMalformed // no version of the message ever had a group
		}
		if typ != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(num, typ, part); n < 0 {
				return ErrMalformed
			}
			part = part[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(part)
		if n < 0 {
			return ErrMalformed
		}
		part = part[n:]
		switch num {
		case fieldPublicKey:
			d.key = bytes.Clone(value)
		case fieldObserved:
			d.observed = bytes.Clone(value)
		case fieldRecord:
			d.info.Record = bytes.Clone(value)
		case fieldProtocolVersion:
			d.info.ProtocolVersion = version(value)
		case fieldAgentVersion:
			d.info.AgentVersion = version(value)
		case fieldProtocols:
			d.protocol(value)
		case fieldListenAddrs:
			d.addr(value, peer)
		}
	}
	return nil
}

func (d *draft) protocol(name []byte) {
	names := d.info.Protocols
	if len(names) >= MaxProtocols || !validProtocol(name) || d.named(name) {
		d.info.Dropped++
		return
	}
	if len(names) == 0 {
		names = make([]string, 0, few)
	}
	s := string(name)
	d.info.Protocols = append(names, s)
	switch n := len(d.info.Protocols); {
	case d.protocols != nil:
		d.protocols[s] = struct{}{}
	case n > few:
		d.protocols = make(map[string]struct{}, 2*n)
		for _, s := range d.info.Protocols {
			d.protocols[s] = struct{}{}
		}
	}
}

// few names are looked through one by one.
const few = 8

func (d *draft) named(name []byte) bool {
	if d.protocols != nil {
		_, ok := d.protocols[string(name)]
		return ok
	}
	return slices.ContainsFunc(d.info.Protocols, func(s string) bool { return s == string(name) })
}

func (d *draft) addr(raw []byte, peer identity.ID) {
	_, double := d.seen[string(raw)]
	if double || len(d.seen) >= MaxAddrs {
		d.info.Dropped++
		return
	}
	if d.seen == nil {
		d.seen = make(map[string]struct{})
	}
	d.seen[string(raw)] = struct{}{} // also if it is malformed: it costs no second look then
	a, err := addrs.Parse(raw)
	if err == nil {
		a = withoutSelf(a, peer)
	}
	if err != nil || a == nil {
		d.info.Dropped++
		return
	}
	d.info.ListenAddrs = append(d.info.ListenAddrs, a)
}

// finish checks what has to hold for the message as a whole.
func (d *draft) finish(cfg Config) (Info, error) {
	peer := cfg.Peer
	if len(d.key) > 0 {
		k, err := identity.UnmarshalPublicKey(d.key)
		switch {
		case err != nil:
			d.info.Dropped++
		case !peer.MatchesKey(k):
			return Info{}, ErrWrongPeer
		default:
			d.info.PublicKey = k
		}
	}
	if len(d.observed) > 0 {
		if a, err := addrs.Parse(d.observed); err == nil {
			d.info.Observed = a
		} else {
			d.info.Dropped++
		}
	}
	if err := d.record(peer); err != nil {
		return Info{}, err
	}
	if cfg.Remote != nil {
		d.info.ListenAddrs = d.heard(d.info.ListenAddrs, cfg.Remote)
		if d.info.Certified != nil {
			d.info.Certified.Addrs = d.heard(d.info.Certified.Addrs, cfg.Remote)
		}
	}
	return d.info, nil
}

// record opens the peer record. One that is valid and about somebody else is an attempt to poison
// the peerstore (CVE-2023-40583); one that we cannot read may be of a newer kind and is left out.
func (d *draft) record(peer identity.ID) error {
	if len(d.info.Record) == 0 {
		d.info.Record = nil
		return nil
	}
	r, _, err := identity.OpenPeerRecord(d.info.Record)
	switch {
	case err == nil && r.ID == peer:
	case err == nil || hostile(err):
		return ErrWrongPeer
	default:
		d.info.Record = nil
		d.info.Dropped++
		return nil
	}
	kept := r.Addrs[:0]
	for _, a := range r.Addrs {
		if a = withoutSelf(a, peer); a != nil {
			kept = append(kept, a)
		} else {
			d.info.Dropped++
		}
	}
	r.Addrs = kept
	d.info.Certified = &r
	return nil
}

// withoutSelf removes the peer's own /p2p from the end of an address. It returns nil for what is
// then empty or ends in another peer.
func withoutSelf(a ma.Multiaddr, peer identity.ID) ma.Multiaddr {
	rest, id, err := addrs.SplitPeer(a)
	if err != nil || id != "" && id != peer {
		return nil
	}
	return rest
}

func (d *draft) heard(claimed []ma.Multiaddr, remote ma.Multiaddr) []ma.Multiaddr {
	kept := addrs.Heard(claimed, addrs.ScopeOf(remote))
	d.info.Dropped += len(claimed) - len(kept)
	return kept
}

func validProtocol(name []byte) bool {
	return len(name) > 0 && len(name) <= maxProtocolName && clean.Is(name)
}

// version makes text of what should be text.
func version(b []byte) string { return clean.Text(string(b[:min(len(b), 4*maxVersion)]), maxVersion) }
