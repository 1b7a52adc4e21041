package noise

import (
	"fmt"

	"github.com/troupe-p2p/troupe/identity"
	wire "github.com/troupe-p2p/troupe/messages/wire/noise"

	"google.golang.org/protobuf/proto"
)

// proof is what a payload says, after its signature was verified.
type proof struct {
	peer       identity.ID
	key        identity.PublicKey
	muxers     []string
	certHashes [][]byte
}

func marshalProof(identityKey, signature []byte) ([]byte, error) {
	b, err := proto.Marshal(&wire.NoiseHandshakePayload{IdentityKey: identityKey, IdentitySig: signature})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLocal, err)
	}
	return b, nil
}

// appendExtensions appends field 4: protobuf messages written one behind the other are one message.
func appendExtensions(payload []byte, muxers []string, certHashes [][]byte) ([]byte, error) {
	if len(muxers) == 0 && len(certHashes) == 0 {
		return payload, nil
	}
	payload, err := proto.MarshalOptions{}.MarshalAppend(payload, &wire.NoiseHandshakePayload{
		Extensions: &wire.NoiseExtensions{StreamMuxers: muxers, WebtransportCerthashes: certHashes},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLocal, err)
	}
	return payload, nil
}

// readPayload verifies that the owner of the identity key vouches for the static key which the
// sender has just proven to hold. Extensions are looked at only then.
func readPayload(payload, static []byte) (*proof, error) {
	var m wire.NoiseHandshakePayload
	if err := proto.Unmarshal(payload, &m); err != nil {
		return nil, fmt.Errorf("%w: payload: %w", ErrIdentity, err)
	}
	key, err := identity.UnmarshalPublicKey(m.GetIdentityKey())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	peer, err := identity.IDFromKey(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	if err := key.Verify(append([]byte(signedPrefix), static...), m.GetIdentitySig()); err != nil {
		return nil, fmt.Errorf("%w: %v does not vouch for the noise key: %w", ErrIdentity, peer, err)
	}
	ext := m.GetExtensions()
	if n := max(len(ext.GetStreamMuxers()), len(ext.GetWebtransportCerthashes())); n > MaxMuxers {
		return nil, fmt.Errorf("%w: %d muxers or certificate hashes, at most %d are taken", ErrLimit, n, MaxMuxers)
	}
	return &proof{peer: peer, key: key, muxers: ext.GetStreamMuxers(), certHashes: ext.GetWebtransportCerthashes()}, nil
}
