package tls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/identity"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The four certificates of tls.md, "Test vectors".
func TestVectorsOfTheSpec(t *testing.T) {
	for name, want := range map[string]string{
		"ed25519":   "12D3KooWM6CgA9iBFZmcYAHA6A2qvbAxqfkmrYiRQuz3XEsk4Ksv",
		"ecdsa":     "QmfXbAwNjJLXfesgztEHe8HwgVDCMMpZ9Eax1HYq6hn9uE",
		"secp256k1": "16Uiu2HAkutTMoTzDw1tCvSRtu6YoixJwS46S1ZFxW8hSx9fWHiPs",
		"invalid":   "",
	} {
		text, err := os.ReadFile("testdata/spec_" + name + ".hex")
		if err != nil {
			t.Fatal(err)
		}
		der, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		peer, _, err := verify([][]byte{der}, now)
		if want == "" {
			if !errors.Is(err, identity.ErrSignature) {
				t.Errorf("%s: %v, %v", name, peer, err)
			}
			continue
		}
		if err != nil || peer.String() != want {
			t.Errorf("%s: %v, %v", name, peer, err)
		}
	}
}

// forge is what a test changes before a certificate is made.
type forge struct {
	template x509.Certificate
	value    func(key []byte, signature []byte) []byte // of the extension
	signed   []byte                                    // by the identity key
	identity identity.PrivateKey
	claimed  []byte // the identity key in the extension
}

func sequence(parts ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, p := range parts {
			b.AddASN1OctetString(p)
		}
	})
	return b.BytesOrPanic()
}

// certificate makes an honest certificate of an Ed25519 peer, but for what change does to it.
func certificate(t testing.TB, change func(*forge)) (der []byte, peer identity.ID) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	id := newKey(t, identity.Ed25519, 1)
	f := &forge{
		template: x509.Certificate{
			SerialNumber: big.NewInt(7), Subject: pkix.Name{SerialNumber: "7"},
			NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
			ExtraExtensions: []pkix.Extension{{Id: extensionID}},
		},
		value:    func(key, signature []byte) []byte { return sequence(key, signature) },
		identity: id,
		signed:   append([]byte(signedPrefix), spki...),
		claimed:  identity.MarshalPublicKey(id.Public()),
	}
	if change != nil {
		change(f)
	}
	signature, err := f.identity.Sign(f.signed)
	if err != nil {
		t.Fatal(err)
	}
	for i := range f.template.ExtraExtensions {
		if ext := &f.template.ExtraExtensions[i]; ext.Value == nil {
			ext.Value = f.value(f.claimed, signature)
		}
	}
	if der, err = x509.CreateCertificate(rand.Reader, &f.template, &f.template, key.Public(), key); err != nil {
		t.Fatal(err)
	}
	if peer, err = identity.IDFromKey(id.Public()); err != nil {
		t.Fatal(err)
	}
	return der, peer
}

func TestCertificatesWithinTheRulesAreTaken(t *testing.T) {
	other := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: []byte{5, 0}}
	for name, change := range map[string]func(*forge){
		"plain":             nil,
		"critical":          func(f *forge) { f.template.ExtraExtensions[0].Critical = true },
		"unknown extension": func(f *forge) { f.template.ExtraExtensions = append(f.template.ExtraExtensions, other) },
		"with usages": func(f *forge) {
			f.template.KeyUsage = x509.KeyUsageDigitalSignature
			f.template.BasicConstraintsValid = true
		},
		"valid from this second": func(f *forge) { f.template.NotBefore = now },
		"valid to this second":   func(f *forge) { f.template.NotAfter = now },
	} {
		der, want := certificate(t, change)
		peer, key, err := verify([][]byte{der}, now)
		if err != nil || peer != want || !peer.MatchesKey(key) {
			t.Errorf("%s: %v, %v", name, peer, err)
		}
	}
}

