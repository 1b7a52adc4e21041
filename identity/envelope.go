package identity

import (
	"bytes"
	"fmt"

	"github.com/multiformats/go-varint"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-p2p/troupe/messages/wire/envelope"
)

// MaxEnvelope is the largest envelope in bytes that is made or read. It stops records that fill
// the peerstore, and is what go-libp2p reads.
const MaxEnvelope = 8 << 10

// Envelope is a payload whose signature has been verified.
type Envelope struct {
	PublicKey   PublicKey
	Domain      string // the one of the accepted domains that it was signed for
	PayloadType []byte
	Payload     []byte
}

// SealEnvelope signs payload with k for a purpose. The domain is the purpose in words: it keeps a
// signature made for one protocol from being shown in another.
func SealEnvelope(k PrivateKey, domain string, payloadType, payload []byte) ([]byte, error) {
	if domain == "" || len(payloadType) == 0 {
		return nil, fmt.Errorf("envelope without a domain or a payload type: %w", ErrMalformed)
	}
	sig, err := k.Sign(envelopeDigest(domain, payloadType, payload))
	if err != nil {
		return nil, fmt.Errorf("signing an envelope: %w", err)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&envelope.Envelope{
		PublicKey:   MarshalPublicKey(k.Public()),
		PayloadType: payloadType,
		Payload:     payload,
		Signature:   sig,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding an envelope (%v): %w", err, ErrMalformed)
	}
	if len(b) > MaxEnvelope {
		return nil, fmt.Errorf("envelope of %d bytes (at most %d): %w", len(b), MaxEnvelope, ErrLimit)
	}
	return b, nil
}

// OpenEnvelope verifies an envelope with the given payload type against each domain in turn.
// Whoever calls it must still hold the signer (PublicKey) against the peer that the payload is
// about: a valid signature only says who signed.
func OpenEnvelope(b []byte, payloadType []byte, domains ...string) (*Envelope, error) {
	return openEnvelope(b, func(got []byte) []string {
		if !bytes.Equal(got, payloadType) {
			return nil
		}
		return domains
	})
}

// openEnvelope lets accept choose the domains by payload type; none means refused.
func openEnvelope(b []byte, accept func(payloadType []byte) []string) (*Envelope, error) {
	if len(b) > MaxEnvelope {
		return nil, fmt.Errorf("envelope of %d bytes (at most %d): %w", len(b), MaxEnvelope, ErrLimit)
	}
	var m envelope.Envelope
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("envelope is not protobuf: %w", ErrMalformed)
	}
	domains := accept(m.PayloadType)
	if len(domains) == 0 {
		return nil, fmt.Errorf("envelope with payload type %.32q: %w", m.PayloadType, ErrUnsupported)
	}
	key, err := UnmarshalPublicKey(m.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	// RFC 0003: "a peer MUST validate the signature before deserializing the RoutingState".
	for _, domain := range domains {
		if err = key.Verify(envelopeDigest(domain, m.PayloadType, m.Payload), m.Signature); err == nil {
			return &Envelope{PublicKey: key, Domain: domain, PayloadType: m.PayloadType, Payload: m.Payload}, nil
		}
	}
	return nil, fmt.Errorf("envelope: %w", err)
}

// envelopeDigest is what is signed: domain, payload type and payload, each behind its length
// (RFC 0002, Signature Production / Verification).
func envelopeDigest(domain string, payloadType, payload []byte) []byte {
	out := make([]byte, 0, 3*varint.MaxLenUvarint63+len(domain)+len(payloadType)+len(payload))
	out = append(out, varint.ToUvarint(uint64(len(domain)))...)
	out = append(out, domain...)
	out = append(out, varint.ToUvarint(uint64(len(payloadType)))...)
	out = append(out, payloadType...)
	out = append(out, varint.ToUvarint(uint64(len(payload)))...)
	return append(out, payload...)
}
