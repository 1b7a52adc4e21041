package identity

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
)

const (
	// minRSABits and maxRSABits are go-libp2p's: below, keys are factored; above, one verify
	// costs the verifier milliseconds (CVE-2023-39533).
	minRSABits = 2048
	maxRSABits = 8192
	// maxRSAExponent is what every implementation generates. Verifying with an exponent near
	// 2^31 costs up to four times as much.
	maxRSAExponent = 65537
	// generatedRSABits is the size of new keys. RSA is for networks that demand it.
	generatedRSABits = 2048
)

type rsaPublic struct {
	k   *rsa.PublicKey
	der []byte
}

type rsaPrivate struct {
	secret
	k   *rsa.PrivateKey
	der []byte
}

func parseRSAPublic(data []byte) (PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(data)
	if err != nil {
		return nil, fmt.Errorf("RSA public key (%v): %w", err, ErrMalformed)
	}
	k, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("RSA public key with another algorithm inside: %w", ErrMalformed)
	}
	if err := checkRSA(k); err != nil {
		return nil, err
	}
	if der, err := x509.MarshalPKIXPublicKey(k); err != nil || !bytes.Equal(der, data) {
		return nil, fmt.Errorf("RSA public key is not in its one DER form: %w", ErrMalformed)
	}
	return rsaPublic{k, bytes.Clone(data)}, nil
}

// checkRSA costs nothing, so it runs before anything that does.
func checkRSA(k *rsa.PublicKey) error {
	switch bits := k.N.BitLen(); {
	case bits > maxRSABits:
		return fmt.Errorf("RSA key of %d bits (at most %d): %w", bits, maxRSABits, ErrLimit)
	case bits < minRSABits:
		return fmt.Errorf("RSA key of %d bits (at least %d): %w", bits, minRSABits, ErrWeakKey)
	case k.N.Bit(0) == 0:
		return fmt.Errorf("RSA key with an even modulus: %w", ErrWeakKey)
	case k.E < 3 || k.E&1 == 0:
		return fmt.Errorf("RSA key with exponent %d: %w", k.E, ErrWeakKey)
	case k.E > maxRSAExponent:
		return fmt.Errorf("RSA key with exponent %d (at most %d): %w", k.E, maxRSAExponent, ErrLimit)
	}
	return nil
}

func parseRSAPrivate(data []byte) (PrivateKey, error) {
	k, err := x509.ParsePKCS1PrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("RSA private key: %w", ErrMalformed)
	}
	if err := checkRSA(&k.PublicKey); err != nil {
		return nil, err
	}
	return rsaPrivate{k: k, der: x509.MarshalPKCS1PrivateKey(k)}, nil
}

func generateRSA(rand io.Reader) (PrivateKey, error) {
	k, err := rsa.GenerateKey(rand, generatedRSABits)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRandomness, err)
	}
	return rsaPrivate{k: k, der: x509.MarshalPKCS1PrivateKey(k)}, nil
}

func (k rsaPublic) Type() KeyType          { return RSA }
func (k rsaPublic) Raw() []byte            { return k.der }
func (k rsaPublic) Equal(o PublicKey) bool { return sameKey(k, o) }

func (k rsaPublic) Verify(data, sig []byte) error {
	sum := sha256.Sum256(data)
	if rsa.VerifyPKCS1v15(k.k, crypto.SHA256, sum[:], sig) != nil {
		return fmt.Errorf("RSA: %w", ErrSignature)
	}
	return nil
}

func (k rsaPrivate) Type() KeyType { return RSA }
func (k rsaPrivate) Raw() []byte   { return k.der }

func (k rsaPrivate) Sign(data []byte) ([]byte, error) {
	sum := sha256.Sum256(data)
	return rsa.SignPKCS1v15(nil, k.k, crypto.SHA256, sum[:])
}

func (k rsaPrivate) Public() PublicKey {
	der, err := x509.MarshalPKIXPublicKey(&k.k.PublicKey)
	if err != nil {
		panic("identity: a parsed RSA key has no encoding: " + err.Error())
	}
	return rsaPublic{&k.k.PublicKey, der}
}
