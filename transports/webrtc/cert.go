package webrtc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/troupe-p2p/troupe/identity"

	"crypto"
)

const (
	certInfo   = "troupe: WebRTC-direct certificate, "
	scalarSize = 32
	// A scalar is refused once in 2^32; twice in a row, never.
	certTries = 16
)

// The certificate of a node is valid for as long as the node's key is. The dates are in it, so they are
// part of what the certhash is of, and must not depend on when the node was started.
var (
	certFrom  = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	certUntil = time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC)
)

var errEntropy = errors.New("a certificate that is to be the same each time asks for randomness")

// nodeCertificate is the certificate that a node listens with: the same for the same key, so that its
// addresses outlive a restart. Nothing of the key can be learned from it: HKDF is one way.
func nodeCertificate(key identity.PrivateKey) (tls.Certificate, error) {
	for i := range certTries {
		d, err := hkdf.Key(sha256.New, key.Raw(), nil, fmt.Sprint(certInfo, i), scalarSize)
		if err != nil {
			return tls.Certificate{}, err
		}
		if k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d); err == nil {
			return selfSign(k, big.NewInt(1), noRandom{})
		}
	}
	return tls.Certificate{}, errors.New("no key can be derived")
}

// freshCertificate is for one dial. webrtc/webrtc-direct.md: "SHOULD NOT reuse the same certificate",
// as DTLS 1.2 shows it to everybody on the way.
func freshCertificate() (tls.Certificate, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		return tls.Certificate{}, err
	}
	return selfSign(k, serial.Add(serial, big.NewInt(1)), rand.Reader)
}

func selfSign(k *ecdsa.PrivateKey, serial *big.Int, random io.Reader) (tls.Certificate, error) {
	name := pkix.Name{CommonName: "WebRTC"}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: name, Issuer: name, NotBefore: certFrom, NotAfter: certUntil,
		SignatureAlgorithm: x509.ECDSAWithSHA256,
	}
	var signer crypto.Signer = k
	if _, fixed := random.(noRandom); fixed {
		signer = sameSigner{k}
	}
	der, err := x509.CreateCertificate(random, c, c, k.Public(), signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}, nil
}

// sameSigner signs the same the same way: without randomness ECDSA is deterministic (RFC 6979).
type sameSigner struct{ k *ecdsa.PrivateKey }

func (s sameSigner) Public() crypto.PublicKey { return s.k.Public() }
func (s sameSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.k.Sign(nil, digest, opts)
}

// noRandom says loudly that something that has to be the same each time would not be.
type noRandom struct{}

func (noRandom) Read([]byte) (int, error) { return 0, errEntropy }

// fingerprint is what a certhash holds of a certificate.
type fingerprint [sha256.Size]byte

func fingerprintOf(der []byte) fingerprint { return sha256.Sum256(der) }

// multihash is how a fingerprint is written in addresses and in the prologue: sha2-256, 32 bytes.
func (f fingerprint) multihash() []byte { return append([]byte{0x12, sha256.Size}, f[:]...) }

// prologue binds the Noise handshake to the two certificates. webrtc/webrtc-direct.md, "Connection
// Security": A dials, B listens.
func prologue(a, b fingerprint) []byte {
	return append(append([]byte("libp2p-webrtc-noise:"), a.multihash()...), b.multihash()...)
}
