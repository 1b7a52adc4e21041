package identity

import (
	"fmt"

	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-p2p/troupe/internal/rawaddr"
	"github.com/troupe-p2p/troupe/messages/wire/peerrecord"
)

// The two forms of a sealed peer record. All networks speak the first; RFC 0003 has the text of
// the second, and rust-libp2p still sends it in some protocols. Each payload type goes with its own
// domain only, so a record costs one verification.
const (
	recordDomain       = "libp2p-peer-record"
	recordType         = "\x03\x01" // the multicodec libp2p-peer-record, 0x0301
	legacyRecordDomain = "libp2p-routing-state"
	legacyRecordType   = "/libp2p/routing-state-record"
)

// MaxRecordAddrs is the most addresses in a record that is made or read. It stops records of
// thousands of empty addresses, which cost the reader far more than the sender.
const MaxRecordAddrs = 256

// PeerRecord is what a peer certifies about itself: where it listens. A record with a higher Seq
// replaces one with a lower; that is all Seq means.
type PeerRecord struct {
	ID    ID
	Seq   uint64
	Addrs []ma.Multiaddr
}

// Seal signs the record with the key of its peer.
func (r PeerRecord) Seal(k PrivateKey) ([]byte, error) {
	if !r.ID.MatchesKey(k.Public()) {
		return nil, fmt.Errorf("record of %s sealed with another peer's key: %w", r.ID.Short(), ErrMismatch)
	}
	if len(r.Addrs) > MaxRecordAddrs {
		return nil, fmt.Errorf("record with %d addresses (at most %d): %w", len(r.Addrs), MaxRecordAddrs, ErrLimit)
	}
	m := &peerrecord.PeerRecord{PeerId: r.ID.Bytes(), Seq: r.Seq}
	for _, a := range r.Addrs {
		m.Addresses = append(m.Addresses, &peerrecord.PeerRecord_AddressInfo{Multiaddr: a.Bytes()})
	}
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding a record (%v): %w", err, ErrMalformed)
	}
	return SealEnvelope(k, recordDomain, []byte(recordType), payload)
}

// OpenPeerRecord verifies a sealed record and returns it with the key that signed it, which is the
// key of the peer it is about. Addresses of a form that this node does not know are left out: one
// new transport in the network must not cost a peer all its other addresses.
func OpenPeerRecord(b []byte) (PeerRecord, PublicKey, error) {
	e, err := openEnvelope(b, recordDomains)
	if err != nil {
		return PeerRecord{}, nil, fmt.Errorf("peer record: %w", err)
	}
	var m peerrecord.PeerRecord
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(e.Payload, &m); err != nil {
		return PeerRecord{}, nil, fmt.Errorf("peer record is not protobuf: %w", ErrMalformed)
	}
	id, err := IDFromBytes(m.PeerId)
	if err != nil {
		return PeerRecord{}, nil, fmt.Errorf("peer record: %w", err)
	}
	// RFC 0003: "the receiving peer MUST verify that the peer_id contained in the RoutingState
	// matches the public_key from the envelope" (RUSTSEC-2022-0009).
	if !id.MatchesKey(e.PublicKey) {
		return PeerRecord{}, nil, fmt.Errorf("peer record of %s signed by another peer: %w", id.Short(), ErrMismatch)
	}
	if n := len(m.Addresses); n > MaxRecordAddrs {
		return PeerRecord{}, nil, fmt.Errorf("peer record with %d addresses (at most %d): %w", n, MaxRecordAddrs, ErrLimit)
	}
	r := PeerRecord{ID: id, Seq: m.Seq, Addrs: make([]ma.Multiaddr, 0, len(m.Addresses))}
	for _, info := range m.Addresses {
		if a, err := rawaddr.Parse(info.GetMultiaddr()); err == nil {
			r.Addrs = append(r.Addrs, a)
		}
	}
	return r, e.PublicKey, nil
}

func recordDomains(payloadType []byte) []string {
	switch string(payloadType) {
	case recordType:
		return []string{recordDomain}
	case legacyRecordType:
		return []string{legacyRecordDomain}
	}
	return nil
}
