package noise

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The vectors of RFC 7748, section 5.2.
func TestX25519IsThatOfItsRFC(t *testing.T) {
	for _, v := range []struct{ scalar, point, want string }{
		{
			"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
			"e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
			"c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
		},
		{
			"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
			"e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
			"95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
		},
	} {
		got, err := curve25519{}.DH(unhex(t, v.scalar), unhex(t, v.point))
		if err != nil || !bytes.Equal(got, unhex(t, v.want)) {
			t.Errorf("%x, %v, want %s", got, err, v.want)
		}
	}
	// A thousand rounds of section 5.2's iteration.
	k := append([]byte{9}, make([]byte, keySize-1)...)
	u := bytes.Clone(k)
	for range 1000 {
		next, err := curve25519{}.DH(k, u)
		if err != nil {
			t.Fatal(err)
		}
		k, u = next, k
	}
	if want := "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"; hex.EncodeToString(k) != want {
		t.Errorf("%x, want %s", k, want)
	}
}

// Whatever the bytes are, keys and secrets are those of the standard library, and so is what is refused.
func TestX25519AgreesWithTheStandardLibrary(t *testing.T) {
	random := rand.NewChaCha8([32]byte{25, 5, 19})
	points := lowOrder(t)
	for _, top := range []byte{0x7f, 0xff} { // not reduced: the last numbers below 2^255, with and without the bit that is ignored
		for last := range 0x30 {
			p := bytes.Repeat([]byte{0xff}, keySize)
			p[0], p[keySize-1] = byte(0xd0+last), top
			points = append(points, p)
		}
	}
	for range 500 {
		p := make([]byte, keySize)
		_, _ = random.Read(p)
		points = append(points, p)
	}
	for _, p := range points {
		pair, err := curve25519{}.GenerateKeypair(random)
		if err != nil {
			t.Fatal(err)
		}
		key, err := ecdh.X25519().NewPrivateKey(pair.Private)
		if err != nil || !bytes.Equal(key.PublicKey().Bytes(), pair.Public) {
			t.Errorf("the public key of %x is %x: %v", pair.Private, pair.Public, err)
		}
		remote, err := ecdh.X25519().NewPublicKey(p)
		if err != nil {
			t.Fatal(err)
		}
		want, refused := key.ECDH(remote)
		got, err := curve25519{}.DH(pair.Private, p)
		if !bytes.Equal(got, want) || errors.Is(err, errLowOrder) != (refused != nil) || (err != nil) != (refused != nil) {
			t.Errorf("with %x: %x, %v, want %x, %v", p, got, err, want, refused)
		}
	}
	for _, n := range []int{0, keySize - 1, keySize + 1} {
		if _, err := (curve25519{}).DH(make([]byte, keySize), make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes is taken", n)
		}
	}
}
