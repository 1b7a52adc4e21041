package identity

import (
	"crypto/sha256"
	"fmt"

	"github.com/ipfs/go-cid"
	"github.com/mr-tron/base58"
)

const (
	// maxInlineKey is the longest encoded key that is its own peer ID.
	// peer-ids.md: "keys that serialize to at most 42 bytes must be hashed using the
	// 'identity' multihash codec".
	maxInlineKey = 42
	// maxIDText bounds what Decode looks at: base conversion is quadratic in the length.
	// The longest honest text is a CIDv1 with an inline key in base2, 8*46+1 characters.
	maxIDText = 400

	codeIdentity = 0x00
	codeSHA256   = 0x12
)

// ID is a peer ID: the bytes of its multihash. It is comparable and may be a map key. The zero
// value is no peer; every other ID came out of a function of this package.
type ID string

// IDFromKey returns the one peer ID of a key.
func IDFromKey(k PublicKey) (ID, error) {
	if k == nil {
		return "", fmt.Errorf("peer ID of no key: %w", ErrMalformed)
	}
	b := MarshalPublicKey(k)
	if len(b) <= maxInlineKey {
		return ID(append([]byte{codeIdentity, byte(len(b))}, b...)), nil
	}
	sum := sha256.Sum256(b)
	return ID(append([]byte{codeSHA256, sha256.Size}, sum[:]...)), nil
}

// IDFromBytes reads the binary form. It takes the two multihashes that a key can have, so that no
// other can be stored, compared or dialled: nobody could ever prove to own it.
func IDFromBytes(b []byte) (ID, error) {
	if len(b) < 2 {
		return "", fmt.Errorf("peer ID of %d bytes: %w", len(b), ErrMalformed)
	}
	code, size, digest := b[0], int(b[1]), b[2:]
	switch {
	case size != len(digest):
		return "", fmt.Errorf("peer ID announces %d bytes of digest and has %d: %w", size, len(digest), ErrMalformed)
	case code == codeSHA256 && size == sha256.Size:
	case code == codeIdentity && 0 < size && size <= maxInlineKey:
	default:
		return "", fmt.Errorf("peer ID with multihash code 0x%x and %d bytes: %w", code, size, ErrUnsupported)
	}
	return ID(b), nil
}

// Decode reads either text form. peer-ids.md, Decoding: text that starts with "1" or "Qm" is
// base58btc, any other is a CID in multibase.
func Decode(s string) (ID, error) {
	if len(s) > maxIDText {
		return "", fmt.Errorf("peer ID of %d characters: %w", len(s), ErrLimit)
	}
	if len(s) > 0 && s[0] == '1' || len(s) > 1 && s[:2] == "Qm" {
		b, err := base58.Decode(s)
		if err != nil {
			return "", fmt.Errorf("peer ID %q is not base58: %w", s, ErrMalformed)
		}
		return named(s, b)
	}
	c, err := cid.Decode(s)
	if err != nil {
		return "", fmt.Errorf("peer ID %q is neither base58 nor a CID: %w", s, ErrMalformed)
	}
	if c.Version() != 1 || c.Type() != cid.Libp2pKey {
		return "", fmt.Errorf("CID %q is not a peer ID (version %d, codec 0x%x): %w", s, c.Version(), c.Type(), ErrMalformed)
	}
	return named(s, c.Hash())
}

// named is IDFromBytes with the text that the bytes came from in its error.
func named(s string, b []byte) (ID, error) {
	id, err := IDFromBytes(b)
	if err != nil {
		return "", fmt.Errorf("%q: %w", s, err)
	}
	return id, nil
}

// Bytes is the binary form, a copy.
func (id ID) Bytes() []byte { return []byte(id) }

// String is the base58btc form, which is what people copy: 12D3KooW... or Qm...
func (id ID) String() string { return base58.Encode([]byte(id)) }

// CID is the base32 CIDv1 form, which fits where case is lost (DNS names). Empty for the zero ID.
func (id ID) CID() string {
	if id == "" {
		return ""
	}
	return cid.NewCidV1(cid.Libp2pKey, []byte(id)).String()
}

// Short is the last eight characters of String, for logs: the first are the same for all peers
// with one key type.
func (id ID) Short() string {
	s := id.String()
	if len(s) <= 8 {
		return s
	}
	return s[len(s)-8:]
}

// MatchesKey reports whether id is the peer ID of k.
func (id ID) MatchesKey(k PublicKey) bool {
	own, err := IDFromKey(k)
	return err == nil && own == id
}

// ExtractKey returns the key that is inside an ID of the identity multihash (Ed25519, secp256k1).
func (id ID) ExtractKey() (PublicKey, bool) {
	if len(id) < 2 || id[0] != codeIdentity {
		return nil, false
	}
	k, err := UnmarshalPublicKey([]byte(id[2:]))
	return k, err == nil
}

// MarshalText is String, for JSON and flags. (encoding/json does not call it for the keys of a
// map, because ID is a string: use map[string]T with String there.)
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is Decode; empty text is the zero ID, as MarshalText writes it.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = ""
		return nil
	}
	got, err := Decode(string(text))
	if err == nil {
		*id = got
	}
	return err
}
