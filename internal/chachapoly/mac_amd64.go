//go:build !purego

package chachapoly

import (
	"encoding/binary"
	"math/bits"
)

const (
	macBlock = 16
	lanes    = 8

	mask42 = 1<<42 - 1
	mask44 = 1<<44 - 1
)

// number is one below 2^130 - 5, or a little more, in limbs of 44, 44 and 42 bits.
type number struct{ l0, l1, l2 uint64 }

// multipliers of the eight sums: each for all lanes alike, last a lane for each. The fourth and the
// fifth limb are twenty times the second and the third: 2^132 is 4 * 5.
type multipliers struct {
	each [5]uint64
	last [5][lanes]uint64
}

// mac is a Poly1305 (RFC 8439, 2.5) of one message.
type mac struct {
	r    number
	pad  [2]uint64
	by   multipliers
	sums [3][lanes]uint64
}

func (m *mac) reset(key *[32]byte) {
	low, high := binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:])
	m.r = spread(low&0x0ffffffc0fffffff, high&0x0ffffffc0ffffffc, 0)
	m.pad = [2]uint64{binary.LittleEndian.Uint64(key[16:]), binary.LittleEndian.Uint64(key[24:])}
}

// sum writes the tag of a ciphertext without additional data.
func (m *mac) sum(tag, text []byte) {
	size := uint64(len(text))
	var h number
	if chunks := len(text) / macChunk; chunks > 0 {
		m.raise()
		m.sums = [3][lanes]uint64{}
		macChunks(&m.sums, &m.by, &text[0], chunks)
		h = m.gather()
		text = text[chunks*macChunk:]
	}
	for ; len(text) >= macBlock; text = text[macBlock:] {
		h = m.block(h, binary.LittleEndian.Uint64(text), binary.LittleEndian.Uint64(text[8:]))
	}
	if len(text) > 0 {
		var rest [macBlock]byte
		copy(rest[:], text)
		h = m.block(h, binary.LittleEndian.Uint64(rest[:]), binary.LittleEndian.Uint64(rest[8:]))
	}
	h = m.block(h, 0, size)
	low, high := h.reduced()
	low, carry := bits.Add64(low, m.pad[0], 0)
	high, _ = bits.Add64(high, m.pad[1], carry)
	binary.LittleEndian.PutUint64(tag, low)
	binary.LittleEndian.PutUint64(tag[8:], high)
}

// raise fills in the powers of r: the block that lane l begins with is l/2 + 4*(l%2), and the last one
// of a lane is followed by as many blocks as are in a chunk behind it.
func (m *mac) raise() {
	r1 := m.r
	r2 := r1.times(r1)
	r3, r4 := r2.times(r1), r2.times(r2)
	r5, r6 := r3.times(r2), r3.times(r3)
	r7, r8 := r4.times(r3), r4.times(r4)
	m.by.each = [5]uint64{r8.l0, r8.l1, r8.l2, 20 * r8.l1, 20 * r8.l2}
	for lane, r := range [lanes]number{r8, r4, r7, r3, r6, r2, r5, r1} {
		m.by.last[0][lane] = r.l0
		m.by.last[1][lane] = r.l1
		m.by.last[2][lane] = r.l2
		m.by.last[3][lane] = 20 * r.l1
		m.by.last[4][lane] = 20 * r.l2
	}
}

// gather adds the eight sums up.
func (m *mac) gather() number {
	var h [3]uint64
	for i, limbs := range m.sums {
		for _, limb := range limbs {
			h[i] += limb
		}
	}
	return number{h[0], h[1], h[2]}.carried()
}

func (m *mac) block(h number, low, high uint64) number {
	b := spread(low, high, 1)
	return number{h.l0 + b.l0, h.l1 + b.l1, h.l2 + b.l2}.times(m.r)
}

// spread makes limbs of low + high*2^64 + top*2^128.
func spread(low, high, top uint64) number {
	return number{low & mask44, (low>>44 | high<<20) & mask44, high>>24 | top<<40}
}

// times returns the product modulo 2^130 - 5. Limbs may be up to 2^46.
func (a number) times(b number) number {
	b1, b2 := 20*b.l1, 20*b.l2
	h0, l0 := threeProducts(a.l0, b.l0, a.l1, b2, a.l2, b1)
	h1, l1 := threeProducts(a.l0, b.l1, a.l1, b.l0, a.l2, b2)
	h2, l2 := threeProducts(a.l0, b.l2, a.l1, b.l1, a.l2, b.l0)

	var carry uint64
	l1, carry = bits.Add64(l1, h0<<20|l0>>44, 0)
	h1 += carry
	l2, carry = bits.Add64(l2, h1<<20|l1>>44, 0)
	h2 += carry
	l0 = l0&mask44 + 5*(h2<<22|l2>>42)
	return number{l0 & mask44, l1&mask44 + l0>>44, l2 & mask42}
}

func threeProducts(a, b, c, d, e, f uint64) (high, low uint64) {
	high, low = bits.Mul64(a, b)
	h, l := bits.Mul64(c, d)
	low, carry := bits.Add64(low, l, 0)
	high += h + carry
	h, l = bits.Mul64(e, f)
	low, carry = bits.Add64(low, l, 0)
	return high + h + carry, low
}

// carried brings limbs of up to 2^60 back to their sizes, but for a bit in the second.
func (a number) carried() number {
	a.l1 += a.l0 >> 44
	a.l2 += a.l1 >> 44
	a.l0 = a.l0&mask44 + 5*(a.l2>>42)
	return number{a.l0 & mask44, a.l1&mask44 + a.l0>>44, a.l2 & mask42}
}

// reduced returns the lower 128 bits of what is left modulo 2^130 - 5.
func (a number) reduced() (low, high uint64) {
	a = a.carried().carried()
	less := number{a.l0 + 5, a.l1, a.l2} // a - (2^130 - 5), and 2^130 more
	less.l1 += less.l0 >> 44
	less.l2 += less.l1 >> 44
	is := -(less.l2 >> 42) // all ones when a is not less than 2^130 - 5
	l0 := a.l0&^is | less.l0&mask44&is
	l1 := a.l1&^is | less.l1&mask44&is
	l2 := a.l2&^is | less.l2&mask42&is
	return l0 | l1<<44, l1>>20 | l2<<24
}
