package pnet

import (
	"bytes"
	"crypto/sha3"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/crypto/salsa20"
)

func seeded(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

func newKey(t testing.TB, seed byte) *Key {
	t.Helper()
	k, err := GenerateKey(seeded(seed))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newLayer(t testing.TB, key *Key, seed byte) *Layer {
	t.Helper()
	l, err := New(key, seeded(seed))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// oneShot is what the library makes of it.
func oneShot(k *Key, nonce [NonceLen]byte, p []byte) []byte {
	out := make([]byte, len(p))
	salsa20.XORKeyStream(out, p, nonce[:], &k.secret)
	return out
}

func TestTheStreamIsXSalsa20AtEveryBoundary(t *testing.T) {
	key, nonce := newKey(t, 1), [NonceLen]byte{1, 2, 3, 23: 4}
	data := make([]byte, 5*blockLen+7)
	_, _ = seeded(9).Read(data)
	want := oneShot(key, nonce, data)
	for first := range len(data) {
		for _, second := range []int{0, 1, 63, 64, 65, 128} {
			got, s := bytes.Clone(data), newStream(key, &nonce)
			then := min(first+second, len(got))
			s.xor(got[:first])
			s.xor(got[first:then])
			s.xor(got[then:])
			if !bytes.Equal(got, want) {
				t.Fatalf("cut at %d and %d: another stream", first, then)
			}
		}
	}
}

// The counter carries from its low half to its high half after 256 GiB; the library's one-shot form
// would need as many bytes to get there.
func TestTheCounterCarries(t *testing.T) {
	s := newStream(newKey(t, 1), &[NonceLen]byte{})
	for i := 8; i < 12; i++ {
		s.count[i] = 0xff
	}
	whole, parts := make([]byte, 4*blockLen), make([]byte, 4*blockLen)
	again := *s
	s.xor(whole)
	for i := range parts {
		again.xor(parts[i : i+1])
	}
	if !bytes.Equal(whole, parts) || s.count != again.count || s.count[12] != 1 {
		t.Errorf("count %x and %x", s.count, again.count)
	}
}

func TestBothWaysInPiecesOfEverySize(t *testing.T) {
	key := newKey(t, 1)
	text := []byte(strings.Repeat("what only members read ", 20))
	for size := 1; size < len(text)+NonceLen; size++ {
		a, b := newLayer(t, key, 2), newLayer(t, key, 3)
		for _, way := range []struct{ from, to *Layer }{{a, b}, {b, a}} {
			sealed := bytes.Clone(text)
			way.from.Seal(sealed[:size%len(text)])
			way.from.Seal(sealed[size%len(text):])
			wire := append(way.from.AppendNonce(nil), sealed...)
			if !bytes.Equal(sealed, oneShot(key, way.from.nonce, text)) {
				t.Fatal("not what the specification wants")
			}
			var got []byte
			for len(wire) > 0 {
				n := min(size, len(wire))
				p, err := way.to.Open(wire[:n])
				if err != nil {
					t.Fatal(err)
				}
				got, wire = append(got, p...), wire[n:]
			}
			if !bytes.Equal(got, text) {
				t.Fatalf("pieces of %d: %q", size, got)
			}
		}
	}
}

func TestTruncatedAtEveryByteNothingComesTooEarly(t *testing.T) {
	key := newKey(t, 1)
	a := newLayer(t, key, 2)
	text := []byte("the first words")
	sealed := bytes.Clone(text)
	a.Seal(sealed)
	wire := append(a.AppendNonce(nil), sealed...)
	for cut := range len(wire) + 1 {
		b := newLayer(t, key, 3)
		got, err := b.Open(bytes.Clone(wire[:cut]))
		if err != nil || (b.in != nil) != (cut >= NonceLen) || string(got) != string(text[:max(0, cut-NonceLen)]) {
			t.Errorf("cut at %d: %q, heard %v, %v", cut, got, (b.in != nil), err)
		}
	}
}

func TestAnotherKeyReadsNoise(t *testing.T) {
	a, b := newLayer(t, newKey(t, 1), 2), newLayer(t, newKey(t, 4), 3)
	p := []byte("the first words")
	a.Seal(p)
	got, err := b.Open(append(a.AppendNonce(nil), p...))
	if err != nil || string(got) == "the first words" || len(got) != len(p) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWhoIsNoMemberIsToldApart(t *testing.T) {
	key := newKey(t, 1)
	for name, c := range map[string]struct {
		begins string
		want   error
	}{
		"without a key":   {"\x13/multistream/1.0.0\n\x07/noise\n", ErrPlain},
		"our own nonce":   {string(newLayer(t, key, 3).AppendNonce(nil)), ErrReflected},
		"HTTP is a nonce": {"GET / HTTP/1.1\r\nHost: example.org\r\n", nil},
	} {
		for size := 1; size <= len(c.begins); size++ {
			l := newLayer(t, key, 3)
			var err error
			for rest := []byte(c.begins); len(rest) > 0 && err == nil; {
				n := min(size, len(rest))
				_, err = l.Open(rest[:n])
				rest = rest[n:]
			}
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Fatalf("%s, in pieces of %d: %v", name, size, err)
			}
		}
	}
}

func TestKeyFiles(t *testing.T) {
	const (
		head = "/key/swarm/psk/1.0.0/\n"
		hex  = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
		b64  = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
	)
	var want Key
	for i := range want.secret {
		want.secret[i] = byte(i + 1)
	}
	for _, good := range []string{
		head + "/base16/\n" + hex, head + "/base16/\n" + hex + "\n", head + "/base16/\n" + strings.ToUpper(hex) + " \r\n",
		strings.ReplaceAll(head, "\n", "\r\n") + "/base16/\r\n" + hex, head + "/base64/\n" + b64 + "\n",
		head + "/bin/\n" + string(want.secret[:]), string(want.AppendFile(nil)),
	} {
		k, err := ParseKey([]byte(good))
		if err != nil || *k != want {
			t.Errorf("%q: %v", good, err)
		}
	}
	for name, bad := range map[string]string{
		"nothing": "", "another codec": "/key/swarm/psk/2.0.0/\n/base16/\n" + hex, "no form": head, "unknown form": head + "/base32/\n" + hex,
		"a key alone": hex, "short": head + "/base16/\n" + hex[2:], "long": head + "/base16/\n" + hex + "00", "odd": head + "/base16/\n" + hex[1:],
		"not hex": head + "/base16/\n" + "zz" + hex[2:], "bin with a newline": head + "/bin/\n" + string(want.secret[:]) + "\n",
		"base64 cut": head + "/base64/\n" + b64[:40], "zeros": head + "/base16/\n" + strings.Repeat("00", 32),
	} {
		k, err := ParseKey([]byte(bad))
		if !errors.Is(err, ErrKeyFile) || k != nil {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), hex[4:20]) {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
	whole := want.AppendFile(nil)
	for cut := range len(whole) - 1 {
		if _, err := ParseKey(whole[:cut]); !errors.Is(err, ErrKeyFile) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
}

func TestKeysDoNotShowThemselves(t *testing.T) {
	k := newKey(t, 1)
	secret := fmt.Sprintf("%x", k.secret[:4])
	for _, s := range []string{
		fmt.Sprint(k), fmt.Sprintf("%#v", k), fmt.Sprintf("%+v", k), fmt.Sprintf("%x", k), fmt.Sprintf("%d", k),
		fmt.Sprint(*k), fmt.Sprintf("%#v", *k), fmt.Sprintf("%x", *k), fmt.Sprintf("%+v", struct{ K Key }{*k}),
	} {
		if !strings.Contains(s, "private network ") || strings.Contains(s, secret) {
			t.Errorf("%s", s)
		}
	}
	if k.Fingerprint() == newKey(t, 2).Fingerprint() {
		t.Error("two networks look alike")
	}
	// As Kubo makes it: SHAKE128 of the first block under the nonce "finprint".
	first := make([]byte, 64)
	salsa20.XORKeyStream(first, first, []byte("finprint"), &k.secret)
	if want := sha3.SumSHAKE128(first, 16); [16]byte(want) != k.Fingerprint() {
		t.Errorf("%x, want %x", k.Fingerprint(), want)
	}
}

func TestARandomSourceThatFailsIsALocalFault(t *testing.T) {
	none := iotest.ErrReader(errors.New("no entropy"))
	if _, err := New(newKey(t, 1), none); !errors.Is(err, ErrLocal) {
		t.Errorf("New: %v", err)
	}
	if _, err := GenerateKey(none); !errors.Is(err, ErrLocal) {
		t.Errorf("GenerateKey: %v", err)
	}
}

func FuzzStream(f *testing.F) {
	f.Add([]byte("some bytes"), uint16(3), byte(1))
	f.Add(make([]byte, 300), uint16(64), byte(2))
	f.Fuzz(func(t *testing.T, data []byte, size uint16, seed byte) {
		key, nonce := newKey(t, seed), [NonceLen]byte{seed}
		got, s := bytes.Clone(data), newStream(key, &nonce)
		for rest := got; len(rest) > 0; {
			n := min(int(size)%200+1, len(rest))
			s.xor(rest[:n])
			rest, size = rest[n:], size*31+7
		}
		if !bytes.Equal(got, oneShot(key, nonce, data)) {
			t.Error("another stream")
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add(newKey(f, 1).AppendFile(nil))
	f.Add([]byte("/key/swarm/psk/1.0.0/\r\n/bin/\r\n0123456789abcdef0123456789abcdef"))
	f.Fuzz(func(t *testing.T, file []byte) {
		k, err := ParseKey(file)
		if err != nil {
			if !errors.Is(err, ErrKeyFile) {
				t.Error(err)
			}
			return
		}
		if again, err := ParseKey(k.AppendFile(nil)); err != nil || *again != *k {
			t.Errorf("%v does not come back: %v", k, err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	for _, size := range []int{64, 1 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			l, p := newLayer(b, newKey(b, 1), 2), make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				l.Seal(p)
			}
		})
	}
}
