package identity

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-p2p/troupe/messages/wire/peerrecord"
)

func mustAddr(t testing.TB, s string) ma.Multiaddr {
	t.Helper()
	a, err := ma.NewMultiaddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func testRecord(t testing.TB, k PrivateKey, addrs ...string) PeerRecord {
	t.Helper()
	id, err := IDFromKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	r := PeerRecord{ID: id, Seq: 1700000000}
	for _, s := range addrs {
		r.Addrs = append(r.Addrs, mustAddr(t, s))
	}
	return r
}

func sameRecord(a, b PeerRecord) bool {
	return a.ID == b.ID && a.Seq == b.Seq && slices.EqualFunc(a.Addrs, b.Addrs, ma.Multiaddr.Equal)
}

// rawRecord signs any message as a record, with the names given.
func rawRecord(t testing.TB, k PrivateKey, domain, payloadType string, m *peerrecord.PeerRecord) []byte {
	t.Helper()
	payload, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return seal(t, k, domain, payloadType, payload)
}

var vectorAddrs = []string{"/ip4/203.0.113.7/tcp/4001", "/dns4/example.org/udp/4001/quic-v1"}

func TestRecordsOfOtherImplementationsOpenAndAreSealedAlike(t *testing.T) {
	for _, v := range foreign(t) {
		k := v.private(t)
		want := testRecord(t, k, vectorAddrs...)
		got, signer, err := OpenPeerRecord(v.hex(t, "record"))
		if err != nil || !sameRecord(got, want) || !signer.Equal(k.Public()) {
			t.Errorf("%s: %+v, %v", v["name"], got, err)
		}
		if k.Type() == ECDSA { // theirs are signed with randomness
			continue
		}
		if ours, err := want.Seal(k); err != nil || !bytes.Equal(ours, v.hex(t, "record")) {
			t.Errorf("%s: sealed %x, %v", v["name"], ours, err)
		}
	}
}

func TestRecordsComeBackForEveryKeyType(t *testing.T) {
	for _, kind := range allTypes {
		k := testKey(t, kind, 1)
		for _, r := range []PeerRecord{
			testRecord(t, k),
			testRecord(t, k, "/ip4/1.2.3.4/tcp/1"),
			testRecord(t, k, vectorAddrs...),
			{ID: testRecord(t, k).ID, Seq: math.MaxUint64},
			{ID: testRecord(t, k).ID, Seq: 0},
		} {
			b, err := r.Seal(k)
			if err != nil {
				t.Fatal(err)
			}
			if got, signer, err := OpenPeerRecord(b); err != nil || !sameRecord(got, r) || !signer.Equal(k.Public()) {
				t.Errorf("%v: %+v came back as %+v, %v", kind, r, got, err)
			}
		}
	}
}

func TestLegacyRecordsAreReadAndNeverWritten(t *testing.T) {
	k := testKey(t, Ed25519, 1)
	r := testRecord(t, k)
	m := &peerrecord.PeerRecord{PeerId: r.ID.Bytes(), Seq: r.Seq}
	legacy := rawRecord(t, k, "libp2p-routing-state", "/libp2p/routing-state-record", m)
	if got, _, err := OpenPeerRecord(legacy); err != nil || !sameRecord(got, r) {
		t.Errorf("legacy: %+v, %v", got, err)
	}
	ours, err := r.Seal(k)
	if err != nil {
		t.Fatal(err)
	}
	if want := rawRecord(t, k, "libp2p-peer-record", "\x03\x01", m); !bytes.Equal(ours, want) {
		t.Errorf("sealed %x, want %x", ours, want)
	}
	for _, c := range []struct{ domain, payloadType string }{
		{"libp2p-routing-state", "\x03\x01"},
		{"libp2p-peer-record", "/libp2p/routing-state-record"},
		{"libp2p-relay-rsvp", "\x03\x01"},
	} {
		if _, _, err := OpenPeerRecord(rawRecord(t, k, c.domain, c.payloadType, m)); !errors.Is(err, ErrSignature) {
			t.Errorf("type %q under domain %q: %v", c.payloadType, c.domain, err)
		}
	}
	if _, _, err := OpenPeerRecord(rawRecord(t, k, "libp2p-relay-rsvp", "\x03\x02", m)); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a relay voucher: %v", err)
	}
}

func TestRecordOfAnotherPeerIsRefused(t *testing.T) {
	k, victim := testKey(t, Ed25519, 1), testKey(t, Ed25519, 2)
	forged := &peerrecord.PeerRecord{PeerId: testRecord(t, victim).ID.Bytes(), Seq: 9}
	if r, _, err := OpenPeerRecord(rawRecord(t, k, recordDomain, recordType, forged)); !errors.Is(err, ErrMismatch) || r.ID != "" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := testRecord(t, victim).Seal(k); !errors.Is(err, ErrMismatch) {
		t.Errorf("sealing it ourselves: %v", err)
	}
	hashed := &peerrecord.PeerRecord{PeerId: append([]byte{0x12, 0x20}, make([]byte, 32)...)}
	if _, _, err := OpenPeerRecord(rawRecord(t, k, recordDomain, recordType, hashed)); !errors.Is(err, ErrMismatch) {
		t.Errorf("a hash where the key is inline: %v", err)
	}
}

