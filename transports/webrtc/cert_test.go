package webrtc

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"testing"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
)

// A certhash is in addresses that others keep: it has to outlive the process.
func TestTheCertificateIsTheSameEachTime(t *testing.T) {
	for _, kind := range []identity.KeyType{identity.Ed25519, identity.Secp256k1, identity.ECDSA} {
		key, err := identity.GenerateKey(kind, bytes.NewReader(bytes.Repeat([]byte{7}, 1<<12)))
		if err != nil {
			t.Fatal(err)
		}
		a, err := nodeCertificate(key)
		if err != nil {
			t.Fatal(err)
		}
		b, err := nodeCertificate(key)
		if err != nil || !bytes.Equal(a.Certificate[0], b.Certificate[0]) {
			t.Errorf("%v: another certificate for the same key: %v", kind, err)
		}
		c, err := x509.ParseCertificate(a.Certificate[0])
		if err != nil || c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil {
			t.Errorf("%v: no certificate: %v", kind, err)
		}
	}
	one, err := nodeCertificate(transporttest.Key(1))
	if err != nil {
		t.Fatal(err)
	}
	two, err := nodeCertificate(transporttest.Key(2))
	if err != nil || bytes.Equal(one.Certificate[0], two.Certificate[0]) {
		t.Error("two nodes have one certificate", err)
	}
	// What the first key has is written down: a change of the derivation changes every node's addresses.
	const want = "f7f31330977592bdaa12bb0fcf890f46f6a15de29a534631bf5ca27f35906cf5"
	if got := fingerprintOf(one.Certificate[0]); hex.EncodeToString(got[:]) != want {
		t.Errorf("the certificate of the first key is %x, was %s", got, want)
	}
}

// webrtc-direct.md: "A SHOULD NOT reuse the same certificate".
func TestADialShowsAFreshCertificate(t *testing.T) {
	a, err := freshCertificate()
	if err != nil {
		t.Fatal(err)
	}
	b, err := freshCertificate()
	if err != nil || bytes.Equal(a.Certificate[0], b.Certificate[0]) {
		t.Error("one certificate for two dials", err)
	}
}

// The vector of webrtc-direct.md.
func TestPrologue(t *testing.T) {
	print := func(s string) (f fingerprint) {
		b, err := hex.DecodeString(s)
		if err != nil || copy(f[:], b) != len(f) {
			t.Fatal(s, err)
		}
		return f
	}
	a := print("3e79af40d6059617a0d83b83a52ce73b0c1f37a72c6043ad2969e2351bdca870")
	b := print("30fc9f469c207419dfdd0aab5f27a86c973c94e40548db9375cca2e915973b99")
	want := "6c69627032702d7765627274632d6e6f6973653a12203e79af40d6059617a0d83b83a52ce73b0c1f37a72c6043ad2969e2351bdca870" +
		"122030fc9f469c207419dfdd0aab5f27a86c973c94e40548db9375cca2e915973b99"
	if got := hex.EncodeToString(prologue(a, b)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
