package plaintext

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/troupe-p2p/troupe/identity"
	wire "github.com/troupe-p2p/troupe/messages/wire/plaintext"

	"google.golang.org/protobuf/proto"
)

func newKey(t testing.TB, kind identity.KeyType, seed byte) identity.PublicKey {
	t.Helper()
	key, err := identity.GenerateKey(kind, rand.NewChaCha8([32]byte{seed}))
	if err != nil {
		t.Fatal(err)
	}
	return key.Public()
}

func start(t testing.TB, key identity.PublicKey) (*Handshake, []byte) {
	t.Helper()
	h, err := New(key)
	if err != nil {
		t.Fatal(err)
	}
	return h, h.AppendOutput(nil)
}

func TestExchangeTellsThePeerForEveryKeyTypeAndSplit(t *testing.T) {
	for _, kind := range []identity.KeyType{identity.Ed25519, identity.Secp256k1, identity.ECDSA, identity.RSA} {
		a, b := newKey(t, kind, 1), newKey(t, identity.Ed25519, 2)
		_, fromA := start(t, a)
		input := append(fromA, "data"...)
		for size := 1; size <= len(input); size += 1 + size/8 {
			h, _ := start(t, b)
			rest := input
			for {
				n, err := h.HandleBytes(rest[:min(size, len(rest))])
				if err != nil {
					t.Fatalf("%v in pieces of %d: %v", kind, size, err)
				}
				rest = rest[n:]
				if _, ok := h.Done(); ok {
					break
				}
			}
			r, _ := h.Done()
			if !r.Peer.MatchesKey(a) || !r.PublicKey.Equal(a) || string(rest) != "data" {
				t.Fatalf("%v in pieces of %d: %v, left %q", kind, size, r.Peer, rest)
			}
		}
		for cut := range fromA {
			h, _ := start(t, b)
			n, err := h.HandleBytes(fromA[:cut])
			if _, ok := h.Done(); ok || err != nil || n != cut {
				t.Fatalf("%v cut at %d: done %v, used %d, %v", kind, cut, ok, n, err)
			}
		}
	}
}

func TestDataPassesAsItIs(t *testing.T) {
	h, out := start(t, newKey(t, identity.Ed25519, 1))
	if _, err := h.HandleBytes(out); err != nil {
		t.Fatal(err)
	}
	r, _ := h.Done()
	sealed, err := r.Seal.Seal([]byte("a"), []byte("bc"))
	if err != nil || string(sealed) != "abc" || r.Seal.SealedSize(2) != 2 {
		t.Fatalf("%q %v", sealed, err)
	}
	r.Open.Feed(sealed)
	if p, ok, err := r.Open.Next(); string(p) != "abc" || !ok || err != nil {
		t.Fatalf("%q %v %v", p, ok, err)
	}
	if _, ok, _ := r.Open.Next(); ok {
		t.Fatal("the same bytes came twice")
	}
}

func message(t testing.TB, m *wire.Exchange) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.AppendUvarint(nil, uint64(len(b))), b...)
}

func TestHostileExchangesAreRefused(t *testing.T) {
	key, other := newKey(t, identity.Ed25519, 1), newKey(t, identity.Ed25519, 2)
	peer, err := identity.IDFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pub := identity.MarshalPublicKey(key)
	for _, c := range []struct {
		name string
		wire []byte
		want error
	}{
		{"empty", []byte{0}, ErrExchange},
		{"not protobuf", []byte{2, 0x0a, 0xff}, ErrExchange},
		{"no key", message(t, &wire.Exchange{Id: peer.Bytes()}), ErrExchange},
		{"no ID", message(t, &wire.Exchange{Pubkey: pub}), ErrExchange},
		{"another peer's key", message(t, &wire.Exchange{Id: peer.Bytes(), Pubkey: identity.MarshalPublicKey(other)}), identity.ErrMismatch},
		{"bad ID", message(t, &wire.Exchange{Id: []byte{0x12, 0x20, 1}, Pubkey: pub}), ErrExchange},
		{"over 4 KiB", binary.AppendUvarint(nil, MaxMessage+1), ErrLimit},
		{"2^63", binary.AppendUvarint(nil, 1<<63), ErrLimit},
		{"varint without end", bytes.Repeat([]byte{0xff}, 20), ErrLimit},
		{"not minimal", []byte{0x82, 0x00, 0, 0}, ErrExchange},
	} {
		for _, size := range []int{1, len(c.wire)} {
			h, _ := start(t, key)
			var got error
			for rest := c.wire; len(rest) > 0 && got == nil; {
				var n int
				n, got = h.HandleBytes(rest[:min(size, len(rest))])
				rest = rest[n:]
			}
			if !errors.Is(got, c.want) {
				t.Errorf("%s in pieces of %d: %v", c.name, size, got)
			}
			if _, again := h.HandleBytes([]byte{1}); !errors.Is(again, c.want) {
				t.Errorf("%s: the failure is not sticky: %v", c.name, again)
			}
		}
	}
	if _, err := New(nil); !errors.Is(err, ErrLocal) {
		t.Errorf("no key of our own: %v", err)
	}
}

func FuzzHandshake(f *testing.F) {
	key := newKey(f, identity.Ed25519, 1)
	_, good := start(f, key)
	f.Add(good, uint8(3))
	f.Add([]byte{0xff, 0xff, 0xff}, uint8(0))
	f.Fuzz(func(t *testing.T, wire []byte, size uint8) {
		h, _ := start(t, key)
		for len(wire) > 0 {
			p := wire[:min(int(size)+1, len(wire))]
			n, err := h.HandleBytes(p)
			if n < 0 || n > len(p) || len(h.in) > MaxMessage+2 {
				t.Fatalf("used %d of %d bytes, holds %d", n, len(p), len(h.in))
			}
			r, done := h.Done()
			if done && !r.Peer.MatchesKey(r.PublicKey) {
				t.Fatal("a peer with another's key")
			}
			if err != nil || done {
				return
			}
			wire = wire[n:]
		}
	})
}
