//go:build !purego

package chachapoly

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"

	"golang.org/x/crypto/chacha20"
)

// wideHere says whether this processor can run the assembly. On one that cannot, nobody may get it.
func wideHere(t *testing.T) bool {
	t.Helper()
	if aead, _ := ciphers(t, make([]byte, KeySize)); !haveWide {
		if _, is := aead.(*wide); is {
			t.Error("the assembly is used on a processor that lacks AVX-512F or IFMA")
		}
		t.Log("this processor cannot run the assembly")
	}
	return haveWide
}

func TestKeystreamIsTheCiphersAtEveryCounter(t *testing.T) {
	if !wideHere(t) {
		return
	}
	r := random(t)
	for _, from := range []uint32{0, 1, 15, 16, 255, 1<<16 - 3, 1<<31 - 5, 1<<32 - 48} {
		key, nonce, text := r.bytes(KeySize), r.bytes(NonceSize), r.bytes(3*xorChunk)
		state := [16]uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 12: from}
		for i := range 8 {
			state[4+i] = binary.LittleEndian.Uint32(key[4*i:])
		}
		for i := range 3 {
			state[13+i] = binary.LittleEndian.Uint32(nonce[4*i:])
		}
		theirs, err := chacha20.NewUnauthenticatedCipher(key, nonce)
		if err != nil {
			t.Fatal(err)
		}
		theirs.SetCounter(from)
		want := make([]byte, len(text))
		theirs.XORKeyStream(want, text)
		got := make([]byte, len(text)+1)
		xorChunks(&got[0], &text[0], 3, &state)
		if !bytes.Equal(got[:len(text)], want) || got[len(text)] != 0 {
			t.Errorf("from block %d: another keystream", from)
		}
		if state[12] != from+48 {
			t.Errorf("from block %d: counted on to %d", from, state[12])
		}
	}
}

// polynomial is RFC 8439, 2.5, in big numbers, of a padded text with its length behind it.
func polynomial(key *[32]byte, text []byte) []byte {
	number := func(b []byte) *big.Int {
		b = slices.Clone(b)
		slices.Reverse(b)
		return new(big.Int).SetBytes(b)
	}
	clamp, _ := new(big.Int).SetString("0ffffffc0ffffffc0ffffffc0fffffff", 16)
	r := new(big.Int).And(number(key[:16]), clamp)
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))
	padded := append(slices.Clone(text), make([]byte, -len(text)&15)...)
	padded = binary.LittleEndian.AppendUint64(append(padded, make([]byte, 8)...), uint64(len(text)))
	sum := new(big.Int)
	for block := range slices.Chunk(padded, macBlock) {
		sum.Add(sum, number(append(slices.Clone(block), 1)))
		sum.Mod(sum.Mul(sum, r), p)
	}
	sum.Add(sum, number(key[16:]))
	tag := sum.And(sum, new(big.Int).SetBytes(bytes.Repeat([]byte{255}, 16))).FillBytes(make([]byte, 16))
	slices.Reverse(tag)
	return tag
}

// The ciphertext is the remote's to choose, and the key may be anything: limbs must not run over at
// the ends of what they can be.
func TestTagIsThePolynomial(t *testing.T) {
	if !wideHere(t) {
		return
	}
	r := random(t)
	keys := [][]byte{
		make([]byte, 32),
		bytes.Repeat([]byte{255}, 32),
		append(bytes.Repeat([]byte{255}, 16), make([]byte, 16)...),
		append([]byte{1}, make([]byte, 31)...),
		append([]byte{2}, bytes.Repeat([]byte{255}, 31)...),
		append([]byte{4: 4}, make([]byte, 27)...),
		append([]byte{12: 4}, make([]byte, 19)...),
		append([]byte{15: 15}, make([]byte, 16)...),
	}
	for range 20 {
		keys = append(keys, r.bytes(32))
	}
	texts := func(n int) [][]byte {
		var sparse []byte
		for len(sparse) < n { // blocks that cancel each other: 2^128 and 5 less than it
			sparse = append(sparse, bytes.Repeat([]byte{0}, 16)...)
			sparse = append(sparse, 0xfb)
			sparse = append(sparse, bytes.Repeat([]byte{255}, 15)...)
		}
		return [][]byte{make([]byte, n), bytes.Repeat([]byte{255}, n), sparse[:n], r.bytes(n)}
	}
	for _, n := range []int{0, 1, 15, 16, 17, 112, 127, 128, 129, 143, 144, 240, 255, 256, 257, 384, 1000, 2048, 16320} {
		for _, text := range texts(n) {
			for _, key := range keys {
				var m mac
				var tag [macBlock]byte
				m.reset((*[32]byte)(key))
				m.sum(tag[:], text)
				if want := polynomial((*[32]byte)(key), text); !bytes.Equal(tag[:], want) {
					t.Fatalf("key %x, %d bytes of %.16x...: tag %x, want %x", key, n, text, tag, want)
				}
			}
		}
	}
}

