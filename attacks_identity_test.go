package troupe_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	fnoise "github.com/flynn/noise"
	"google.golang.org/protobuf/proto"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/identity"
	wireidentify "github.com/troupe-p2p/troupe/messages/wire/identify"
	wirekeys "github.com/troupe-p2p/troupe/messages/wire/keys"
	wirenoise "github.com/troupe-p2p/troupe/messages/wire/noise"
	"github.com/troupe-p2p/troupe/testkit/script"
)

// handshake is Noise XX by hand, of the side that dials, so that anything can be put into it.
type handshake struct {
	t          *testing.T
	p          *script.Peer
	hs         *fnoise.HandshakeState
	static     fnoise.DHKey
	send, recv *fnoise.CipherState
}

func shake(t *testing.T, p *script.Peer) *handshake {
	t.Helper()
	suite := fnoise.NewCipherSuite(fnoise.DH25519, fnoise.CipherChaChaPoly, fnoise.HashSHA256)
	static, err := suite.GenerateKeypair(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	hs, err := fnoise.NewHandshakeState(fnoise.Config{
		CipherSuite: suite, Random: rand.Reader, Pattern: fnoise.HandshakeXX, Initiator: true, StaticKeypair: static,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &handshake{t: t, p: p, hs: hs, static: static}
}

// write makes the next message; the ciphers are there after the last one.
func (h *handshake) write(payload []byte) []byte {
	h.t.Helper()
	msg, send, recv, err := h.hs.WriteMessage(nil, payload)
	if err != nil {
		h.t.Fatal(err)
	}
	h.send, h.recv = send, recv
	return msg
}

// begin plays the first two messages.
func (h *handshake) begin() {
	h.t.Helper()
	proposeNoise(h.p)
	h.p.Send(script.Record(h.write(nil)))
	msg := slices.Clone(h.p.Peek("the node proves itself", script.AnyRecord))
	h.p.Want("the node proves itself", script.Any(2+int(binary.BigEndian.Uint16(msg))))
	if _, _, _, err := h.hs.ReadMessage(nil, msg[2:2+int(binary.BigEndian.Uint16(msg))]); err != nil {
		h.t.Fatal(err)
	}
}

// proof signs the static key.
func (h *handshake) proof(key ed25519.PrivateKey, public []byte) []byte {
	return payload(public, ed25519.Sign(key, append([]byte("noise-libp2p-static-key:"), h.static.Public...)))
}

func payload(public, signature []byte) []byte {
	b, err := proto.Marshal(&wirenoise.NoiseHandshakePayload{IdentityKey: public, IdentitySig: signature})
	if err != nil {
		panic(err)
	}
	return b
}

func publicKey(kind wirekeys.KeyType, data []byte) []byte {
	b, err := proto.Marshal(&wirekeys.PublicKey{Type: &kind, Data: data})
	if err != nil {
		panic(err)
	}
	return b
}

func newEd25519(t *testing.T) (ed25519.PrivateKey, []byte) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private, publicKey(wirekeys.KeyType_Ed25519, public)
}

// proofs plays handshakes that differ in the last payload, each of which the node ends at once.
func proofs(t *testing.T, all map[string]func(h *handshake) []byte) {
	t.Helper()
	attacked(t, streamGrounds(t), func(t *testing.T, v *victim) {
		for name, last := range all {
			began := time.Now()
			h := shake(t, v.dial(name))
			h.begin()
			h.p.Send(script.Record(h.write(last(h))))
			endsAtOnce(t, h.p, began)
		}
	})
}

// rsaKey is a public key with a modulus of so many bits, of which nobody knows the factors.
func rsaKey(bits int, exponent int, odd bool) []byte {
	n := new(big.Int).SetBit(new(big.Int), bits-1, 1)
	if odd {
		n.SetBit(n, 0, 1)
	}
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: exponent})
	if err != nil {
		panic(err)
	}
	return publicKey(wirekeys.KeyType_RSA, der)
}

