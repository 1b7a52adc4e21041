package webtransport

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	stdtls "crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/identity"
)

const (
	// maxValidity is what browsers take of a certificate that they know by its hash.
	maxValidity = 14 * 24 * time.Hour
	// period is how long a certificate is used, and slack is for how long before and after that it
	// is valid as well: clocks differ.
	period = 13 * 24 * time.Hour
	slack  = 11 * time.Hour
)

// certs are the certificates of a node, one for each period. They follow from the node's key and the
// time, so that the hashes in addresses that others remember are good after a restart, with nothing to
// keep and nothing to lose.
type certs struct {
	secret []byte
	shift  time.Duration // so that not all nodes change at one time

	mu  sync.Mutex
	now chain
}

// chain is the certificate in use and its neighbours.
type chain struct {
	number         int64
	until          time.Time // the end of its use
	last, is, next *cert
}

// cert is one certificate, and its multihash.
type cert struct {
	tls  *stdtls.Certificate
	hash []byte
}

func newCerts(key identity.PrivateKey, now time.Time) (*certs, error) {
	c := &certs{secret: key.Raw()}
	b, err := c.derive("shift", 0, 8)
	if err != nil {
		return nil, err
	}
	c.shift = time.Duration(binary.BigEndian.Uint64(b) % uint64(period))
	_, err = c.at(now)
	return c, err
}

// at is what is in use at a time.
func (c *certs) at(now time.Time) (chain, error) {
	number := c.number(now)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now.is != nil && c.now.number == number {
		return c.now, nil
	}
	made := chain{number: number, until: c.start(number + 1)}
	for i, to := range []**cert{&made.last, &made.is, &made.next} {
		var err error
		if *to, err = c.forge(number - 1 + int64(i)); err != nil {
			return chain{}, err
		}
	}
	c.now = made
	return made, nil
}

// number is that of the period that a time falls in.
func (c *certs) number(now time.Time) int64 {
	since := now.Unix() - int64(c.shift/time.Second)
	n := since / int64(period/time.Second)
	if since < 0 {
		n-- // a clock that was never set
	}
	return n
}

func (c *certs) start(number int64) time.Time {
	return time.Unix(number*int64(period/time.Second)+int64(c.shift/time.Second), 0).UTC()
}

// derive is n bytes that nobody else knows, the same ones each time.
func (c *certs) derive(what string, number int64, n int) ([]byte, error) {
	salt := binary.BigEndian.AppendUint64(nil, uint64(number))
	return hkdf.Key(sha256.New, c.secret, salt, "troupe: WebTransport certificate: "+what, n)
}

func (c *certs) forge(number int64) (*cert, error) {
	key, err := c.key(number)
	if err != nil {
		return nil, err
	}
	serial, err := c.derive("serial", number, 16)
	if err != nil {
		return nil, err
	}
	serial[0] = serial[0]&0x7f | 0x40 // positive, and of one length
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		NotBefore:    c.start(number).Add(-slack),
		NotAfter:     c.start(number + 1).Add(slack),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), plainSigner{key})
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &cert{tls: &stdtls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, hash: hashOf(der)}, nil
}

var errNoKey = errors.New("no key follows from the node's key")

// key is a private key of P-256: a number below the order of the curve, which 32 bytes are but once in
// 2^32 times.
func (c *certs) key(number int64) (*ecdsa.PrivateKey, error) {
	for try := range 8 {
		b, err := c.derive(fmt.Sprint("key ", try), number, 32)
		if err != nil {
			return nil, err
		}
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), b); err == nil {
			return key, nil
		}
	}
	return nil, errNoKey
}

// plainSigner signs the same bytes in the same way each time: crypto/ecdsa follows RFC 6979 when it is
// given no randomness.
type plainSigner struct{ *ecdsa.PrivateKey }

func (s plainSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.PrivateKey.Sign(nil, digest, opts)
}

// hashOf is the multihash of a certificate: SHA-256 is the one function that browsers take.
func hashOf(der []byte) []byte {
	sum := sha256.Sum256(der)
	return append([]byte{0x12, sha256.Size}, sum[:]...)
}