// The end of the sum, where it is a little less or more than 2^130 - 5.
func TestNumbersAreReduced(t *testing.T) {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))
	value := func(n number) *big.Int {
		v := new(big.Int)
		for i, limb := range []uint64{n.l0, n.l1, n.l2} {
			v.Add(v, new(big.Int).Lsh(new(big.Int).SetUint64(limb), uint(44*i)))
		}
		return v
	}
	limbs := []uint64{0, 1, 4, 5, 6, mask44 - 5, mask44 - 4, mask44, mask44 + 1, 1<<45 + 3, 1<<47 - 1}
	tops := []uint64{0, 1, mask42 - 1, mask42, mask42 + 1, 1<<43 + 1, 1<<45 - 1}
	for _, l0 := range limbs {
		for _, l1 := range limbs {
			for _, l2 := range tops {
				n := number{l0, l1, l2}
				low, high := n.reduced()
				want := new(big.Int).Mod(value(n), p)
				got := new(big.Int).Lsh(new(big.Int).SetUint64(high), 64)
				got.Or(got, new(big.Int).SetUint64(low))
				want.And(want, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1)))
				if got.Cmp(want) != 0 {
					t.Fatalf("%x: %x, want %x", n, got, want)
				}
			}
		}
	}
}

// RFC 8439, 2.3.2: a vector that does not come from the reference.
func TestBlockOfTheStandard(t *testing.T) {
	if !wideHere(t) {
		return
	}
	w := &wide{}
	for i := range w.key { // 00 01 02 ... 1f
		w.key[i] = 0x03020100 + 0x04040404*uint32(i)
	}
	state := [16]uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 12: 1, 13: 0x09000000, 14: 0x4a000000}
	copy(state[4:], w.key[:])
	var block [xorChunk]byte
	xorChunks(&block[0], &block[0], 1, &state)
	const want = "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e" +
		"d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
	if got := hex.EncodeToString(block[:64]); got != want {
		t.Errorf("block %s, want %s", got, want)
	}
}

func TestSealsAndOpensWithoutAllocating(t *testing.T) {
	if !wideHere(t) {
		return
	}
	aead, _ := ciphers(t, make([]byte, KeySize))
	nonce, text := make([]byte, NonceSize), make([]byte, 16<<10, 16<<10+Overhead)
	if n := testing.AllocsPerRun(100, func() {
		sealed := aead.Seal(text[:0], nonce, text, nil)
		if _, err := aead.Open(sealed[:0], nonce, sealed, nil); err != nil {
			t.Fatal(err)
		}
	}); n >= 1 { // the pool drops some at random under the race detector
		t.Errorf("%.2f allocations", n)
	}
}

func TestNothingIsLeftInThePool(t *testing.T) {
	if !wideHere(t) {
		return
	}
	w := newWide(bytes.Repeat([]byte{3}, KeySize), nil).(*wide)
	u := w.begin(make([]byte, NonceSize))
	u.mac.sum(make([]byte, Overhead), make([]byte, 5000))
	u.xor(make([]byte, 5001), make([]byte, 5001))
	u.end()
	if *u != (use{}) {
		t.Error("keys or keystream are left")
	}
}
