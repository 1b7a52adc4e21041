package identity

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
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

// rsaKey encodes a key with a modulus of the given size and no known factors.
func rsaKey(t testing.TB, bits int, e int, change func(n *big.Int)) []byte {
	t.Helper()
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits))
	n.Sub(n, big.NewInt(189))
	if change != nil {
		change(n)
	}
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: e})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestBadRSAKeysAreRefusedWhenDecoded(t *testing.T) {
	good := rsaKey(t, 2048, 65537, nil)
	oid := func(der []byte, from, to string) []byte {
		out := bytes.Replace(der, unhex(t, from), unhex(t, to), 1)
		if bytes.Equal(out, der) {
			t.Fatalf("no %s in %x", from, der)
		}
		return out
	}
	for _, c := range []struct {
		why  string
		der  []byte
		kind error
	}{
		{"512 bits", rsaKey(t, 512, 65537, nil), ErrWeakKey},
		{"1,024 bits", rsaKey(t, 1024, 65537, nil), ErrWeakKey},
		{"2,047 bits", rsaKey(t, 2047, 65537, nil), ErrWeakKey},
		{"8,193 bits", rsaKey(t, 8193, 65537, nil), ErrLimit},
		{"9,000 bits", rsaKey(t, 9000, 65537, nil), ErrLimit},
		{"16,384 bits", rsaKey(t, 16384, 65537, nil), ErrLimit},
		{"65,536 bits", rsaKey(t, 65536, 65537, nil), ErrLimit},
		{"exponent 1", rsaKey(t, 2048, 1, nil), ErrWeakKey},
		{"exponent 2", rsaKey(t, 2048, 2, nil), ErrWeakKey},
		{"exponent 65536", rsaKey(t, 2048, 65536, nil), ErrWeakKey},
		{"exponent 65539", rsaKey(t, 2048, 65539, nil), ErrLimit},
		{"exponent 2^31-1", rsaKey(t, 2048, 1<<31-1, nil), ErrLimit},
		{"exponent 2^62+1", rsaKey(t, 2048, 1<<62+1, nil), ErrLimit},
		{"exponent 0", rsaKey(t, 2048, 0, nil), ErrMalformed},
		{"exponent -3", rsaKey(t, 2048, -3, nil), ErrMalformed},
		{"an even modulus", rsaKey(t, 2048, 65537, func(n *big.Int) { n.Sub(n, big.NewInt(1)) }), ErrWeakKey},
		{"a negative modulus", rsaKey(t, 2048, 65537, func(n *big.Int) { n.Neg(n) }), ErrMalformed},
		{"modulus zero", rsaKey(t, 2048, 65537, func(n *big.Int) { n.SetInt64(0) }), ErrMalformed},
		{"a byte behind the key", append(bytes.Clone(good), 0), ErrMalformed},
		{"no NULL parameters", oid(oid(good, "300d06092a864886f70d0101010500", "300b06092a864886f70d010101"), "30820122", "30820120"), ErrMalformed},
		{"the algorithm RSASSA-PSS", oid(good, "06092a864886f70d010101", "06092a864886f70d01010a"), ErrMalformed},
		{"an ECDSA key inside", testKey(t, ECDSA, 1).Public().Raw(), ErrMalformed},
		{"a length with a leading zero", oid(good, "30820122", "3083000122"), ErrMalformed},
		{"an indefinite length", oid(good, "30820122", "3080"), ErrMalformed},
		{"PKCS #1 instead of PKIX", good[24:], ErrMalformed},
		{"nothing", nil, ErrMalformed},
		{"noise", bytes.Repeat([]byte{0x30, 0x84, 0xff}, 99), ErrMalformed},
	} {
		if k, err := UnmarshalPublicKey(marshalKey(RSA, c.der)); !errors.Is(err, c.kind) {
			t.Errorf("%s: got %v, %v; want an error of kind %q", c.why, k, err, c.kind)
		}
	}
	for _, bits := range []int{2048, 3072, 4096, 8192} {
		for _, e := range []int{3, 17, 65537} {
			if _, err := UnmarshalPublicKey(marshalKey(RSA, rsaKey(t, bits, e, nil))); err != nil {
				t.Errorf("a good key of %d bits with exponent %d: %v", bits, e, err)
			}
		}
	}
}

