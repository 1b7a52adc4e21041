package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
)

type ecdsaPublic struct {
	k   *ecdsa.PublicKey
	der []byte
}

type ecdsaPrivate struct {
	secret
	k   *ecdsa.PrivateKey
	der []byte
}

// parseECDSAPublic takes a PKIX key on any NIST curve that crypto/x509 knows: go-libp2p peers may
// have one, though all generate P-256.
func parseECDSAPublic(data []byte) (PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(data)
	if err != nil {
		return nil, fmt.Errorf("ECDSA public key (%v): %w", err, ErrMalformed)
	}
	k, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("ECDSA public key with another algorithm inside: %w", ErrMalformed)
	}
	if der, err := x509.MarshalPKIXPublicKey(k); err != nil || !bytes.Equal(der, data) {
		return nil, fmt.Errorf("ECDSA public key is not in its one DER form: %w", ErrMalformed)
	}
	return ecdsaPublic{k, bytes.Clone(data)}, nil
}

// parseECDSAPrivate takes SEC 1 DER, which the test vector of peer-ids.md is (its text says PKIX).
func parseECDSAPrivate(data []byte) (PrivateKey, error) {
	k, err := x509.ParseECPrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("ECDSA private key: %w", ErrMalformed)
	}
	return newECDSAPrivate(k)
}

func newECDSAPrivate(k *ecdsa.PrivateKey) (PrivateKey, error) {
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("ECDSA private key: %w", ErrMalformed)
	}
	return ecdsaPrivate{k: k, der: der}, nil
}

func generateECDSA(rand io.Reader) (PrivateKey, error) {
	return scalarKey(rand, 32, func(scalar []byte) (PrivateKey, error) {
		k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
		if err != nil {
			return nil, err
		}
		return newECDSAPrivate(k)
	})
}

func (k ecdsaPublic) Type() KeyType          { return ECDSA }
func (k ecdsaPublic) Raw() []byte            { return k.der }
func (k ecdsaPublic) Equal(o PublicKey) bool { return sameKey(k, o) }

func (k ecdsaPublic) Verify(data, sig []byte) error {
	if sum := sha256.Sum256(data); !ecdsa.VerifyASN1(k.k, sum[:], sig) {
		return fmt.Errorf("ECDSA: %w", ErrSignature)
	}
	return nil
}

func (k ecdsaPrivate) Type() KeyType { return ECDSA }
func (k ecdsaPrivate) Raw() []byte   { return k.der }

// Sign follows RFC 6979, which crypto/ecdsa does when it is given no random source.
func (k ecdsaPrivate) Sign(data []byte) ([]byte, error) {
	sum := sha256.Sum256(data)
	return k.k.Sign(nil, sum[:], crypto.SHA256)
}

func (k ecdsaPrivate) Public() PublicKey {
	der, err := x509.MarshalPKIXPublicKey(&k.k.PublicKey)
	if err != nil {
		panic("identity: a parsed ECDSA key has no encoding: " + err.Error())
	}
	return ecdsaPublic{&k.k.PublicKey, der}
}
