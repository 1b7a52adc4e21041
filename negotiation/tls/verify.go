package tls

import (
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/clean"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxRSA bounds the certificate's own key: verifying with a larger one is work that a stranger
// could order. crypto/tls has the same bound.
const maxRSA = 8192

// verify returns who vouches for the certificate chain that a remote has shown. It does not prove
// that the remote holds the certificate's key; the handshake does.
func verify(chain [][]byte, now time.Time) (identity.ID, identity.PublicKey, error) {
	peer, key, err := verifyChain(chain, now)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrIdentity, clean.Error(err))
	}
	return peer, key, nil
}

func verifyChain(chain [][]byte, now time.Time) (identity.ID, identity.PublicKey, error) {
	// tls.md: "Endpoints MUST abort the connection attempt if more than one certificate is received".
	if len(chain) != 1 {
		return "", nil, fmt.Errorf("%d certificates, exactly one is allowed", len(chain))
	}
	if len(chain[0]) > MaxCertificate {
		return "", nil, fmt.Errorf("%w: certificate of %d bytes, at most %d are taken", ErrLimit, len(chain[0]), MaxCertificate)
	}
	cert, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return "", nil, err
	}
	if now.Before(cert.NotBefore) {
		return "", nil, fmt.Errorf("certificate is valid from %s, it is %s here", cert.NotBefore.UTC(), now.UTC())
	}
	if now.After(cert.NotAfter) {
		return "", nil, fmt.Errorf("certificate was valid until %s, it is %s here", cert.NotAfter.UTC(), now.UTC())
	}
	for _, oid := range cert.UnhandledCriticalExtensions {
		if !oid.Equal(extensionID) {
			return "", nil, fmt.Errorf("critical extension %v is not known", oid)
		}
	}
	peer, key, err := verifyExtension(cert)
	if err != nil {
		return "", nil, err
	}
	if k, ok := cert.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() > maxRSA {
		return "", nil, fmt.Errorf("%w: certificate key of %d bits, at most %d are taken", ErrLimit, k.N.BitLen(), maxRSA)
	}
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		return "", nil, fmt.Errorf("certificate is not signed by its own key: %w", err)
	}
	return peer, key, nil
}

// verifyExtension reads the identity key and verifies its signature over the certificate's key.
func verifyExtension(cert *x509.Certificate) (identity.ID, identity.PublicKey, error) {
	// x509 refuses a certificate with two extensions of one OID.
	for _, ext := range cert.Extensions {
		if !ext.Id.Equal(extensionID) {
			continue
		}
		value := cryptobyte.String(ext.Value)
		var signed, encodedKey, signature cryptobyte.String
		if !value.ReadASN1(&signed, cbasn1.SEQUENCE) || !value.Empty() ||
			!signed.ReadASN1(&encodedKey, cbasn1.OCTET_STRING) ||
			!signed.ReadASN1(&signature, cbasn1.OCTET_STRING) || !signed.Empty() {
			return "", nil, fmt.Errorf("libp2p extension is not a sequence of two octet strings")
		}
		key, err := identity.UnmarshalPublicKey(encodedKey)
		if err != nil {
			return "", nil, err
		}
		peer, err := identity.IDFromKey(key)
		if err != nil {
			return "", nil, err
		}
		if err := key.Verify(append([]byte(signedPrefix), cert.RawSubjectPublicKeyInfo...), signature); err != nil {
			return "", nil, fmt.Errorf("%v does not vouch for the certificate key: %w", peer, err)
		}
		return peer, key, nil
	}
	return "", nil, fmt.Errorf("certificate without the libp2p extension")
}