// smallRSA is a PKCS #1 key of 1,024 bits, made for this test.
const smallRSA = "" +
	"3082025d02010002818100cb0291767e4df50050d0e5704832ae154e302f85e8d0be42ef9422b0da4b5b3202bde9da382dfb5cb54a445a094fd0de58" +
	"a1f5fc8a6812f0cec46da5afc89f0518668df6dd8e44fe0a82bd8fd9e4f8ba7689387f498f9948e94b773cfc1afa9f36733d21351fe4c70d9b7d91e6" +
	"321b15b6a1b7f5e20fbe96ccc4cad6cbef34890203010001028181008350adf70fcc2d667ee02109782a102107ea7353133db35468d4517c4437ea4d" +
	"77289153ee730fdcf007921f0b56edac65789e3d34ea0d166728f823ec88c112cb676b400f477907e09636c13d93f47094cc7e0e76b94b792e22fd20" +
	"b15b1b94bd2ac3bd16228af76afd6fc46739ab177e64fcc5213cb23c13a2934786150c61024100ef561ec764b51b8038136dc880aca13eb71d94e05f" +
	"86e14203712fad32db7197347cc2ac31ea1ccff54f6a5a65b63986be80a3f217aac6ae25964b7f330298bb024100d924f980c3a2f48beb4737acc055" +
	"2bd4c705e10195af3bcdedf19812e94dc1d88fce9167dc526c4253d5d7658c614bc98fc01950f48f131a6d1eb4cf4dc5e58b024100da7be0bf1f5521" +
	"54cc5c18252829ef4ce43711f83ddc507845d226b6d2ad77259459ac112bc3cf279c8631cd71fa86cb55cef35b0675f4c777329b9af3c3140f024057" +
	"433da55a79852f2989003dc339371916362d9b366d2a6a7261f18c4007c88be016d2665bab1fe873ca6efa5734ce811cecc4ffbc9836c41af009177a" +
	"18ba4b02402beb412d86627fc844c1ff3ea154f70abe1ad8948ebbd6fa977b9fb309c99a0626be6061be244cd12ee91914bf1a215989d29cc0cc3260" +
	"3da5e5528a7cd3edba"

func TestBadRSAPrivateKeysAreRefused(t *testing.T) {
	small, err := x509.ParsePKCS1PrivateKey(unhex(t, smallRSA))
	if err != nil {
		t.Fatal(err)
	}
	if k, err := UnmarshalPrivateKey(marshalKey(RSA, x509.MarshalPKCS1PrivateKey(small))); !errors.Is(err, ErrWeakKey) {
		t.Errorf("1,024 bits: %v, %v", k, err)
	}
	good := testKey(t, RSA, 0).Raw()
	wrong := bytes.Clone(good)
	wrong[40] ^= 1 // in the modulus, which then is not the product of the primes
	if k, err := UnmarshalPrivateKey(marshalKey(RSA, wrong)); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrWeakKey) {
		t.Errorf("a modulus that is not the product of the primes: %v, %v", k, err)
	}
	if k, err := UnmarshalPrivateKey(marshalKey(RSA, make([]byte, maxPrivateKey))); !errors.Is(err, ErrLimit) {
		t.Errorf("8 KiB of zeros: %v, %v", k, err)
	}
}