func TestB13KeysThatCostOrAreNone(t *testing.T) {
	all := map[string]func(*handshake) []byte{}
	for name, key := range map[string][]byte{
		"RSA, 512 bits":            rsaKey(512, 65537, true),
		"RSA, 16384 bits":          rsaKey(16384, 65537, true),
		"RSA, 65536 bits":          rsaKey(65536, 65537, true),
		"RSA, exponent 1":          rsaKey(2048, 1, true),
		"RSA, even modulus":        rsaKey(2048, 65537, false),
		"RSA, no DER":              publicKey(wirekeys.KeyType_RSA, bytes.Repeat([]byte{0x30, 0x84, 0xff}, 100)),
		"ECDSA, no DER":            publicKey(wirekeys.KeyType_ECDSA, []byte("\x30\x84\xff\xff\xff\xff")),
		"an unknown kind":          publicKey(wirekeys.KeyType(9), make([]byte, 32)),
		"Ed25519, of 31 bytes":     publicKey(wirekeys.KeyType_Ed25519, make([]byte, 31)),
		"Ed25519, of small order":  publicKey(wirekeys.KeyType_Ed25519, append([]byte{1}, make([]byte, 31)...)),
		"secp256k1, off the curve": publicKey(wirekeys.KeyType_Secp256k1, append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...)),
	} {
		all[name] = func(*handshake) []byte { return payload(key, make([]byte, 256)) }
	}
	proofs(t, all)
}

// lowOrder are the points of X25519 whose product with anything is zero, and encodings of them.
var lowOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

func TestB14PointsOfSmallOrder(t *testing.T) {
	attacked(t, streamGrounds(t), func(t *testing.T, v *victim) {
		for _, point := range lowOrder {
			began := time.Now()
			p := v.dial(point)
			proposeNoise(p)
			p.Send(script.Record(unhex(t, point)))
			endsAtOnce(t, p, began)
		}
	})
}

func TestB15ProofsThatAreNone(t *testing.T) {
	key, public := newEd25519(t)
	attacked(t, streamGrounds(t), func(t *testing.T, v *victim) { // the same with a proof that is one
		h := shake(t, v.dial("honest"))
		h.begin()
		h.p.Send(script.Record(h.write(h.proof(key, public))))
		h.p.Send(h.sealed(string(script.Header.Append(nil))))
		h.p.Want("the node goes on in the channel", script.AnyRecord)
	})
	otherKey, otherPublic := newEd25519(t)
	good := func(h *handshake) []byte { return h.proof(key, public) }
	all := map[string]func(*handshake) []byte{
		"by another key":           func(h *handshake) []byte { return h.proof(otherKey, public) },
		"for another static key":   func(h *handshake) []byte { return shake(h.t, h.p).proof(key, public) },
		"without the prefix":       func(h *handshake) []byte { return payload(public, ed25519.Sign(key, h.static.Public)) },
		"no signature":             func(*handshake) []byte { return payload(public, nil) },
		"no key":                   func(h *handshake) []byte { return payload(nil, ed25519.Sign(key, h.static.Public)) },
		"nothing":                  func(*handshake) []byte { return nil },
		"no protobuf":              func(*handshake) []byte { return bytes.Repeat([]byte{0xff}, 100) },
		"cut":                      func(h *handshake) []byte { return good(h)[:50] },
		"as long as can be":        func(*handshake) []byte { return make([]byte, 65535-16-48) },
		"a claim to be the other":  func(h *handshake) []byte { return h.proof(key, otherPublic) },
		"a signature and one byte": func(h *handshake) []byte { return append(good(h), 0x12, 0x01, 'x') },
	}
	for bit := 0; bit < 1024; bit += 97 {
		all["a flipped bit "+string(rune('a'+bit/97))] = func(h *handshake) []byte {
			p := good(h)
			p[bit/8%len(p)] ^= 1 << (bit % 8)
			return p
		}
	}
	proofs(t, all)
}

func TestB17AnotherPeerAnswers(t *testing.T) {
	attacked(t, allGrounds(t), func(t *testing.T, v *victim) {
		dialer, absent := newNode(t, v.ground.on), newNode(t, v.ground.on)
		_, err := dialer.Dial(bounded(t), absent.ID(), v.ListenAddrs()[0])
		wantError(t, err, troupe.ErrIdentityMismatch)
		var e *identity.MismatchError
		if !errors.As(err, &e) || e.Actual != v.ID() || e.Expected != absent.ID() {
			t.Errorf("%v does not say who answered", err)
		}
		nobody(t, dialer)
	})
}

