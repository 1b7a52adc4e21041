package identity

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"

	"github.com/troupe-p2p/troupe/internal/proven"
)

// goodEd25519 is shared by all nodes of a process: what was proven to one is true.
var goodEd25519 proven.Table

type ed25519Public struct{ k ed25519.PublicKey }

type ed25519Private struct {
	secret
	k ed25519.PrivateKey
}

// legacyEd25519Size is the private key followed by the public key twice.
const legacyEd25519Size = ed25519.PrivateKeySize + ed25519.PublicKeySize

// smallOrder are the y coordinates (sign bit cleared) of the eight points whose order divides 8.
// For such a key some signatures verify over almost any message, and nobody holds its secret.
var smallOrder = [...][ed25519.PublicKeySize]byte{
	{},
	{1},
	{
		0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
	},
	{
		0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
	},
	{
		0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
	},
}

func parseEd25519Public(data []byte) (PublicKey, error) {
	if len(data) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("Ed25519 public key of %d bytes: %w", len(data), ErrMalformed)
	}
	y := [ed25519.PublicKeySize]byte(data)
	y[31] &= 0x7f
	if !belowFieldPrime(&y) {
		// RFC 8032 §5.1.3: "If the resulting value is >= p, decoding fails."
		return nil, fmt.Errorf("Ed25519 public key is not reduced: %w", ErrMalformed)
	}
	for i := range smallOrder {
		if y == smallOrder[i] {
			return nil, fmt.Errorf("Ed25519 public key of small order: %w", ErrWeakKey)
		}
	}
	return ed25519Public{bytes.Clone(data)}, nil
}

// belowFieldPrime reports y < 2^255-19, for little-endian y with a clear sign bit.
func belowFieldPrime(y *[32]byte) bool {
	if y[0] < 0xed || y[31] != 0x7f {
		return true
	}
	for _, v := range y[1:31] {
		if v != 0xff {
			return true
		}
	}
	return false
}

// parseEd25519Private takes private||public and the older private||public||public. peer-ids.md,
// Ed25519: "compare the two public key strings [...] If they do not match, reject".
func parseEd25519Private(data []byte) (PrivateKey, error) {
	switch len(data) {
	case legacyEd25519Size:
		if !bytes.Equal(data[32:64], data[64:]) {
			return nil, fmt.Errorf("Ed25519 private key with two different public keys: %w", ErrMismatch)
		}
		data = data[:ed25519.PrivateKeySize]
	case ed25519.PrivateKeySize:
	default:
		return nil, fmt.Errorf("Ed25519 private key of %d bytes: %w", len(data), ErrMalformed)
	}
	// Signing with a public half that is not of this seed gives the seed away.
	k := ed25519.NewKeyFromSeed(data[:ed25519.SeedSize])
	if !bytes.Equal(k, data) {
		return nil, fmt.Errorf("Ed25519 private key with another key's public half: %w", ErrMismatch)
	}
	return ed25519Private{k: k}, nil
}

func generateEd25519(rand io.Reader) (PrivateKey, error) {
	var seed [ed25519.SeedSize]byte
	if _, err := io.ReadFull(rand, seed[:]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRandomness, err)
	}
	return ed25519Private{k: ed25519.NewKeyFromSeed(seed[:])}, nil
}

func (k ed25519Public) Type() KeyType          { return Ed25519 }
func (k ed25519Public) Raw() []byte            { return k.k }
func (k ed25519Public) Equal(o PublicKey) bool { return sameKey(k, o) }

func (k ed25519Public) Verify(data, sig []byte) error {
	if len(sig) != ed25519.SignatureSize {
		return fmt.Errorf("Ed25519: %w", ErrSignature)
	}
	p := proven.Of(k.k, sig, data)
	if goodEd25519.Has(p) {
		return nil
	}
	if !ed25519.Verify(k.k, data, sig) {
		return fmt.Errorf("Ed25519: %w", ErrSignature)
	}
	goodEd25519.Add(p)
	return nil
}

func (k ed25519Private) Type() KeyType { return Ed25519 }
func (k ed25519Private) Raw() []byte   { return k.k }

func (k ed25519Private) Sign(data []byte) ([]byte, error) { return ed25519.Sign(k.k, data), nil }

func (k ed25519Private) Public() PublicKey { return ed25519Public{ed25519.PublicKey(k.k[32:])} }