func TestForgedCertificatesAreRefused(t *testing.T) {
	eve := newKey(t, identity.Ed25519, 66)
	for _, c := range []struct {
		name   string
		change func(*forge)
	}{
		{"expired", func(f *forge) { f.template.NotAfter = now.Add(-time.Second) }},
		{"not yet valid", func(f *forge) { f.template.NotBefore = now.Add(time.Second) }},
		{"no extension", func(f *forge) { f.template.ExtraExtensions = nil }},
		{"extension under another OID", func(f *forge) {
			f.template.ExtraExtensions[0].Id = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 53594, 1, 2}
		}},
		{"unknown critical extension", func(f *forge) {
			f.template.ExtraExtensions = append(f.template.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}})
		}},
		{"extension twice", func(f *forge) {
			f.template.ExtraExtensions = append(f.template.ExtraExtensions, pkix.Extension{Id: extensionID})
		}},
		{"extension empty", func(f *forge) { f.value = func(_, _ []byte) []byte { return []byte{} } }},
		{"extension not ASN.1", func(f *forge) { f.value = func(_, _ []byte) []byte { return []byte{0x30, 0x84, 0xff} } }},
		{"bytes behind the sequence", func(f *forge) {
			f.value = func(k, s []byte) []byte { return append(sequence(k, s), 0) }
		}},
		{"three octet strings", func(f *forge) { f.value = func(k, s []byte) []byte { return sequence(k, s, s) } }},
		{"one octet string", func(f *forge) { f.value = func(k, _ []byte) []byte { return sequence(k) } }},
		{"key and signature swapped", func(f *forge) { f.value = func(k, s []byte) []byte { return sequence(s, k) } }},
		{"no key", func(f *forge) { f.claimed = nil }},
		{"no signature", func(f *forge) { f.value = func(k, _ []byte) []byte { return sequence(k, nil) } }},
		{"signature flipped", func(f *forge) {
			f.value = func(k, s []byte) []byte { s[10] ^= 1; return sequence(k, s) }
		}},
		{"signature by another key", func(f *forge) { f.identity = eve }},
		{"key of somebody else", func(f *forge) { f.claimed = identity.MarshalPublicKey(eve.Public()) }},
		{"signature over another certificate key", func(f *forge) { f.signed[len(f.signed)-1] ^= 1 }},
		{"signature without the prefix", func(f *forge) { f.signed = f.signed[len(signedPrefix):] }},
		{"signature under the prefix of Noise", func(f *forge) {
			f.signed = append([]byte("noise-libp2p-static-key:"), f.signed[len(signedPrefix):]...)
		}},
		{"key with a field more", func(f *forge) { f.claimed = append(f.claimed, 0x18, 1) }},
		{"RSA key of 512 bits", func(f *forge) { f.claimed = weakRSA(t) }},
		{"over 8 KiB", func(f *forge) { f.template.Subject.CommonName = strings.Repeat("x", MaxCertificate) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			der, _ := certificate(t, c.change)
			if peer, _, err := verify([][]byte{der}, now); !errors.Is(err, ErrIdentity) {
				t.Errorf("%v, %v", peer, err)
			}
		})
	}
	der, _ := certificate(t, nil)
	for name, chain := range map[string][][]byte{
		"no certificate":   nil,
		"two certificates": {der, der},
		"not DER":          {[]byte("-----BEGIN CERTIFICATE-----")},
		"bytes behind it":  {append(der[:len(der):len(der)], 0)},
	} {
		if _, _, err := verify(chain, now); !errors.Is(err, ErrIdentity) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func weakRSA(t testing.TB) []byte {
	t.Helper()
	// 512 bits, made for this test; crypto/rsa refuses to make one.
	n, ok := new(big.Int).SetString("c0ffee"+strings.Repeat("a5", 60)+"01", 16)
	if !ok {
		t.Fatal("number")
	}
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	b := []byte{0x08, 0, 0x12, byte(len(der))}
	return append(b, der...)
}

// A certificate that another key signed: its holder could change dates and extensions at will.
func TestCertificateHasToBeSignedByItself(t *testing.T) {
	der, _ := certificate(t, nil)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(8), Subject: cert.Subject, NotBefore: cert.NotBefore, NotAfter: cert.NotAfter.AddDate(9, 0, 0),
		ExtraExtensions: []pkix.Extension{cert.Extensions[len(cert.Extensions)-1]},
	}, &x509.Certificate{Subject: cert.Subject}, cert.PublicKey, other)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := verify([][]byte{forged}, now); !errors.Is(err, ErrIdentity) || !strings.Contains(err.Error(), "its own key") {
		t.Fatalf("%v", err)
	}
}

func TestEveryFlippedBitOfACertificateIsRefused(t *testing.T) {
	der, _ := certificate(t, nil)
	for bit := range len(der) * 8 {
		der[bit/8] ^= 1 << (bit % 8)
		if peer, _, err := verify([][]byte{der}, now); err == nil {
			t.Fatalf("bit %d: still %v", bit, peer)
		}
		der[bit/8] ^= 1 << (bit % 8)
	}
	if _, _, err := verify([][]byte{der}, now); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bits flipped", len(der)*8)
}

func TestTruncatedCertificateIsRefused(t *testing.T) {
	der, _ := certificate(t, nil)
	for cut := range der {
		if _, _, err := verify([][]byte{der[:cut]}, now); !errors.Is(err, ErrIdentity) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
}

func TestOwnCertificateKeepsToTheRules(t *testing.T) {
	for i, kind := range []identity.KeyType{identity.Ed25519, identity.Secp256k1, identity.ECDSA, identity.RSA} {
		id := newIdentity(t, kind, byte(i))
		for _, at := range []time.Time{now.Add(-certificateAge + time.Second), now, now.AddDate(99, 0, 0)} {
			peer, _, err := verify(id.certificate.Certificate, at)
			if err != nil || peer != id.Peer() {
				t.Errorf("%v at %v: %v, %v", kind, at, peer, err)
			}
		}
		cert, err := x509.ParseCertificate(id.certificate.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if cert.Issuer.String() == "" || len(cert.DNSNames) > 0 || cert.SerialNumber.Sign() <= 0 {
			t.Errorf("%v: issuer %q, names %q, serial %v", kind, cert.Issuer, cert.DNSNames, cert.SerialNumber)
		}
	}
}

func TestErrorsThatQuoteTheRemoteAreShownSafely(t *testing.T) {
	h, err := NewHandshake(Config{Identity: newIdentity(t, identity.Ed25519, 1), Now: now, Wake: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	err = h.failure(errors.New("tls: client wants \x1b[2J\u202e" + strings.Repeat("x", 1<<16)))
	if !errors.Is(err, ErrHandshake) || len(err.Error()) > 700 || strings.ContainsAny(err.Error(), "\x1b\u202e") {
		t.Errorf("%d bytes: %.100q", len(err.Error()), err)
	}
}
