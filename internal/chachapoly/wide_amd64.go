//go:build !purego

package chachapoly

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// haveWide: the processor and the kernel have what the assembly uses.
var haveWide = cpu.X86.HasAVX512F && cpu.X86.HasAVX512IFMA

const (
	blockSize = 64
	xorChunk  = 16 * blockSize // what xorChunks takes at a time
	macChunk  = 8 * macBlock   // what macChunks takes at a time

	// wideFrom is the length from which on the wide path is the faster one.
	wideFrom = 2048
)

var errOpen = errors.New("chachapoly: message authentication failed")

// xorChunks puts src with the keystream of state over it into dst, for chunks > 0 times xorChunk bytes,
// and counts the state's blocks on. src and dst are the same or apart.
//
//go:noescape
func xorChunks(dst, src *byte, chunks int, state *[16]uint32)

// macChunks adds chunks > 0 times macChunk bytes of msg to eight sums, limb by limb, each of which it
// multiplies by by.each between two chunks and by its lane of by.last after the last.
//
//go:noescape
func macChunks(sums *[3][lanes]uint64, by *multipliers, msg *byte, chunks int)

// wide takes long messages itself and leaves the others to the cipher that it is made from.
type wide struct {
	cipher.AEAD
	key [8]uint32
}

func newWide(key []byte, short cipher.AEAD) cipher.AEAD {
	w := &wide{AEAD: short}
	for i := range w.key {
		w.key[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	return w
}

func (w *wide) Seal(dst, nonce, plaintext, additional []byte) []byte {
	if !takes(nonce, plaintext, additional) {
		return w.AEAD.Seal(dst, nonce, plaintext, additional)
	}
	whole := slices.Grow(dst, len(plaintext)+Overhead)[:len(dst)+len(plaintext)+Overhead]
	out := whole[len(dst):]
	refuseOverlap(out, plaintext)
	u := w.begin(nonce)
	defer u.end()
	tag := out[len(plaintext):]
	out = out[:len(plaintext)]
	u.xor(out, plaintext)
	u.mac.sum(tag, out)
	return whole
}

func (w *wide) Open(dst, nonce, ciphertext, additional []byte) ([]byte, error) {
	n := len(ciphertext) - Overhead
	if n < 0 || !takes(nonce, ciphertext[:n], additional) {
		return w.AEAD.Open(dst, nonce, ciphertext, additional)
	}
	tag := ciphertext[n:]
	ciphertext = ciphertext[:n]
	whole := slices.Grow(dst, n)[:len(dst)+n]
	out := whole[len(dst):]
	refuseOverlap(out, ciphertext)
	u := w.begin(nonce)
	defer u.end()
	var want [Overhead]byte
	u.mac.sum(want[:], ciphertext)
	if subtle.ConstantTimeCompare(want[:], tag) != 1 {
		return nil, errOpen
	}
	u.xor(out, ciphertext)
	return whole, nil
}

// takes says whether the wide path is for this message. The counter of blocks has 32 bits; messages
// that need more are refused by the other cipher.
func takes(nonce, text, additional []byte) bool {
	return len(text) >= wideFrom && len(additional) == 0 && len(nonce) == NonceSize &&
		uint64(len(text)) <= (1<<32-1-blockSize)*blockSize
}

// refuseOverlap panics when two slices of bytes lie over each other and do not begin at the same.
func refuseOverlap(out, in []byte) {
	o, i := uintptr(unsafe.Pointer(&out[0])), uintptr(unsafe.Pointer(&in[0]))
	if o != i && o < i+uintptr(len(in)) && i < o+uintptr(len(out)) {
		panic("chachapoly: invalid buffer overlap")
	}
}

// use is what a message needs: too much for the small stacks of connections' goroutines.
type use struct {
	state [16]uint32
	block [xorChunk]byte // keystream, and the ends of messages; zero before use
	mac   mac
}

var uses = sync.Pool{New: func() any { return new(use) }}

// begin makes the first chunk of the keystream: a block for the key of the tag, and fifteen for text.
func (w *wide) begin(nonce []byte) *use {
	u := uses.Get().(*use)
	u.state = [16]uint32{
		0x61707865, 0x3320646e, 0x79622d32, 0x6b206574,
		13: binary.LittleEndian.Uint32(nonce),
		14: binary.LittleEndian.Uint32(nonce[4:]),
		15: binary.LittleEndian.Uint32(nonce[8:]),
	}
	copy(u.state[4:], w.key[:])
	xorChunks(&u.block[0], &u.block[0], 1, &u.state)
	u.mac.reset((*[32]byte)(u.block[:]))
	return u
}

// end leaves no key behind.
func (u *use) end() {
	clear(u.block[:])
	clear(u.state[:])
	u.mac = mac{}
	uses.Put(u)
}

// xor takes the text once through the keystream that begin began.
func (u *use) xor(out, in []byte) {
	n := subtle.XORBytes(out, in, u.block[blockSize:])
	out, in = out[n:], in[n:]
	if chunks := len(in) / xorChunk; chunks > 0 {
		xorChunks(&out[0], &in[0], chunks, &u.state)
		n = chunks * xorChunk
		out, in = out[n:], in[n:]
	}
	if len(in) > 0 {
		copy(u.block[:], in)
		xorChunks(&u.block[0], &u.block[0], 1, &u.state)
		copy(out, u.block[:len(in)])
	}
}
