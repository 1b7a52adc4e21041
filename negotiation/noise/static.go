package noise

import (
	"fmt"
	"io"

	"github.com/troupe-p2p/troupe/identity"

	fnoise "github.com/flynn/noise"
)

// signedPrefix goes before the static key in what the identity key signs. noise/README.md, "The
// libp2p Handshake Payload".
const signedPrefix = "noise-libp2p-static-key:"

// Static is a node's Noise key and the proof that it belongs to the node's identity. One is made
// per node and shared by all its handshakes, which saves a signature on each; noise/README.md,
// "Static Key Authentication", allows it. It is never written after it was made.
type Static struct {
	pair    fnoise.DHKey
	payload []byte // the payload's fields 1 and 2
	peer    identity.ID
}

// NewStatic makes a key from random and signs it.
func NewStatic(id identity.PrivateKey, random io.Reader) (*Static, error) {
	if id == nil || random == nil {
		return nil, fmt.Errorf("%w: a noise key needs an identity key and randomness", ErrLocal)
	}
	peer, err := identity.IDFromKey(id.Public())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLocal, err)
	}
	pair, err := curve25519{}.GenerateKeypair(random)
	if err != nil {
		return nil, err
	}
	signature, err := id.Sign(append([]byte(signedPrefix), pair.Public...))
	if err != nil {
		return nil, fmt.Errorf("%w: signing the noise key: %w", ErrLocal, err)
	}
	payload, err := marshalProof(identity.MarshalPublicKey(id.Public()), signature)
	if err != nil {
		return nil, err
	}
	return &Static{pair: pair, payload: payload, peer: peer}, nil
}

// Peer is the node that the key belongs to.
func (s *Static) Peer() identity.ID { return s.peer }
