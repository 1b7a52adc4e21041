package identity_test

import (
	"bytes"
	"fmt"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/troupe-p2p/troupe/identity"
)

// A node makes its key once and keeps it: the key is who it is. A program passes crypto/rand.Reader;
// here the bytes are fixed, so that the example prints the same every time.
func ExampleGenerateKey() {
	random := bytes.NewReader(bytes.Repeat([]byte{7}, 32))
	key, err := identity.GenerateKey(identity.Ed25519, random)
	if err != nil {
		fmt.Println(err)
		return
	}
	id, err := identity.IDFromKey(key.Public())
	if err != nil {
		fmt.Println(err)
		return
	}
	file := identity.MarshalPrivateKey(key)
	fmt.Println(id, len(file), key)
	// Output: 12D3KooWRawPbxPtP1eZaJpumGnyWX2DcUyd3RQnydr3eAto4Az7 68 (private key)
}

// Both text forms of an ID name the same peer.
func ExampleDecode() {
	a, _ := identity.Decode("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")
	b, _ := identity.Decode("bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe")
	fmt.Println(a == b)
	_, err := identity.Decode("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5O")
	fmt.Println(err)
	// Output:
	// true
	// peer ID "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5O" is not base58: malformed
}

// A peer record is where a peer listens, in a form that a third party can pass on and cannot change.
func ExamplePeerRecord_Seal() {
	key, _ := identity.GenerateKey(identity.Ed25519, bytes.NewReader(bytes.Repeat([]byte{7}, 32)))
	id, _ := identity.IDFromKey(key.Public())
	addr, _ := ma.NewMultiaddr("/ip4/203.0.113.7/tcp/4001")

	sealed, _ := identity.PeerRecord{ID: id, Seq: 1, Addrs: []ma.Multiaddr{addr}}.Seal(key)
	record, _, err := identity.OpenPeerRecord(sealed)
	fmt.Println(record.ID == id, record.Addrs, err)

	sealed[len(sealed)-1] ^= 1
	_, _, err = identity.OpenPeerRecord(sealed)
	fmt.Println(err)
	// Output:
	// true [/ip4/203.0.113.7/tcp/4001] <nil>
	// peer record: envelope: Ed25519: signature does not verify
}
