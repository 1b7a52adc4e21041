package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multibase"
)

func TestIDsAreThoseOfOtherImplementations(t *testing.T) {
	for _, v := range foreign(t) {
		id, err := IDFromKey(v.private(t).Public())
		if err != nil || id.String() != v["id"] || id.CID() != v["cid"] {
			t.Errorf("%s: %s %s, %v; want %s %s", v["name"], id, id.CID(), err, v["id"], v["cid"])
		}
		for _, text := range []string{v["id"], v["cid"]} {
			if got, err := Decode(text); err != nil || got != id {
				t.Errorf("%s: Decode(%q) = %q, %v", v["name"], text, got, err)
			}
		}
		if got, err := IDFromBytes(id.Bytes()); err != nil || got != id {
			t.Errorf("%s: from bytes: %q, %v", v["name"], got, err)
		}
	}
}

// The three examples of peer-ids.md, Decoding; the first two name one peer.
func TestSpecExamplesDecode(t *testing.T) {
	a, errA := Decode("bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe")
	b, errB := Decode("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")
	if errA != nil || errB != nil || a != b {
		t.Errorf("%q, %v and %q, %v", a, errA, b, errB)
	}
	c, err := Decode("12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA")
	if err != nil {
		t.Fatal(err)
	}
	if k, ok := c.ExtractKey(); !ok || k.Type() != Ed25519 || !c.MatchesKey(k) {
		t.Errorf("inline key %v, %v", k, ok)
	}
}

func TestAnyMultibaseOfTheCIDDecodes(t *testing.T) {
	for _, v := range foreign(t) {
		want, err := Decode(v["id"])
		if err != nil {
			t.Fatal(err)
		}
		c := cid.NewCidV1(cid.Libp2pKey, want.Bytes())
		for _, base := range []multibase.Encoding{multibase.Base2, multibase.Base16, multibase.Base32, multibase.Base32Upper,
			multibase.Base36, multibase.Base58BTC, multibase.Base64url} {
			text, err := c.StringOfBase(base)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := Decode(text); err != nil || got != want {
				t.Errorf("%s: Decode(%q) = %q, %v", v["name"], text, got, err)
			}
		}
	}
}

func TestKeysUpTo42BytesAreTheirOwnID(t *testing.T) {
	for _, kind := range allTypes {
		k := testKey(t, kind, 4).Public()
		id, err := IDFromKey(k)
		if err != nil {
			t.Fatal(err)
		}
		inline := kind == Ed25519 || kind == Secp256k1
		got, ok := id.ExtractKey()
		if ok != inline || inline && !got.Equal(k) {
			t.Errorf("%v: extracted %v, %v", kind, got, ok)
		}
		if !id.MatchesKey(k) || id.MatchesKey(testKey(t, ECDSA, 5).Public()) || id.MatchesKey(nil) {
			t.Errorf("%v: matches the wrong key or not its own", kind)
		}
	}
}

func TestBytesThatNoKeyHasAreNoID(t *testing.T) {
	sha := append([]byte{0x12, 0x20}, make([]byte, 32)...)
	for why, b := range map[string][]byte{
		"nothing":                          nil,
		"one byte":                         {0x12},
		"an empty identity":                {0x00, 0x00},
		"an identity of 43 bytes":          append([]byte{0x00, 43}, make([]byte, 43)...),
		"an identity with a byte more":     {0x00, 0x02, 1, 2, 3},
		"an identity with a byte less":     {0x00, 0x02, 1},
		"a length in two bytes":            {0x00, 0x82, 0x00, 1, 2},
		"a code in two bytes":              append([]byte{0x92, 0x00, 0x20}, make([]byte, 32)...),
		"a short SHA-256":                  append([]byte{0x12, 0x14}, make([]byte, 20)...),
		"a SHA-256 with a byte more":       append(bytes.Clone(sha), 0),
		"a SHA-256 with a byte less":       sha[:33],
		"a SHA-512":                        append([]byte{0x13, 0x40}, make([]byte, 64)...),
		"a Blake2b-256":                    append([]byte{0xa0, 0xe4, 0x02, 0x20}, make([]byte, 32)...),
		"a length of 255 without a digest": {0x12, 0xff},
	} {
		if id, err := IDFromBytes(b); err == nil || id != "" {
			t.Errorf("%s: got %q, %v", why, id, err)
		}
	}
	if _, err := IDFromBytes(sha); err != nil {
		t.Errorf("a SHA-256: %v", err)
	}
}

func TestTextThatIsNoIDIsRefusedWithItsFault(t *testing.T) {
	good := testKey(t, Ed25519, 1).Public()
	id, err := IDFromKey(good)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := cid.NewCidV1(cid.Raw, id.Bytes()).StringOfBase(multibase.Base32)
	for text, kind := range map[string]error{
		"":                             ErrMalformed,
		"1":                            ErrMalformed,
		"Qm":                           ErrMalformed,
		"peer":                         ErrMalformed,
		id.String() + "0":              ErrMalformed, // 0 is not in the base58 alphabet
		id.String() + "1":              ErrMalformed,
		id.String()[:40]:               ErrMalformed,
		id.CID()[:40]:                  ErrMalformed,
		raw:                            ErrMalformed, // a CID of something else
		" " + id.String():              ErrMalformed,
		"12D3KooW\n":                   ErrMalformed,
		strings.Repeat("1", 401):       ErrLimit,
		"b" + strings.Repeat("a", 1e6): ErrLimit,
		"1" + strings.Repeat("1", 60):  ErrMalformed,
	} {
		got, err := Decode(text)
		if got != "" || !errors.Is(err, kind) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("Decode(%.50q) = %q, %v", text, got, err)
			continue
		}
		if strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("Decode(%.50q): the error has more than one line: %q", text, err)
		}
	}
}

func TestIDTravelsThroughJSON(t *testing.T) {
	id, err := IDFromKey(testKey(t, Secp256k1, 1).Public())
	if err != nil {
		t.Fatal(err)
	}
	type doc struct {
		Peer  ID
		Empty ID
	}
	b, err := json.Marshal(doc{Peer: id})
	if err != nil {
		t.Fatal(err)
	}
	var back doc
	if err := json.Unmarshal(b, &back); err != nil || back.Peer != id || back.Empty != "" {
		t.Errorf("%s came back as %+v, %v", b, back, err)
	}
	if err := json.Unmarshal([]byte(`{"Peer":"x"}`), &back); !errors.Is(err, ErrMalformed) || back.Peer != id {
		t.Errorf("a wrong ID: %v, and the old value is %q", err, back.Peer)
	}
}

func TestShortTellsPeersApart(t *testing.T) {
	a, _ := IDFromKey(testKey(t, Ed25519, 1).Public())
	b, _ := IDFromKey(testKey(t, Ed25519, 2).Public())
	if a.Short() == b.Short() || len(a.Short()) != 8 || !strings.HasSuffix(a.String(), a.Short()) {
		t.Errorf("%s and %s", a.Short(), b.Short())
	}
	if ID("").Short() != "" || ID("").CID() != "" || ID("").String() != "" {
		t.Error("the zero ID prints as something")
	}
}
