package chachapoly

import (
	"bytes"
	"crypto/cipher"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
)

// The reference is x/crypto's cipher. What is too short for the wide path goes to it anyway.

func TestSealsAndOpensLikeTheReference(t *testing.T) {
	r := random(t)
	for _, n := range lengths() {
		key, nonce, text := r.bytes(KeySize), r.bytes(NonceSize), r.bytes(n)
		ours, theirs := ciphers(t, key)
		want := theirs.Seal(nil, nonce, text, nil)

		prefix := []byte("what was there")
		got := ours.Seal(slices.Clone(prefix), nonce, text, nil)
		if !bytes.Equal(got, append(slices.Clone(prefix), want...)) {
			t.Fatalf("%d bytes: sealed to something else", n)
		}
		inPlace := append(make([]byte, 0, n+Overhead), text...)
		if got := ours.Seal(inPlace[:0], nonce, inPlace, nil); !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: sealed in place to something else", n)
		}
		opened, err := ours.Open(slices.Clone(prefix), nonce, want, nil)
		if err != nil || !bytes.Equal(opened, append(slices.Clone(prefix), text...)) {
			t.Fatalf("%d bytes: opened to something else, error %v", n, err)
		}
		opened, err = ours.Open(want[:0], nonce, want, nil)
		if err != nil || !bytes.Equal(opened, text) {
			t.Fatalf("%d bytes: opened in place to something else, error %v", n, err)
		}
	}
}

func TestAdditionalDataIsAuthenticated(t *testing.T) {
	r := random(t)
	key, nonce, text, additional := r.bytes(KeySize), r.bytes(NonceSize), r.bytes(5000), r.bytes(13)
	ours, theirs := ciphers(t, key)
	sealed := ours.Seal(nil, nonce, text, additional)
	if !bytes.Equal(sealed, theirs.Seal(nil, nonce, text, additional)) {
		t.Fatal("sealed to something else")
	}
	if _, err := ours.Open(nil, nonce, sealed, nil); err == nil {
		t.Error("opened without the additional data")
	}
}

func TestRefusesWhatIsNotWhatWasSealed(t *testing.T) {
	r := random(t)
	const n = 3000
	key, nonce, text := r.bytes(KeySize), r.bytes(NonceSize), r.bytes(n)
	ours, _ := ciphers(t, key)
	sealed := ours.Seal(nil, nonce, text, nil)
	refuses := func(what string, nonce, sealed []byte) {
		t.Helper()
		dst := bytes.Repeat([]byte{7}, n)
		if _, err := ours.Open(dst[:0], nonce, sealed, nil); err == nil {
			t.Errorf("opened with %s", what)
		}
		if len(bytes.Trim(dst, "\x00\x07")) > 0 { // the reference wipes it
			t.Fatalf("%s: text that is not authentic was written", what)
		}
	}
	for i := range sealed {
		bad := slices.Clone(sealed)
		bad[i] ^= 1 << (i % 8)
		refuses(fmt.Sprintf("another byte %d", i), nonce, bad)
	}
	for _, cut := range []int{1, 15, 16, 17, 128, 900} {
		refuses(fmt.Sprintf("%d bytes less", cut), nonce, sealed[:len(sealed)-cut])
	}
	refuses("a byte more", nonce, append(slices.Clone(sealed), 0))
	other := slices.Clone(nonce)
	other[11] ^= 1
	refuses("another nonce", other, sealed)
	for short := range Overhead {
		if _, err := ours.Open(nil, nonce, sealed[:short], nil); err == nil {
			t.Errorf("opened %d bytes", short)
		}
	}
}

func TestRefusesKeysAndNoncesOfOtherSizes(t *testing.T) {
	for _, n := range []int{0, KeySize - 1, KeySize + 1} {
		if _, err := New(make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes was taken", n)
		}
	}
	aead, _ := ciphers(t, make([]byte, KeySize))
	for _, n := range []int{0, NonceSize - 1, NonceSize + 1} {
		panics(t, fmt.Sprintf("a nonce of %d bytes", n), func() {
			aead.Seal(nil, make([]byte, n), make([]byte, 5000), nil)
		})
	}
}

