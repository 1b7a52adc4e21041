package noise

import (
	"crypto/sha256"
	"hash"

	fnoise "github.com/flynn/noise"
)

// suite is the CipherSuite of one handshake: Noise_XX_25519_ChaChaPoly_SHA256. The library asks for 33
// SHA-256 states, each for a moment, and gets few of them again and again.
type suite struct {
	curve25519
	fnoise.CipherFunc
	ring  [inUse]hash.Hash
	given int
}

// inUse is more states than the library has in its hands at any time, which are two: those of one HMAC.
const inUse = 4

func newSuite() *suite { return &suite{CipherFunc: fnoise.CipherChaChaPoly} }

var suiteName = fnoise.NewCipherSuite(curve25519{}, fnoise.CipherChaChaPoly, fnoise.HashSHA256).Name()

// Name implements fnoise.CipherSuite.
func (*suite) Name() []byte { return suiteName }

// HashName implements fnoise.HashFunc.
func (*suite) HashName() string { return fnoise.HashSHA256.HashName() }

// Hash implements fnoise.HashFunc.
func (s *suite) Hash() hash.Hash {
	h := &s.ring[s.given%inUse]
	s.given++
	if *h == nil {
		*h = sha256.New()
	} else {
		(*h).Reset()
	}
	return *h
}