func TestBadEd25519KeysAreRefused(t *testing.T) {
	// The field prime is 2^255-19, little-endian.
	prime := append(append([]byte{0xed}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)
	plus := func(n byte) []byte { b := bytes.Clone(prime); b[0] += n; return b }
	minusOne := bytes.Clone(prime)
	minusOne[0]--
	neg := func(b []byte) []byte { c := bytes.Clone(b); c[31] |= 0x80; return c }
	one := append([]byte{1}, make([]byte, 31)...)
	order8a, order8b := smallOrder[3][:], smallOrder[4][:]
	for _, c := range []struct {
		why  string
		key  []byte
		kind error
	}{
		{"order 1", one, ErrWeakKey},
		{"order 1, sign bit set", neg(one), ErrWeakKey},
		{"order 2", minusOne, ErrWeakKey},
		{"order 2, sign bit set", neg(minusOne), ErrWeakKey},
		{"order 4", make([]byte, 32), ErrWeakKey},
		{"order 4, sign bit set", neg(make([]byte, 32)), ErrWeakKey},
		{"order 8, first", order8a, ErrWeakKey},
		{"order 8, first, sign bit set", neg(order8a), ErrWeakKey},
		{"order 8, second", order8b, ErrWeakKey},
		{"order 8, second, sign bit set", neg(order8b), ErrWeakKey},
		{"y = p", prime, ErrMalformed},
		{"y = p, sign bit set", neg(prime), ErrMalformed},
		{"y = p+1", plus(1), ErrMalformed},
		{"y = 2^255-1", plus(0x12), ErrMalformed},
		{"31 bytes", one[:31], ErrMalformed},
		{"33 bytes", append(bytes.Clone(one), 0), ErrMalformed},
		{"nothing", nil, ErrMalformed},
	} {
		if k, err := UnmarshalPublicKey(marshalKey(Ed25519, c.key)); !errors.Is(err, c.kind) {
			t.Errorf("%s: got %v, %v; want an error of kind %q", c.why, k, err, c.kind)
		}
	}
}

// The order of the Ed25519 base point, little-endian.
const ed25519Order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"

func TestEd25519SignatureWithSBeyondTheOrderIsRefused(t *testing.T) {
	k := testKey(t, Ed25519, 3)
	sig, err := k.Sign(nil)
	if err != nil {
		t.Fatal(err)
	}
	carry := 0
	for i, l := range unhex(t, ed25519Order) { // S + L verifies where S is not checked
		carry += int(sig[32+i]) + int(l)
		sig[32+i] = byte(carry)
		carry >>= 8
	}
	if err := k.Public().Verify(nil, sig); !errors.Is(err, ErrSignature) {
		t.Errorf("S + L: %v", err)
	}
}

func TestEd25519PrivateKeyForms(t *testing.T) {
	a, b := testKey(t, Ed25519, 1).Raw(), testKey(t, Ed25519, 2).Raw()
	legacy := append(bytes.Clone(a), a[32:]...)
	got, err := UnmarshalPrivateKey(marshalKey(Ed25519, legacy))
	if err != nil || !bytes.Equal(got.Raw(), a) {
		t.Errorf("the legacy form of 96 bytes: %v", err)
	}
	for _, c := range []struct {
		why  string
		key  []byte
		kind error
	}{
		{"96 bytes, public keys differ", append(bytes.Clone(a), b[32:]...), ErrMismatch},
		{"96 bytes, both public keys of another key", append(append(bytes.Clone(a[:32]), b[32:]...), b[32:]...), ErrMismatch},
		{"64 bytes, public key of another key", append(bytes.Clone(a[:32]), b[32:]...), ErrMismatch},
		{"the seed alone", a[:32], ErrMalformed},
		{"95 bytes", legacy[:95], ErrMalformed},
		{"97 bytes", append(legacy, 0), ErrMalformed},
	} {
		if k, err := UnmarshalPrivateKey(marshalKey(Ed25519, c.key)); !errors.Is(err, c.kind) {
			t.Errorf("%s: got %v, %v; want an error of kind %q", c.why, k, err, c.kind)
		}
	}
}

func TestBadECDSAKeysAreRefused(t *testing.T) {
	good := testKey(t, ECDSA, 1).Public().Raw()
	point := len(good) - 65
	tail := func(der []byte) []byte { // the same key with another point encoding
		var spki struct {
			Algorithm asn1.RawValue
			Key       asn1.BitString
		}
		if _, err := asn1.Unmarshal(good, &spki); err != nil {
			t.Fatal(err)
		}
		spki.Key = asn1.BitString{Bytes: der, BitLength: 8 * len(der)}
		out, err := asn1.Marshal(spki)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	off := bytes.Clone(good)
	off[len(off)-1] ^= 1
	compressed := append([]byte{2 + good[len(good)-1]&1}, good[point+1:point+33]...)
	tooBig := append([]byte{4}, bytes.Repeat([]byte{0xff}, 64)...)
	for why, der := range map[string][]byte{
		"a point off the curve":        off,
		"the point at infinity":        tail([]byte{0}),
		"the point zero":               tail(append([]byte{4}, make([]byte, 64)...)),
		"coordinates beyond the field": tail(tooBig),
		"a compressed point":           tail(compressed),
		"a hybrid point":               tail(append([]byte{6 + good[len(good)-1]&1}, good[point+1:]...)),
		"a point of 64 bytes":          tail(good[point : point+64]),
		"the curve secp256k1":          bytes.Replace(good, unhex(t, "06082a8648ce3d030107"), unhex(t, "06082b8104000a0000"), 1),
		"a point of another curve":     bytes.Replace(good, unhex(t, "06082a8648ce3d030107"), unhex(t, "06082a8648ce3d030101"), 1),
		"a byte behind the key":        append(bytes.Clone(good), 0),
		"an RSA key inside":            rsaKey(t, 2048, 65537, nil),
		"the private key":              testKey(t, ECDSA, 1).Raw(),
		"nothing":                      nil,
	} {
		if k, err := UnmarshalPublicKey(marshalKey(ECDSA, der)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, %v", why, k, err)
		}
	}
	order := elliptic.P256().Params().N.Bytes()
	for why, scalar := range map[string][]byte{"zero": make([]byte, 32), "the order": order} {
		der, err := asn1.Marshal(struct {
			Version int
			Key     []byte
			Curve   asn1.ObjectIdentifier `asn1:"optional,explicit,tag:0"`
		}{1, scalar, asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}})
		if err != nil {
			t.Fatal(err)
		}
		if k, err := UnmarshalPrivateKey(marshalKey(ECDSA, der)); !errors.Is(err, ErrMalformed) {
			t.Errorf("private key %s: %v, %v", why, k, err)
		}
	}
}

// dsaSignature is the DER form shared by ECDSA and Bitcoin.
func dsaSignature(t testing.TB, r, s *big.Int) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestBadSignatureNumbersAreRefused(t *testing.T) {
	secpOrder := new(big.Int).SetBytes(unhex(t, "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"))
	for _, c := range []struct {
		kind  KeyType
		order *big.Int
	}{{ECDSA, elliptic.P256().Params().N}, {Secp256k1, secpOrder}} {
		k := testKey(t, c.kind, 6)
		data := []byte("numbers")
		good, err := k.Sign(data)
		if err != nil {
			t.Fatal(err)
		}
		var n struct{ R, S *big.Int }
		if rest, err := asn1.Unmarshal(good, &n); err != nil || len(rest) != 0 {
			t.Fatal(err)
		}
		if !bytes.Equal(dsaSignature(t, n.R, n.S), good) {
			t.Fatalf("%v: the signature is not in DER", c.kind)
		}
		sum := func(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }
		neg := func(a *big.Int) *big.Int { return new(big.Int).Neg(a) }
		zero := new(big.Int)
		for why, sig := range map[string][]byte{
			"r = 0":               dsaSignature(t, zero, n.S),
			"s = 0":               dsaSignature(t, n.R, zero),
			"r = s = 0":           dsaSignature(t, zero, zero),
			"r = s = 1":           dsaSignature(t, big.NewInt(1), big.NewInt(1)),
			"r = n":               dsaSignature(t, c.order, n.S),
			"s = n":               dsaSignature(t, n.R, c.order),
			"r + n":               dsaSignature(t, sum(n.R, c.order), n.S),
			"s + n":               dsaSignature(t, n.R, sum(n.S, c.order)),
			"-r":                  dsaSignature(t, neg(n.R), n.S),
			"-s":                  dsaSignature(t, n.R, neg(n.S)),
			"2,000 bits of s":     dsaSignature(t, n.R, new(big.Int).Lsh(n.S, 2000)),
			"a byte behind":       append(bytes.Clone(good), 0),
			"a BER length":        append([]byte{0x30, 0x81, good[1]}, good[2:]...),
			"r and s without DER": append(n.R.FillBytes(make([]byte, 32)), n.S.FillBytes(make([]byte, 32))...),
		} {
			if err := k.Public().Verify(data, sig); !errors.Is(err, ErrSignature) {
				t.Errorf("%v, %s: %v", c.kind, why, err)
			}
		}
		// The other S of the same signature: malleable in ECDSA, refused for Secp256k1.
		other := k.Public().Verify(data, dsaSignature(t, n.R, new(big.Int).Sub(c.order, n.S)))
		if c.kind == Secp256k1 && !errors.Is(other, ErrSignature) {
			t.Errorf("Secp256k1, high S: %v", other)
		}
		if c.kind == ECDSA && other != nil {
			t.Errorf("ECDSA, n - s: %v", other)
		}
	}
}

func TestBadSecp256k1KeysAreRefused(t *testing.T) {
	k := testKey(t, Secp256k1, 1).(secp256k1Private)
	good, full := k.Public().Raw(), k.k.PubKey().SerializeUncompressed()
	prefix := func(p byte) []byte { return append([]byte{p}, good[1:]...) }
	for why, key := range map[string][]byte{
		"the uncompressed form":   full,
		"the hybrid form":         append([]byte{6 + full[64]&1}, full[1:]...),
		"x without a prefix":      good[1:],
		"prefix 0":                prefix(0),
		"prefix 4":                prefix(4),
		"prefix 5":                prefix(5),
		"x = 0, not on the curve": append([]byte{2}, make([]byte, 32)...),
		"x = p":                   unhex(t, "02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f"),
		"x = 5, not on the curve": append(append([]byte{2}, make([]byte, 31)...), 5),
		"the point at infinity":   {0},
		"a byte behind the key":   append(bytes.Clone(good), 0),
		"a byte less":             good[:32],
		"nothing":                 nil,
	} {
		if k, err := UnmarshalPublicKey(marshalKey(Secp256k1, key)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, %v", why, k, err)
		}
	}
	for why, key := range map[string][]byte{
		"zero":      make([]byte, 32),
		"the order": unhex(t, "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"),
		"2^256-1":   bytes.Repeat([]byte{0xff}, 32),
		"31 bytes":  make([]byte, 31),
		"33 bytes":  append(make([]byte, 32), 1),
	} {
		if k, err := UnmarshalPrivateKey(marshalKey(Secp256k1, key)); !errors.Is(err, ErrMalformed) {
			t.Errorf("private key %s: got %v, %v", why, k, err)
		}
	}
}

// BenchmarkRefuse shows what a hostile key costs before it is refused.
func BenchmarkRefuse(b *testing.B) {
	for _, c := range []struct {
		name string
		key  []byte
	}{
		{"RSA-8193", marshalKey(RSA, rsaKey(b, 8193, 65537, nil))},
		{"RSA-16384", marshalKey(RSA, rsaKey(b, 16384, 65537, nil))},
		{"RSA-65536", marshalKey(RSA, rsaKey(b, 65536, 65537, nil))},
		{"RSA-exponent", marshalKey(RSA, rsaKey(b, 8192, 1<<31-1, nil))},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := UnmarshalPublicKey(c.key); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

// BenchmarkVerify shows the dearest signature that a stranger can make us check.
func BenchmarkVerify(b *testing.B) {
	data, sig := []byte("data"), make([]byte, 1024)
	big, err := UnmarshalPublicKey(marshalKey(RSA, rsaKey(b, 8192, 65537, nil)))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("RSA-8192", func(b *testing.B) {
		for b.Loop() {
			if big.Verify(data, sig) == nil {
				b.Fatal("verified")
			}
		}
	})
	for _, v := range foreign(b) {
		k, sig := v.private(b).Public(), v.hex(b, "signature")
		b.Run(v["name"], func(b *testing.B) {
			for b.Loop() {
				if err := k.Verify([]byte("troupe"), sig); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