func TestRefusesBuffersThatOverlap(t *testing.T) {
	aead, _ := ciphers(t, make([]byte, KeySize))
	nonce := make([]byte, NonceSize)
	for _, ahead := range []int{1, 64, 4000} {
		b := make([]byte, 12000)
		panics(t, fmt.Sprintf("text %d bytes in front of its place", ahead), func() {
			aead.Seal(b[ahead:ahead], nonce, b[:5000], nil)
		})
		panics(t, fmt.Sprintf("text %d bytes behind its place", ahead), func() {
			aead.Seal(b[:0], nonce, b[ahead:ahead+5000], nil)
		})
	}
}

func TestIsUsedByManyAtOnce(t *testing.T) {
	r := random(t)
	aead, _ := ciphers(t, r.bytes(KeySize))
	nonce, text := r.bytes(NonceSize), r.bytes(20000)
	want := aead.Seal(nil, nonce, text, nil)
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			for range 50 {
				if got := aead.Seal(nil, nonce, text, nil); !bytes.Equal(got, want) {
					t.Error("sealed to something else")
				}
				if got, err := aead.Open(nil, nonce, want, nil); err != nil || !bytes.Equal(got, text) {
					t.Error("opened to something else:", err)
				}
			}
		})
	}
	users.Wait()
}

func FuzzLikeTheReference(f *testing.F) {
	f.Add(make([]byte, KeySize), make([]byte, NonceSize), []byte("text"), 2048, 0)
	f.Fuzz(func(t *testing.T, key, nonce, text []byte, length, flip int) {
		if len(key) != KeySize || len(nonce) != NonceSize || len(text) == 0 {
			return
		}
		text = bytes.Repeat(text, 1+(length&0xffff)/len(text))[:length&0xffff]
		ours, theirs := ciphers(t, key)
		sealed := ours.Seal(nil, nonce, text, nil)
		if !bytes.Equal(sealed, theirs.Seal(nil, nonce, text, nil)) {
			t.Fatalf("%d bytes: sealed to something else", len(text))
		}
		if opened, err := ours.Open(nil, nonce, sealed, nil); err != nil || !bytes.Equal(opened, text) {
			t.Fatalf("%d bytes: opened to something else, error %v", len(text), err)
		}
		sealed[uint(flip)%uint(len(sealed))] ^= 1
		if _, err := ours.Open(nil, nonce, sealed, nil); err == nil {
			t.Fatalf("%d bytes: opened with another byte %d", len(text), uint(flip)%uint(len(sealed)))
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	bench(b, func(b *testing.B, aead cipher.AEAD, nonce, text []byte) {
		for b.Loop() {
			aead.Seal(text[:0], nonce, text, nil)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	bench(b, func(b *testing.B, aead cipher.AEAD, nonce, text []byte) {
		sealed := aead.Seal(nil, nonce, text, nil)
		for b.Loop() {
			if _, err := aead.Open(text[:0], nonce, sealed, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// bench measures the reference beside ours.
func bench(b *testing.B, run func(*testing.B, cipher.AEAD, []byte, []byte)) {
	for _, n := range []int{1024, 2048, 4096, 16320, 65519} {
		ours, theirs := ciphers(b, make([]byte, KeySize))
		for name, aead := range map[string]cipher.AEAD{"ours": ours, "x-crypto": theirs} { // order-free: each alone
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(n))
				run(b, aead, make([]byte, NonceSize), make([]byte, n, n+Overhead))
			})
		}
	}
}

func ciphers(t testing.TB, key []byte) (ours, theirs cipher.AEAD) {
	t.Helper()
	ours, err := New(key)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err = chacha20poly1305.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// lengths around everything that is taken at a time, and those of Noise's frames.
func lengths() []int {
	var all []int
	for n := range 200 {
		all = append(all, n)
	}
	for _, around := range []int{960, 1024, 2048, 960 + 1024, 960 + 2*1024, 16 << 10, 65519} {
		for n := around - 140; n <= around+140; n++ {
			all = append(all, n)
		}
	}
	return all
}

type source struct{ *rand.ChaCha8 }

// random is another one each time, by a seed that is told.
func random(t *testing.T) source {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32())
	}
	t.Log("seed", hex.EncodeToString(seed[:]))
	return source{rand.NewChaCha8(seed)}
}

func (s source) bytes(n int) []byte {
	b := make([]byte, n)
	_, _ = s.Read(b) // it has no errors
	return b
}

func panics(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s was taken", what)
		}
	}()
	f()
}
