package identity

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-p2p/troupe/messages/wire/envelope"
)

func seal(t testing.TB, k PrivateKey, domain, payloadType string, payload []byte) []byte {
	t.Helper()
	b, err := SealEnvelope(k, domain, []byte(payloadType), payload)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// edit decodes an envelope, lets change alter it and encodes it again.
func edit(t testing.TB, b []byte, change func(*envelope.Envelope)) []byte {
	t.Helper()
	var m envelope.Envelope
	if err := proto.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	change(&m)
	out, err := proto.Marshal(&m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEnvelopeComesBackWithItsSigner(t *testing.T) {
	for _, kind := range allTypes {
		k := testKey(t, kind, 1)
		for _, payload := range [][]byte{nil, {0}, bytes.Repeat([]byte{7}, 4000)} {
			b := seal(t, k, "domain", "type", payload)
			e, err := OpenEnvelope(b, []byte("type"), "other", "domain", "third")
			if err != nil {
				t.Fatalf("%v, %d bytes: %v", kind, len(payload), err)
			}
			if !e.PublicKey.Equal(k.Public()) || e.Domain != "domain" || string(e.PayloadType) != "type" || !bytes.Equal(e.Payload, payload) {
				t.Errorf("%v: %+v", kind, e)
			}
		}
	}
}

func TestEnvelopeIsForItsPurposeOnly(t *testing.T) {
	b := seal(t, testKey(t, Ed25519, 1), "domain", "type", []byte("payload"))
	for why, c := range map[string]struct {
		payloadType string
		domains     []string
		kind        error
	}{
		"another domain":                      {"type", []string{"Domain"}, ErrSignature},
		"the domain with the type moved in":   {"type", []string{"domaint"}, ErrSignature},
		"many other domains":                  {"type", []string{"a", "b", "c"}, ErrSignature},
		"another payload type":                {"Type", []string{"domain"}, ErrUnsupported},
		"no domain accepted":                  {"type", nil, ErrUnsupported},
		"an empty payload type":               {"", []string{"domain"}, ErrUnsupported},
		"a payload type that begins the same": {"typ", []string{"domain"}, ErrUnsupported},
	} {
		if e, err := OpenEnvelope(b, []byte(c.payloadType), c.domains...); !errors.Is(err, c.kind) || e != nil {
			t.Errorf("%s: %v, %v", why, e, err)
		}
	}
}

func TestEveryBitOfAnEnvelopeCounts(t *testing.T) {
	for _, kind := range allTypes {
		b := seal(t, testKey(t, kind, 1), "domain", "type", []byte("payload"))
		step := 1
		if kind == RSA { // slow: one or two bits of each byte, another one each time
			step = 7
		}
		for bit := 0; bit < len(b)*8; bit += step {
			b[bit/8] ^= 1 << (bit % 8)
			if e, err := OpenEnvelope(b, []byte("type"), "domain"); err == nil {
				t.Errorf("%v: bit %d of byte %d flipped: %+v", kind, bit%8, bit/8, e)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
		for i := range b {
			if _, err := OpenEnvelope(b[:i], []byte("type"), "domain"); err == nil {
				t.Errorf("%v: opened with %d of %d bytes", kind, i, len(b))
			}
		}
		if _, err := OpenEnvelope(b, []byte("type"), "domain"); err != nil {
			t.Errorf("%v untouched: %v", kind, err)
		}
	}
}

func TestEnvelopeWithAnotherKeyOrSignatureIsRefused(t *testing.T) {
	k, other := testKey(t, Ed25519, 1), testKey(t, Ed25519, 2)
	b := seal(t, k, "domain", "type", []byte("payload"))
	theirs := seal(t, other, "domain", "type", []byte("payload"))
	for why, c := range map[string]struct {
		change func(*envelope.Envelope)
		kind   error
	}{
		"another peer's key": {func(m *envelope.Envelope) { m.PublicKey = MarshalPublicKey(other.Public()) }, ErrSignature},
		"another peer's signature": {func(m *envelope.Envelope) {
			m.Signature = decode(t, theirs).Signature
		}, ErrSignature},
		"no key":            {func(m *envelope.Envelope) { m.PublicKey = nil }, ErrMalformed},
		"no signature":      {func(m *envelope.Envelope) { m.Signature = nil }, ErrSignature},
		"no payload":        {func(m *envelope.Envelope) { m.Payload = nil }, ErrSignature},
		"no payload type":   {func(m *envelope.Envelope) { m.PayloadType = nil }, ErrUnsupported},
		"a key of new type": {func(m *envelope.Envelope) { m.PublicKey = []byte{8, 9, 0x12, 0} }, ErrUnsupported},
		"a weak RSA key":    {func(m *envelope.Envelope) { m.PublicKey = marshalKey(RSA, rsaKey(t, 1024, 65537, nil)) }, ErrWeakKey},
	} {
		if e, err := OpenEnvelope(edit(t, b, c.change), []byte("type"), "domain"); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v, %v", why, e, err)
		}
	}
}

func decode(t testing.TB, b []byte) *envelope.Envelope {
	t.Helper()
	m := new(envelope.Envelope)
	if err := proto.Unmarshal(b, m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEnvelopeSizeIsBoundBothWays(t *testing.T) {
	k := testKey(t, Ed25519, 1)
	empty := len(seal(t, k, "d", "t", make([]byte, 1000))) - 1000
	full := seal(t, k, "d", "t", make([]byte, MaxEnvelope-empty))
	if len(full) != MaxEnvelope {
		t.Fatalf("%d bytes", len(full))
	}
	if _, err := OpenEnvelope(full, []byte("t"), "d"); err != nil {
		t.Errorf("exactly at the limit: %v", err)
	}
	if _, err := SealEnvelope(k, "d", []byte("t"), make([]byte, MaxEnvelope-empty+1)); !errors.Is(err, ErrLimit) {
		t.Errorf("sealing a byte more: %v", err)
	}
	// One byte of an unknown field's tag would be malformed; the limit is seen first.
	if _, err := OpenEnvelope(append(full, 0), []byte("t"), "d"); !errors.Is(err, ErrLimit) {
		t.Errorf("opening a byte more: %v", err)
	}
}

func TestEnvelopeFromTheFutureOpens(t *testing.T) {
	b := seal(t, testKey(t, Ed25519, 1), "domain", "type", []byte("payload"))
	b = append(b, 0x4a, 3, 1, 2, 3) // field 9
	if e, err := OpenEnvelope(b, []byte("type"), "domain"); err != nil || string(e.Payload) != "payload" {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestEnvelopeNeedsAPurpose(t *testing.T) {
	k := testKey(t, Ed25519, 1)
	if _, err := SealEnvelope(k, "", []byte("t"), nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("no domain: %v", err)
	}
	if _, err := SealEnvelope(k, "d", nil, nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("no payload type: %v", err)
	}
}

func TestErrorsQuoteHostileBytesOnOneShortLine(t *testing.T) {
	k := testKey(t, Ed25519, 1)
	_, err := OpenEnvelope(seal(t, k, "d", strings.Repeat("\n\x1b[31m", 500), nil), []byte("t"), "d")
	if err == nil || strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 400 {
		t.Errorf("%v", err)
	}
}
