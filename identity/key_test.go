package identity

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-p2p/troupe/messages/wire/keys"
)

func TestSpecVectorsGiveThePublicKeyOfThePrivateKey(t *testing.T) {
	all := vectors(t, "spec.txt")
	if len(all) != 4 {
		t.Fatalf("%d vectors, want one of each type", len(all))
	}
	for _, v := range all {
		if got := MarshalPublicKey(v.private(t).Public()); !bytes.Equal(got, v.hex(t, "public")) {
			t.Errorf("%s: public key %x", v["name"], got)
		}
	}
}

func TestKeysSurviveMarshalAndUnmarshalByteForByte(t *testing.T) {
	for _, v := range append(foreign(t), vectors(t, "spec.txt")...) {
		if got := MarshalPrivateKey(v.private(t)); !bytes.Equal(got, v.hex(t, "private")) {
			t.Errorf("%s: private key changed to %x", v["name"], got)
		}
		pub, err := UnmarshalPublicKey(v.hex(t, "public"))
		if err != nil {
			t.Errorf("%s: %v", v["name"], err)
			continue
		}
		if got := MarshalPublicKey(pub); !bytes.Equal(got, v.hex(t, "public")) {
			t.Errorf("%s: public key changed to %x", v["name"], got)
		}
		if !pub.Equal(v.private(t).Public()) {
			t.Errorf("%s: public key differs from the private key's", v["name"])
		}
	}
}

