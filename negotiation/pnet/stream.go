package pnet

import (
	"crypto/subtle"
	"encoding/binary"

	"golang.org/x/crypto/salsa20/salsa" //nolint:staticcheck // salsa20 has no stream, only one call for a whole message
)

// blockLen is how much key stream one step of Salsa20's counter makes.
const blockLen = 64

// keyStream is XSalsa20, one byte after another: the state that salsa20.XORKeyStream has no place for.
type keyStream struct {
	key   [keyLen]byte
	count [16]byte // the rest of the nonce, then the number of the next block
	block [blockLen]byte
	used  int // of block
}

// newStream begins a stream.
func newStream(key *Key, nonce *[NonceLen]byte) *keyStream {
	s := &keyStream{used: blockLen}
	head := [16]byte(nonce[:16])
	salsa.HSalsa20(&s.key, &head, &key.secret, &salsa.Sigma)
	copy(s.count[:8], nonce[16:])
	return s
}

// xor works on p in place with the next len(p) bytes of key stream.
func (s *keyStream) xor(p []byte) {
	n := subtle.XORBytes(p, p, s.block[s.used:])
	s.used += n
	p = p[n:]
	if whole := len(p) &^ (blockLen - 1); whole > 0 {
		salsa.XORKeyStream(p[:whole], p[:whole], &s.count, &s.key)
		s.advance(uint64(whole / blockLen))
		p = p[whole:]
	}
	if len(p) > 0 {
		s.block = [blockLen]byte{}
		salsa.XORKeyStream(s.block[:], s.block[:], &s.count, &s.key)
		s.advance(1)
		s.used = subtle.XORBytes(p, p, s.block[:])
	}
}

func (s *keyStream) advance(blocks uint64) {
	binary.LittleEndian.PutUint64(s.count[8:], binary.LittleEndian.Uint64(s.count[8:])+blocks)
}
