package identity

import (
	"bytes"
	"fmt"
	"io"

	"github.com/multiformats/go-varint"
)

// KeyType is the number of a signature scheme on the wire.
type KeyType int32

// The key types of peer-ids.md, Keys.
const (
	RSA       KeyType = 0
	Ed25519   KeyType = 1
	Secp256k1 KeyType = 2
	ECDSA     KeyType = 3
)

func (t KeyType) String() string {
	switch t {
	case RSA:
		return "RSA"
	case Ed25519:
		return "Ed25519"
	case Secp256k1:
		return "Secp256k1"
	case ECDSA:
		return "ECDSA"
	}
	return fmt.Sprintf("key type %d", int32(t))
}

// PublicKey verifies what a peer signed.
type PublicKey interface {
	Type() KeyType
	// Raw is the encoding of the key alone, without its type. The caller may not change it.
	Raw() []byte
	// Verify returns nil, or an error of kind ErrSignature.
	Verify(data, sig []byte) error
	Equal(PublicKey) bool
}

// PrivateKey signs. It prints as its type, never as its bytes.
type PrivateKey interface {
	Type() KeyType
	// Raw is the encoding of the key alone, without its type. It is a secret; the caller may
	// not change it.
	Raw() []byte
	// Sign is deterministic for all four types: same key and data, same signature.
	Sign(data []byte) ([]byte, error)
	Public() PublicKey
}

const (
	// maxPublicKey is above the longest key taken, RSA with 8192 bits (1,067 bytes): what is
	// longer is refused before its DER is looked at (CVE-2023-39533, CVE-2026-110789).
	maxPublicKey = 1280
	// maxPrivateKey is above RSA with 8192 bits (about 4,700 bytes).
	maxPrivateKey = 8 << 10

	tagType = 1<<3 | 0
	tagData = 2<<3 | 2
)

// MarshalPublicKey returns the encoding that peer IDs are made from.
func MarshalPublicKey(k PublicKey) []byte { return marshalKey(k.Type(), k.Raw()) }

// MarshalPrivateKey returns the encoding of key files. It is a secret.
func MarshalPrivateKey(k PrivateKey) []byte { return marshalKey(k.Type(), k.Raw()) }

// UnmarshalPublicKey reads the encoding of MarshalPublicKey and no other: MarshalPublicKey of the
// result is b.
func UnmarshalPublicKey(b []byte) (PublicKey, error) {
	if len(b) > maxPublicKey {
		return nil, fmt.Errorf("public key of %d bytes: %w", len(b), ErrLimit)
	}
	t, data, err := splitKey(b)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	switch t {
	case RSA:
		return parseRSAPublic(data)
	case Ed25519:
		return parseEd25519Public(data)
	case Secp256k1:
		return parseSecp256k1Public(data)
	case ECDSA:
		return parseECDSAPublic(data)
	}
	return nil, fmt.Errorf("public key of %v: %w", t, ErrUnsupported)
}

// UnmarshalPrivateKey reads the encoding of key files, ours and those of other implementations.
func UnmarshalPrivateKey(b []byte) (PrivateKey, error) {
	if len(b) > maxPrivateKey {
		return nil, fmt.Errorf("private key of %d bytes: %w", len(b), ErrLimit)
	}
	t, data, err := splitKey(b)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	switch t {
	case RSA:
		return parseRSAPrivate(data)
	case Ed25519:
		return parseEd25519Private(data)
	case Secp256k1:
		return parseSecp256k1Private(data)
	case ECDSA:
		return parseECDSAPrivate(data)
	}
	return nil, fmt.Errorf("private key of %v: %w", t, ErrUnsupported)
}

// GenerateKey makes a key of type t from the bytes of rand: the same bytes give the same key,
// except for RSA. crypto/rsa takes its randomness from the operating system whatever it is given,
// so a replayed run that makes RSA keys is not the same run.
func GenerateKey(t KeyType, rand io.Reader) (PrivateKey, error) {
	switch t {
	case RSA:
		return generateRSA(rand)
	case Ed25519:
		return generateEd25519(rand)
	case Secp256k1:
		return generateSecp256k1(rand)
	case ECDSA:
		return generateECDSA(rand)
	}
	return nil, fmt.Errorf("generating a key of %v: %w", t, ErrUnsupported)
}

func marshalKey(t KeyType, data []byte) []byte {
	b := make([]byte, 0, 3+varint.UvarintSize(uint64(len(data)))+len(data))
	b = append(b, tagType, byte(t), tagData)
	b = append(b, varint.ToUvarint(uint64(len(data)))...)
	return append(b, data...)
}

// splitKey reads the protobuf message by hand because peer-ids.md, Keys, wants more than protobuf
// does: "Fields must be minimally encoded", "Fields must be encoded in tag order", "All fields
// must be included", "No additional fields may be defined". A generated decoder takes all the
// other forms too, and then one key has many peer IDs.
func splitKey(b []byte) (KeyType, []byte, error) {
	if len(b) < 4 || b[0] != tagType || b[1] >= 0x80 || b[2] != tagData {
		return 0, nil, fmt.Errorf("not the encoding of a key: %w", ErrMalformed)
	}
	n, used, err := varint.FromUvarint(b[3:])
	if err != nil {
		return 0, nil, fmt.Errorf("length of the key data: %w", ErrMalformed)
	}
	data := b[3+used:]
	if n != uint64(len(data)) {
		return 0, nil, fmt.Errorf("key data announces %d bytes and has %d: %w", n, len(data), ErrMalformed)
	}
	return KeyType(b[1]), data, nil
}

func sameKey(a, b PublicKey) bool {
	return b != nil && a.Type() == b.Type() && bytes.Equal(a.Raw(), b.Raw())
}

// secret keeps a private key out of logs whatever verb it is printed with.
type secret struct{}

func (secret) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "(private key)") }
