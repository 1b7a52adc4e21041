// Package chachapoly is ChaCha20-Poly1305 (RFC 8439) for long messages: golang.org/x/crypto's, with a
// path of its own on processors with AVX-512. docs/adr/0016 says why.
package chachapoly

import (
	"crypto/cipher"

	"golang.org/x/crypto/chacha20poly1305"
)

// Sizes in bytes.
const (
	KeySize   = chacha20poly1305.KeySize
	NonceSize = chacha20poly1305.NonceSize
	Overhead  = chacha20poly1305.Overhead // the tag behind the ciphertext
)

// New returns the cipher of a key of KeySize bytes. It keeps no other state: it may be used by many
// goroutines, and nonces are the caller's. It fails and panics where x/crypto's cipher does.
func New(key []byte) (cipher.AEAD, error) {
	short, err := chacha20poly1305.New(key)
	if err != nil || !haveWide {
		return short, err
	}
	return newWide(key, short), nil
}
