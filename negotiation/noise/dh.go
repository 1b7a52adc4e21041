package noise

import (
	"errors"
	"fmt"
	"io"

	"github.com/cloudflare/circl/dh/x25519"
	fnoise "github.com/flynn/noise"
)

// curve25519 is the DHFunc of all handshakes. Its arithmetic is circl's, which takes half of crypto/ecdh's
// time for a new key, having a table for the base point, and three quarters of it for a secret.
type curve25519 struct{}

// errLowOrder: the remote's public key leaves nothing of our private one in the secret.
var errLowOrder = errors.New("x25519: public key of low order")

// GenerateKeypair takes what random gives, whatever runs: a replayed run makes the same keys.
func (curve25519) GenerateKeypair(random io.Reader) (fnoise.DHKey, error) {
	var private, public x25519.Key
	if _, err := io.ReadFull(random, private[:]); err != nil {
		return fnoise.DHKey{}, fmt.Errorf("%w: making a noise key: %w", ErrLocal, err)
	}
	x25519.KeyGen(&public, &private)
	return fnoise.DHKey{Private: private[:], Public: public[:]}, nil
}

// DH refuses the points of low order.
func (curve25519) DH(private, public []byte) ([]byte, error) {
	if len(private) != keySize || len(public) != keySize {
		return nil, fmt.Errorf("x25519: keys of %d and %d bytes", len(private), len(public))
	}
	var secret x25519.Key
	if !x25519.Shared(&secret, (*x25519.Key)(private), (*x25519.Key)(public)) {
		return nil, errLowOrder
	}
	return secret[:], nil
}

func (curve25519) DHLen() int     { return keySize }
func (curve25519) DHName() string { return "25519" }
