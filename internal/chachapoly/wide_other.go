//go:build !amd64 || purego

package chachapoly

import "crypto/cipher"

const haveWide = false

func newWide(_ []byte, short cipher.AEAD) cipher.AEAD { return short }