func TestRecordWithoutAnIDIsRefused(t *testing.T) {
	k := testKey(t, Ed25519, 1)
	for _, id := range [][]byte{nil, {0, 0}, []byte("12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA")} {
		b := rawRecord(t, k, recordDomain, recordType, &peerrecord.PeerRecord{PeerId: id})
		if r, _, err := OpenPeerRecord(b); err == nil || r.ID != "" {
			t.Errorf("ID %q: %+v", id, r)
		}
	}
	if _, _, err := OpenPeerRecord(seal(t, k, recordDomain, recordType, []byte{0xff})); !errors.Is(err, ErrMalformed) {
		t.Errorf("payload that is not protobuf: %v", err)
	}
}

func TestAddressesUnknownHereAreLeftOut(t *testing.T) {
	k := testKey(t, Ed25519, 1)
	r := testRecord(t, k, vectorAddrs...)
	m := &peerrecord.PeerRecord{PeerId: r.ID.Bytes(), Seq: r.Seq, Addresses: []*peerrecord.PeerRecord_AddressInfo{
		{Multiaddr: r.Addrs[0].Bytes()},
		{Multiaddr: nil},
		{Multiaddr: []byte{0xff, 0xff, 0x03, 1, 2}},                            // a protocol of the future
		{Multiaddr: append([]byte{0x35, 13}, "two\nlines.org"...)},             // a name for the log
		{Multiaddr: bytes.Repeat([]byte{4, 1, 2, 3, 4}, 300)},                  // 1,500 bytes
		{Multiaddr: r.Addrs[0].Bytes()[:4]},                                    // cut off
		{Multiaddr: append([]byte{0xbc, 0x03}, bytes.Repeat([]byte{1}, 5)...)}, // half an onion
		{Multiaddr: r.Addrs[1].Bytes()},
	}}
	got, _, err := OpenPeerRecord(rawRecord(t, k, recordDomain, recordType, m))
	if err != nil || !sameRecord(got, r) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAddressesOfARecordAreBound(t *testing.T) {
	k := testKey(t, Ed25519, 1)
	r := testRecord(t, k)
	m := &peerrecord.PeerRecord{PeerId: r.ID.Bytes()}
	for range MaxRecordAddrs {
		r.Addrs = append(r.Addrs, mustAddr(t, "/ip4/1.2.3.4/tcp/1"))
		m.Addresses = append(m.Addresses, &peerrecord.PeerRecord_AddressInfo{})
	}
	full, err := r.Seal(k)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := OpenPeerRecord(full); err != nil || len(got.Addrs) != MaxRecordAddrs {
		t.Errorf("at the limit: %d addresses, %v", len(got.Addrs), err)
	}
	m.Addresses = append(m.Addresses, &peerrecord.PeerRecord_AddressInfo{})
	if got, _, err := OpenPeerRecord(rawRecord(t, k, recordDomain, recordType, m)); !errors.Is(err, ErrLimit) {
		t.Errorf("one empty address too many: %d addresses, %v", len(got.Addrs), err)
	}
	r.Addrs = append(r.Addrs, r.Addrs[0])
	if _, err := r.Seal(k); !errors.Is(err, ErrLimit) {
		t.Errorf("sealing one too many: %v", err)
	}
	long := testRecord(t, k)
	for i := range 100 {
		long.Addrs = append(long.Addrs, mustAddr(t, fmt.Sprintf("/dns4/%0100d.example.org/tcp/1", i)))
	}
	if _, err := long.Seal(k); !errors.Is(err, ErrLimit) {
		t.Errorf("sealing 12 KiB: %v", err)
	}
}

func TestEveryBitOfARecordCounts(t *testing.T) {
	for _, v := range foreign(t) {
		if v.private(t).Type() != Ed25519 { // the test of envelopes has all types
			continue
		}
		b := v.hex(t, "record")
		for bit := range len(b) * 8 {
			b[bit/8] ^= 1 << (bit % 8)
			if r, _, err := OpenPeerRecord(b); err == nil {
				t.Errorf("%s: bit %d of byte %d flipped: %+v", v["name"], bit%8, bit/8, r)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
		for i := range b {
			if _, _, err := OpenPeerRecord(b[:i]); err == nil {
				t.Errorf("%s: opened with %d of %d bytes", v["name"], i, len(b))
			}
		}
	}
}

func TestBoundsNameEachCapOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range Bounds() {
		if b.Name == "" || b.Cap <= 0 || b.Attack == "" || seen[b.Name] {
			t.Errorf("%v", b)
		}
		seen[b.Name] = true
	}
}
