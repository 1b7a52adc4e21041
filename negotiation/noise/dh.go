package noise

import (
	"crypto/ecdh"
	"fmt"
	"io"

	fnoise "github.com/flynn/noise"
)

// x25519 is the DHFunc of one handshake. flynn/noise passes private keys as bytes, and making a
// private key from bytes costs as much as an exchange because its public key is computed; the
// two keys of a handshake are kept instead, which halves the handshake's arithmetic.
type x25519 struct {
	static, ephemeral       *ecdh.PrivateKey
	staticRaw, ephemeralRaw []byte
}

func (x *x25519) GenerateKeypair(random io.Reader) (fnoise.DHKey, error) {
	key, pair, err := newKey(random)
	if err != nil {
		return fnoise.DHKey{}, fmt.Errorf("%w: making a noise key: %w", ErrLocal, err)
	}
	x.ephemeral, x.ephemeralRaw = key, pair.Private
	return pair, nil
}

// DH refuses the low-order points: crypto/ecdh returns an error for an all-zero secret.
func (x *x25519) DH(private, public []byte) ([]byte, error) {
	var key *ecdh.PrivateKey
	switch {
	case sameArray(private, x.ephemeralRaw):
		key = x.ephemeral
	case sameArray(private, x.staticRaw):
		key = x.static
	default:
		var err error
		if key, err = ecdh.X25519().NewPrivateKey(private); err != nil {
			return nil, err
		}
	}
	remote, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	return key.ECDH(remote)
}

func (x *x25519) DHLen() int     { return keySize }
func (x *x25519) DHName() string { return "25519" }

// newKey reads the key from random itself: GenerateKey of crypto/ecdh takes the operating
// system's randomness whatever it is given, and a replayed run has to make the same keys.
func newKey(random io.Reader) (*ecdh.PrivateKey, fnoise.DHKey, error) {
	raw := make([]byte, keySize)
	if _, err := io.ReadFull(random, raw); err != nil {
		return nil, fnoise.DHKey{}, err
	}
	key, err := ecdh.X25519().NewPrivateKey(raw)
	if err != nil {
		return nil, fnoise.DHKey{}, err
	}
	return key, fnoise.DHKey{Private: raw, Public: key.PublicKey().Bytes()}, nil
}

// sameArray compares where the keys are, not what they are: no timing to learn from.
func sameArray(a, b []byte) bool {
	return len(a) == keySize && len(b) == keySize && &a[0] == &b[0]
}