// sealed is a frame of the established channel.
func (h *handshake) sealed(plain string) script.Record {
	h.t.Helper()
	out, err := h.send.Encrypt(nil, nil, []byte(plain))
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func TestB18WhatWasSaidBefore(t *testing.T) {
	key, public := newEd25519(t)
	proven := func(t *testing.T, p *script.Peer) *handshake {
		h := shake(t, p)
		h.begin()
		p.Send(script.Record(h.write(h.proof(key, public))))
		return h
	}
	header := string(script.Header.Append(nil))
	for name, play := range map[string]func(t *testing.T, v *victim) *script.Peer{
		"a handshake is replayed": func(t *testing.T, v *victim) *script.Peer {
			first := shake(t, v.dial("first"))
			proposeNoise(first.p)
			one := first.write(nil)
			first.p.Send(script.Record(one))
			msg := slices.Clone(first.p.Peek("the node proves itself", script.AnyRecord))
			if _, _, _, err := first.hs.ReadMessage(nil, msg[2:2+int(binary.BigEndian.Uint16(msg))]); err != nil {
				t.Fatal(err)
			}
			three := first.write(first.proof(key, public))
			first.p.Close()
			p := v.dial("again")
			proposeNoise(p)
			p.Send(script.Record(one), script.Record(three))
			return p
		},
		"a frame is replayed": func(t *testing.T, v *victim) *script.Peer {
			h := proven(t, v.dial(""))
			f := h.sealed(header)
			h.p.Send(f, f)
			return h.p
		},
		"two frames are swapped": func(t *testing.T, v *victim) *script.Peer {
			h := proven(t, v.dial(""))
			f, g := h.sealed(header[:5]), h.sealed(header[5:])
			h.p.Send(g, f)
			return h.p
		},
		"a frame is cut": func(t *testing.T, v *victim) *script.Peer {
			h := proven(t, v.dial(""))
			h.p.Send(h.sealed(header)[:20])
			return h.p
		},
		"a frame is shorter than its tag": func(t *testing.T, v *victim) *script.Peer {
			h := proven(t, v.dial(""))
			h.p.Send(script.Record("short"))
			return h.p
		},
		"a bit is flipped": func(t *testing.T, v *victim) *script.Peer {
			h := proven(t, v.dial(""))
			f := h.sealed(header)
			f[3] ^= 1
			h.p.Send(f)
			return h.p
		},
	} {
		t.Run(name, func(t *testing.T) {
			attacked(t, streamGrounds(t), func(t *testing.T, v *victim) {
				began := time.Now()
				endsAtOnce(t, play(t, v), began)
			})
		})
	}
}

// TestB12LiesInIdentify: what a remote says of itself and of us changes nothing that it has no right to.
func TestB12LiesInIdentify(t *testing.T) {
	attacked(t, streamGrounds(t), func(t *testing.T, v *victim) {
		own, events := v.Addrs(), v.Subscribe(t.Context(), 0)
		p := v.dial("liar")
		key := p.NewKey()
		p.Upgrade("the node is there", script.Noise{Key: key})
		s := p.Mux().Accept("the node asks who is there")
		s.Answer("it asks by identify", "/ipfs/id/1.0.0")
		liar, _ := identity.IDFromKey(key.Public())
		somebody, _ := newKey(t)
		s.Send(script.Delimited(&wireidentify.Identify{
			PublicKey:    identity.MarshalPublicKey(somebody.Public()), // not the one that was proven
			ObservedAddr: multiaddr(t, "/ip4/8.8.8.8/tcp/1").Bytes(),
			ListenAddrs: [][]byte{
				multiaddr(t, "/ip4/192.168.1.1/tcp/1").Bytes(),
				multiaddr(t, "/ip4/8.8.4.4/tcp/1/p2p/"+v.ID().String()).Bytes(),
				[]byte("no address"),
			},
			Protocols: []string{"/evil/1.0.0"},
		}))
		s.CloseWrite()
		if e := next(t, events, troupe.EventIdentifyError); e.Peer != liar {
			t.Errorf("%+v", e)
		}
		if got := v.Addrs(); len(got) != len(own) {
			t.Errorf("one liar has it advertise %v", got)
		}
		p.Close()
	})
}