func TestEncodingIsThatOfTheProtobufLibrary(t *testing.T) {
	for _, kind := range allTypes {
		k := testKey(t, kind, 7)
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(&keys.PublicKey{
			Type: keys.KeyType(k.Type()).Enum(), Data: k.Public().Raw(),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := MarshalPublicKey(k.Public()); !bytes.Equal(got, want) {
			t.Errorf("%v: %x, protobuf writes %x", kind, got, want)
		}
	}
}

func TestOnlyOneEncodingOfAKeyIsTaken(t *testing.T) {
	key := testKey(t, Ed25519, 7).Public()
	good, raw := MarshalPublicKey(key), hex.EncodeToString(key.Raw())
	for why, text := range map[string]string{
		"data before the type":           "1220" + raw + "0801",
		"an unknown field":               "08011220" + raw + "1801",
		"the type twice":                 "080008011220" + raw,
		"the data twice":                 "08011220" + raw + "1220" + raw,
		"a type in two bytes":            "08811220" + raw,
		"a type in two bytes, minimal":   "0881001220" + raw,
		"a length in two bytes":          "080112a000" + raw,
		"a tag in two bytes":             "8880011220" + raw,
		"no type":                        "1220" + raw,
		"no data":                        "0801",
		"a length beyond the end":        "08011221" + raw,
		"a length before the end":        "0801121f" + raw,
		"a length of 2^63-1":             "080112ffffffffffffffff7f" + raw,
		"a length of 2^64-1":             "080112ffffffffffffffffff01" + raw,
		"a length that never ends":       "080112" + strings.Repeat("ff", 40),
		"data as a group":                "08011320" + raw,
		"the type as a fixed 32 bit int": "0d010000001220" + raw,
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if k, err := UnmarshalPublicKey(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, %v", why, k, err)
		}
	}
	if _, err := UnmarshalPublicKey(good); err != nil {
		t.Errorf("the one encoding: %v", err)
	}
}

func TestKeysTruncatedAtEveryByteAreRefused(t *testing.T) {
	for _, v := range vectors(t, "spec.txt") {
		pub, priv := v.hex(t, "public"), v.hex(t, "private")
		for i := range pub {
			if _, err := UnmarshalPublicKey(pub[:i]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s public, %d of %d bytes: %v", v["name"], i, len(pub), err)
			}
		}
		for i := range priv {
			if _, err := UnmarshalPrivateKey(priv[:i]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s private, %d of %d bytes: %v", v["name"], i, len(priv), err)
			}
		}
	}
}

func TestUnknownKeyTypesAreUnsupportedNotMalformed(t *testing.T) {
	for _, kind := range []byte{4, 5, 127} {
		b := []byte{0x08, kind, 0x12, 1, 0}
		if _, err := UnmarshalPublicKey(b); !errors.Is(err, ErrUnsupported) {
			t.Errorf("public key of type %d: %v", kind, err)
		}
		if _, err := UnmarshalPrivateKey(b); !errors.Is(err, ErrUnsupported) {
			t.Errorf("private key of type %d: %v", kind, err)
		}
		if _, err := GenerateKey(KeyType(kind), seeded(1)); !errors.Is(err, ErrUnsupported) {
			t.Errorf("generating type %d: %v", kind, err)
		}
	}
}

func TestSignaturesOfOtherImplementationsVerify(t *testing.T) {
	for _, v := range foreign(t) {
		k := v.private(t)
		if err := k.Public().Verify([]byte("troupe"), v.hex(t, "signature")); err != nil {
			t.Errorf("%s: %v", v["name"], err)
		}
		if err := k.Public().Verify([]byte("Troupe"), v.hex(t, "signature")); !errors.Is(err, ErrSignature) {
			t.Errorf("%s verifies other data: %v", v["name"], err)
		}
		// All but ECDSA sign deterministically everywhere.
		if k.Type() == ECDSA {
			continue
		}
		if got, err := k.Sign([]byte("troupe")); err != nil || !bytes.Equal(got, v.hex(t, "signature")) {
			t.Errorf("%s: signed %x, %v", v["name"], got, err)
		}
	}
}

// RFC 6979 §A.2.5: the signatures of P-256 with SHA-256.
func TestECDSASignsAsRFC6979(t *testing.T) {
	scalar, _ := hex.DecodeString("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
	k, err := generateECDSA(bytes.NewReader(scalar))
	if err != nil {
		t.Fatal(err)
	}
	for data, want := range map[string]string{
		"sample": "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
		"test":   "3045022100f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d383670220019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
	} {
		if sig, err := k.Sign([]byte(data)); err != nil || hex.EncodeToString(sig) != want {
			t.Errorf("%q: %x, %v", data, sig, err)
		}
	}
}

func TestEverySingleBitOfASignatureCounts(t *testing.T) {
	data := []byte("every bit")
	for _, kind := range allTypes {
		k := testKey(t, kind, 9)
		sig, err := k.Sign(data)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := k.Sign(data); err != nil || !bytes.Equal(again, sig) {
			t.Errorf("%v: signed differently the second time: %v", kind, err)
		}
		pub := k.Public()
		for bit := range len(sig) * 8 {
			sig[bit/8] ^= 1 << (bit % 8)
			if err := pub.Verify(data, sig); !errors.Is(err, ErrSignature) {
				t.Errorf("%v verifies with bit %d flipped: %v", kind, bit, err)
			}
			sig[bit/8] ^= 1 << (bit % 8)
		}
		for i := range sig {
			if pub.Verify(data, sig[:i]) == nil {
				t.Errorf("%v verifies with %d of %d bytes", kind, i, len(sig))
			}
		}
		if pub.Verify(data, append(bytes.Clone(sig), 0)) == nil || pub.Verify(data, nil) == nil {
			t.Errorf("%v verifies with a byte too many or none", kind)
		}
		if err := pub.Verify(data, sig); err != nil {
			t.Errorf("%v: %v", kind, err)
		}
	}
}

func TestSameRandomnessMakesTheSameKey(t *testing.T) {
	for _, kind := range []KeyType{Ed25519, Secp256k1, ECDSA} {
		a, b, c := testKey(t, kind, 1), testKey(t, kind, 1), testKey(t, kind, 2)
		if !bytes.Equal(MarshalPrivateKey(a), MarshalPrivateKey(b)) {
			t.Errorf("%v: two keys from one seed", kind)
		}
		if a.Public().Equal(c.Public()) || bytes.Equal(a.Raw(), c.Raw()) {
			t.Errorf("%v: one key from two seeds", kind)
		}
	}
}

func TestGeneratedKeysSignAndComeBack(t *testing.T) {
	for _, kind := range allTypes {
		k, err := GenerateKey(kind, seeded(3))
		if err != nil || k.Type() != kind || k.Public().Type() != kind {
			t.Fatalf("%v: %v, %v", kind, k, err)
		}
		back, err := UnmarshalPrivateKey(MarshalPrivateKey(k))
		if err != nil || !back.Public().Equal(k.Public()) {
			t.Fatalf("%v: %v", kind, err)
		}
		sig, err := back.Sign([]byte("data"))
		if err != nil {
			t.Fatalf("%v: %v", kind, err)
		}
		pub, err := UnmarshalPublicKey(MarshalPublicKey(k.Public()))
		if err != nil {
			t.Fatalf("%v: %v", kind, err)
		}
		if err := pub.Verify([]byte("data"), sig); err != nil {
			t.Errorf("%v: %v", kind, err)
		}
	}
}

func TestBrokenRandomnessMakesNoKey(t *testing.T) {
	short := bytes.NewReader(make([]byte, 31))
	for _, kind := range []KeyType{Ed25519, Secp256k1, ECDSA} {
		if k, err := GenerateKey(kind, short); !errors.Is(err, ErrRandomness) || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			t.Errorf("%v from 31 bytes: %v, %v", kind, k, err)
		}
	}
	for _, kind := range []KeyType{Secp256k1, ECDSA} {
		for _, stuck := range []seeded{0x00, 0xff} {
			if k, err := GenerateKey(kind, stuck); !errors.Is(err, ErrRandomness) {
				t.Errorf("%v from a stream of %#x: %v, %v", kind, byte(stuck), k, err)
			}
		}
	}
}

func TestScalarOutsideTheOrderIsDrawnAgain(t *testing.T) {
	for _, kind := range []KeyType{Secp256k1, ECDSA} {
		second := bytes.Repeat([]byte{5}, 32)
		k, err := GenerateKey(kind, io.MultiReader(io.LimitReader(seeded(0xff), 32), bytes.NewReader(second)))
		if err != nil {
			t.Fatalf("%v: %v", kind, err)
		}
		if want := testKey(t, kind, 5); !bytes.Equal(k.Raw(), want.Raw()) {
			t.Errorf("%v: not the second draw", kind)
		}
	}
}

func TestPrivateKeysDoNotPrint(t *testing.T) {
	for _, kind := range allTypes {
		k := testKey(t, kind, 0x5a)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if got := fmt.Sprintf(verb, k); got != "(private key)" {
				t.Errorf("%v printed with %s: %s", kind, verb, got)
			}
		}
		if got := fmt.Sprint(struct{ Key PrivateKey }{k}); !strings.Contains(got, "(private key)") || len(got) > 40 {
			t.Errorf("%v inside a struct: %s", kind, got)
		}
	}
}

func TestKeysOfDifferentTypesOrPeersAreNotEqual(t *testing.T) {
	for i, a := range allTypes {
		for j, b := range allTypes {
			if i != j && testKey(t, a, 3).Public().Equal(testKey(t, b, 3).Public()) {
				t.Errorf("%v equals %v", a, b)
			}
		}
		if testKey(t, a, 3).Public().Equal(nil) {
			t.Errorf("%v equals nil", a)
		}
	}
}
