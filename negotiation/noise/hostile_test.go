package noise

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/troupe-p2p/troupe/identity"
	wire "github.com/troupe-p2p/troupe/messages/wire/noise"

	fnoise "github.com/flynn/noise"
	"google.golang.org/protobuf/proto"
)

// scripted is a remote that keeps to Noise and lies in what Noise carries.
type scripted struct {
	key    identity.PrivateKey
	static fnoise.DHKey
	state  *fnoise.HandshakeState
}

func newScripted(t testing.TB, initiator bool, static *fnoise.DHKey) *scripted {
	t.Helper()
	random := seeded(77)
	key, err := identity.GenerateKey(identity.Ed25519, random)
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{key: key}
	if static == nil {
		if s.static, err = fnoise.DH25519.GenerateKeypair(random); err != nil {
			t.Fatal(err)
		}
	} else {
		s.static = *static
	}
	s.state, err = fnoise.NewHandshakeState(fnoise.Config{
		CipherSuite: fnoise.NewCipherSuite(fnoise.DH25519, fnoise.CipherChaChaPoly, fnoise.HashSHA256),
		Random:      random, Pattern: fnoise.HandshakeXX, Initiator: initiator, StaticKeypair: s.static,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sign is an honest signature unless the arguments say else.
func (s *scripted) sign(t testing.TB, key identity.PrivateKey, prefix string, static []byte) []byte {
	t.Helper()
	sig, err := key.Sign(append([]byte(prefix), static...))
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func (s *scripted) proof(t testing.TB) *wire.NoiseHandshakePayload {
	return &wire.NoiseHandshakePayload{
		IdentityKey: identity.MarshalPublicKey(s.key.Public()),
		IdentitySig: s.sign(t, s.key, signedPrefix, s.static.Public),
	}
}

func (s *scripted) payload(t testing.TB, m *wire.NoiseHandshakePayload, muxers ...string) []byte {
	t.Helper()
	if muxers != nil {
		m.Extensions = &wire.NoiseExtensions{StreamMuxers: muxers}
	}
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func framed(msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
}

// hostile runs cfg as a core against a scripted remote whose payload is given. againstInitiator says
// which role the core has. It returns the core's error and whether the core was done.
func hostile(t testing.TB, againstInitiator bool, cfg Config, payload func(*scripted) []byte) (error, bool) {
	t.Helper()
	cfg.Initiator = againstInitiator
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := newScripted(t, !againstInitiator, nil)
	if againstInitiator {
		out := h.AppendOutput(nil)
		if _, _, _, err := s.state.ReadMessage(nil, out[lengthSize:]); err != nil {
			t.Fatal(err)
		}
	} else {
		msg, _, _, err := s.state.WriteMessage(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.HandleBytes(framed(msg)); err != nil {
			t.Fatal(err)
		}
		out := h.AppendOutput(nil)
		if _, _, _, err := s.state.ReadMessage(nil, out[lengthSize:]); err != nil {
			t.Fatal(err)
		}
	}
	msg, _, _, err := s.state.WriteMessage(nil, payload(s))
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.HandleBytes(framed(msg))
	if err != nil && len(h.AppendOutput(nil)) > 0 {
		t.Errorf("the core answers after %v", err)
	}
	_, again := h.HandleBytes([]byte("more"))
	if err != nil && again == nil {
		t.Errorf("the failure is not sticky: %v", err)
	}
	_, done := h.Done()
	return err, done
}

func TestPayloadThatProvesNothingIsRefused(t *testing.T) {
	other, err := identity.GenerateKey(identity.Ed25519, seeded(88))
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, MaxMuxers+1)
	for i := range names {
		names[i] = fmt.Sprint("/m/", i)
	}
	for _, c := range []struct {
		name    string
		payload func(*scripted) []byte
		want    error
	}{
		{"empty", func(*scripted) []byte { return nil }, ErrIdentity},
		{"not protobuf", func(*scripted) []byte { return []byte{0x0a, 0xff} }, ErrIdentity},
		{"group", func(*scripted) []byte { return bytes.Repeat([]byte{0x2b}, 12000) }, ErrIdentity},
		{"length near the end of int64", func(*scripted) []byte {
			return []byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}
		}, ErrIdentity},
		{"no key", func(s *scripted) []byte {
			m := s.proof(t)
			m.IdentityKey = nil
			return s.payload(t, m)
		}, ErrIdentity},
		{"no signature", func(s *scripted) []byte {
			m := s.proof(t)
			m.IdentitySig = nil
			return s.payload(t, m)
		}, ErrIdentity},
		{"signature by another key", func(s *scripted) []byte {
			m := s.proof(t)
			m.IdentitySig = s.sign(t, other, signedPrefix, s.static.Public)
			return s.payload(t, m)
		}, ErrIdentity},
		{"key of somebody else", func(s *scripted) []byte {
			m := s.proof(t)
			m.IdentityKey = identity.MarshalPublicKey(other.Public())
			return s.payload(t, m)
		}, ErrIdentity},
		{"signature over another static key", func(s *scripted) []byte {
			m := s.proof(t)
			m.IdentitySig = s.sign(t, s.key, signedPrefix, make([]byte, keySize))
			return s.payload(t, m)
		}, ErrIdentity},
		{"signature without the prefix", func(s *scripted) []byte {
			m := s.proof(t)
			m.IdentitySig = s.sign(t, s.key, "", s.static.Public)
			return s.payload(t, m)
		}, ErrIdentity},
		{"signature under the prefix of TLS", func(s *scripted) []byte {
			m := s.proof(t)
			m.IdentitySig = s.sign(t, s.key, "libp2p-tls-handshake:", s.static.Public)
			return s.payload(t, m)
		}, ErrIdentity},
		{"key with a field more", func(s *scripted) []byte {
			m := s.proof(t)
			m.IdentityKey = append(m.IdentityKey, 0x18, 0x01)
			return s.payload(t, m)
		}, ErrIdentity},
		{"key of 12 KiB", func(s *scripted) []byte {
			m := s.proof(t)
			m.IdentityKey = append([]byte{0x08, 0x00, 0x12, 0x80, 0x60}, make([]byte, 12<<10)...)
			return s.payload(t, m)
		}, ErrIdentity},
		{"101 muxers", func(s *scripted) []byte { return s.payload(t, s.proof(t), names...) }, ErrLimit},
		{"65535 bytes", func(*scripted) []byte { return make([]byte, 65535-keySize-tagSize-tagSize-keySize) }, ErrLimit},
	} {
		for _, againstInitiator := range []bool{true, false} {
			err, done := hostile(t, againstInitiator, config(t, 1), c.payload)
			if !errors.Is(err, c.want) || done {
				t.Errorf("%s, against the initiator %v: done %v, %v", c.name, againstInitiator, done, err)
			}
		}
	}
}

func TestPayloadWithMoreThanWeKnowIsAccepted(t *testing.T) {
	for _, againstInitiator := range []bool{true, false} {
		err, done := hostile(t, againstInitiator, config(t, 1), func(s *scripted) []byte {
			b := s.payload(t, s.proof(t), "/yamux/1.0.0")
			b = append(b, 0x1a, 3, 'o', 'l', 'd')       // field 3 of an older draft
			return append(b, 0xca, 0x3e, 2, 0xff, 0xfe) // an experimental code point, 1001
		})
		if err != nil || !done {
			t.Errorf("against the initiator %v: done %v, %v", againstInitiator, done, err)
		}
	}
}

// lowOrder are the points of small order of curve25519 and the encodings that mean the same
// (cr.yp.to/ecdh.html), with and without the bit that the function ignores.
func lowOrder(t testing.TB) [][]byte {
	t.Helper()
	var points [][]byte
	for _, s := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		p, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		high := bytes.Clone(p)
		high[keySize-1] |= 0x80
		points = append(points, p, high)
	}
	return points
}

func TestLowOrderPointsAreRefused(t *testing.T) {
	for _, point := range lowOrder(t) {
		responder, err := New(config(t, 1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := responder.HandleBytes(framed(point)); !errors.Is(err, ErrHandshake) {
			t.Errorf("responder, ephemeral %x: %v", point, err)
		}
		if out := responder.AppendOutput(nil); len(out) > 0 {
			t.Errorf("responder answers the ephemeral %x", point)
		}

		cfg := config(t, 1)
		cfg.Initiator = true
		initiator, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		initiator.AppendOutput(nil)
		if _, err := initiator.HandleBytes(framed(append(bytes.Clone(point), make([]byte, 200)...))); !errors.Is(err, ErrHandshake) {
			t.Errorf("initiator, ephemeral %x: %v", point, err)
		}

		for _, againstInitiator := range []bool{true, false} {
			if err := lowOrderStatic(t, againstInitiator, point); !errors.Is(err, ErrHandshake) {
				t.Errorf("static %x, against the initiator %v: %v", point, againstInitiator, err)
			}
		}
	}
}

// lowOrderStatic sends a static key that every secret with is zero, signed as it should be.
func lowOrderStatic(t testing.TB, againstInitiator bool, point []byte) error {
	t.Helper()
	cfg := config(t, 1)
	cfg.Initiator = againstInitiator
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	private := bytes.Repeat([]byte{9}, keySize)
	s := newScripted(t, !againstInitiator, &fnoise.DHKey{Private: private, Public: point})
	if !againstInitiator {
		msg, _, _, err := s.state.WriteMessage(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.HandleBytes(framed(msg)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, _, err := s.state.ReadMessage(nil, h.AppendOutput(nil)[lengthSize:]); err != nil {
		t.Fatal(err)
	}
	msg, _, _, err := s.state.WriteMessage(nil, s.payload(t, s.proof(t), "/yamux/1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.HandleBytes(framed(msg))
	return err
}

func TestEveryFlippedBitFailsTheHandshake(t *testing.T) {
	ci, cr := config(t, 1), config(t, 2)
	p := newPair(t, ci, cr)
	p.run()
	p.results(t)
	tried := 0
	for m, msg := range p.messages {
		for bit := range len(msg) * 8 {
			ci.Rand, cr.Rand = seeded(11), seeded(12)
			p := newPair(t, ci, cr)
			p.alter = func(message int, wire []byte) []byte {
				if message == m+1 {
					wire[bit/8] ^= 1 << (bit % 8)
				}
				return wire
			}
			p.run()
			tried++
			_, okI := p.initiator.Done()
			_, okR := p.responder.Done()
			// The initiator is done when it has sent the last message.
			if okR || okI && m < 2 {
				t.Fatalf("message %d with bit %d flipped: initiator done %v, responder done %v", m+1, bit, okI, okR)
			}
		}
	}
	if tried < 3000 {
		t.Errorf("only %d bits were flipped", tried)
	}
	t.Logf("%d bits flipped", tried)
}

func TestTruncatedHandshakeIsNeverDone(t *testing.T) {
	ci, cr := config(t, 1), config(t, 2)
	p := newPair(t, ci, cr)
	p.run()
	p.results(t)
	for m, msg := range p.messages {
		for cut := range msg {
			p := newPair(t, ci, cr)
			p.alter = func(message int, wire []byte) []byte {
				if message == m+1 {
					return wire[:cut]
				}
				return wire
			}
			p.run()
			_, okI := p.initiator.Done()
			_, okR := p.responder.Done()
			if okR || okI && m < 2 || p.errI != nil || p.errR != nil {
				t.Fatalf("message %d cut at %d: initiator %v %v, responder %v %v", m+1, cut, okI, p.errI, okR, p.errR)
			}
		}
	}
}

func TestReplayedHandshakeFails(t *testing.T) {
	ci, cr := config(t, 1), config(t, 2)
	p := newPair(t, ci, cr)
	p.run()
	p.results(t)
	// Same node, new connection: its ephemeral key is another one.
	cr.Rand = seeded(99)
	again, err := New(cr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.HandleBytes(p.messages[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := again.HandleBytes(p.messages[2]); !errors.Is(err, ErrHandshake) {
		t.Fatalf("a replayed last message: %v", err)
	}
	// A message sent back to its sender.
	echo := newPair(t, ci, cr)
	if _, err := echo.initiator.HandleBytes(echo.initiator.AppendOutput(nil)); !errors.Is(err, ErrHandshake) {
		t.Fatalf("an echoed first message: %v", err)
	}
}

func TestAnnouncedLengthIsBelievedOnlyWithinTheBound(t *testing.T) {
	h, err := New(config(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.HandleBytes([]byte{0xff, 0xff}); !errors.Is(err, ErrLimit) {
		t.Errorf("65535 bytes: %v", err)
	}
	if h, err = New(config(t, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.HandleBytes([]byte{MaxHandshakeMessage >> 8, 0, 1}); err != nil || cap(h.part) > 64 {
		t.Errorf("a claim of %d bytes had %d set aside: %v", MaxHandshakeMessage, cap(h.part), err)
	}
	for size := range keySize {
		if h, err = New(config(t, 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := h.HandleBytes(framed(make([]byte, size))); !errors.Is(err, ErrHandshake) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
