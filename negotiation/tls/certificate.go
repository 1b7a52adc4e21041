package tls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	stdtls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"github.com/troupe-p2p/troupe/identity"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	signedPrefix = "libp2p-tls-handshake:"
	// certificateAge reaches back so that a remote whose clock is late takes the certificate.
	certificateAge = time.Hour
	// certificateLife is as long as go-libp2p's: a certificate is worth what its signature by
	// the identity key is worth, and that has no end.
	certificateLife = 100 * 365 * 24 * time.Hour
)

// extensionID is allocated to libp2p. tls.md, "libp2p Public Key Extension".
var extensionID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 53594, 1, 1}

// Identity is a node's certificate. One is made per node and shared by all its handshakes.
type Identity struct {
	certificate stdtls.Certificate
	peer        identity.ID
}

// NewIdentity makes a certificate that is valid from an hour before now. Its key comes from the
// operating system's randomness; crypto/ecdsa takes no other.
func NewIdentity(id identity.PrivateKey, now time.Time) (*Identity, error) {
	if id == nil {
		return nil, fmt.Errorf("%w: a certificate needs an identity key", ErrLocal)
	}
	peer, err := identity.IDFromKey(id.Public())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLocal, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("%w: making a certificate key: %w", ErrLocal, err)
	}
	extension, err := newExtension(id, key.Public())
	if err != nil {
		return nil, err
	}
	der, err := selfSign(now, key, extension)
	if err != nil {
		return nil, err
	}
	return &Identity{certificate: stdtls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, peer: peer}, nil
}

// Peer is the node that the certificate speaks for.
func (i *Identity) Peer() identity.ID { return i.peer }

func selfSign(now time.Time, key crypto.Signer, extensions ...pkix.Extension) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, fmt.Errorf("%w: making a serial number: %w", ErrLocal, err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		NotBefore:    now.Add(-certificateAge),
		NotAfter:     now.Add(certificateLife),
		// RFC 5280, 4.1.2.4: "The issuer field MUST contain a non-empty distinguished name".
		Subject:         pkix.Name{SerialNumber: serial.String()},
		ExtraExtensions: extensions,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("%w: making a certificate: %w", ErrLocal, err)
	}
	return der, nil
}

func newExtension(id identity.PrivateKey, certificateKey crypto.PublicKey) (pkix.Extension, error) {
	spki, err := x509.MarshalPKIXPublicKey(certificateKey)
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("%w: %w", ErrLocal, err)
	}
	signature, err := id.Sign(append([]byte(signedPrefix), spki...))
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("%w: signing the certificate key: %w", ErrLocal, err)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(identity.MarshalPublicKey(id.Public()))
		b.AddASN1OctetString(signature)
	})
	value, err := b.Bytes()
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("%w: %w", ErrLocal, err)
	}
	return pkix.Extension{Id: extensionID, Value: value}, nil
}
