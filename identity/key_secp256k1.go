package identity

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

type secp256k1Public struct {
	k   *secp256k1.PublicKey
	raw []byte
}

type secp256k1Private struct {
	secret
	k *secp256k1.PrivateKey
}

// parseSecp256k1Public takes the compressed form alone. The uncompressed form of the same key
// would have another peer ID, and no implementation sends it.
func parseSecp256k1Public(data []byte) (PublicKey, error) {
	if len(data) != secp256k1.PubKeyBytesLenCompressed {
		return nil, fmt.Errorf("Secp256k1 public key of %d bytes: %w", len(data), ErrMalformed)
	}
	k, err := secp256k1.ParsePubKey(data)
	if err != nil {
		return nil, fmt.Errorf("Secp256k1 public key is not a point of the curve: %w", ErrMalformed)
	}
	return secp256k1Public{k, bytes.Clone(data)}, nil
}

func parseSecp256k1Private(data []byte) (PrivateKey, error) {
	if len(data) != secp256k1.PrivKeyBytesLen {
		return nil, fmt.Errorf("Secp256k1 private key of %d bytes: %w", len(data), ErrMalformed)
	}
	var s secp256k1.ModNScalar
	if overflow := s.SetByteSlice(data); overflow || s.IsZero() {
		return nil, fmt.Errorf("Secp256k1 private key is not within the order of the curve: %w", ErrMalformed)
	}
	return secp256k1Private{k: secp256k1.NewPrivateKey(&s)}, nil
}

func generateSecp256k1(rand io.Reader) (PrivateKey, error) {
	return scalarKey(rand, secp256k1.PrivKeyBytesLen, parseSecp256k1Private)
}

// scalarKey draws until the bytes are a scalar within the curve's order, so that every scalar is
// equally likely. A draw fails once in 2^32 (P-256) or 2^127 (secp256k1); a source that fails
// eight times is not random.
func scalarKey(rand io.Reader, size int, parse func([]byte) (PrivateKey, error)) (PrivateKey, error) {
	b := make([]byte, size)
	for range 8 {
		if _, err := io.ReadFull(rand, b); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRandomness, err)
		}
		if k, err := parse(b); err == nil {
			return k, nil
		}
	}
	return nil, fmt.Errorf("%w: eight draws in a row are no scalar", ErrRandomness)
}

func (k secp256k1Public) Type() KeyType          { return Secp256k1 }
func (k secp256k1Public) Raw() []byte            { return k.raw }
func (k secp256k1Public) Equal(o PublicKey) bool { return sameKey(k, o) }

// Verify refuses a signature whose S is in the upper half of the order. BIP 62, which peer-ids.md
// names, makes the lower half the rule; taking both would let a third party turn one signature
// into another valid one.
func (k secp256k1Public) Verify(data, sig []byte) error {
	s, err := ecdsa.ParseDERSignature(sig)
	if err != nil {
		return fmt.Errorf("Secp256k1: not a DER signature: %w", ErrSignature)
	}
	if half := s.S(); half.IsOverHalfOrder() {
		return fmt.Errorf("Secp256k1: S in the upper half of the order: %w", ErrSignature)
	}
	if sum := sha256.Sum256(data); !s.Verify(sum[:], k.k) {
		return fmt.Errorf("Secp256k1: %w", ErrSignature)
	}
	return nil
}

func (k secp256k1Private) Type() KeyType { return Secp256k1 }
func (k secp256k1Private) Raw() []byte   { return k.k.Serialize() }

func (k secp256k1Private) Sign(data []byte) ([]byte, error) {
	sum := sha256.Sum256(data)
	return ecdsa.Sign(k.k, sum[:]).Serialize(), nil
}

func (k secp256k1Private) Public() PublicKey {
	pub := k.k.PubKey()
	return secp256k1Public{pub, pub.SerializeCompressed()}
}
