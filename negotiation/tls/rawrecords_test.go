package tls

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	stdtls "crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
)

// rawHalf is one direction of the record layer of TLS 1.3, in the hands of a remote that does what
// crypto/tls has no call for: key updates.
type rawHalf struct {
	t      testing.TB
	hash   func() hash.Hash
	suite  uint16
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

// newRawHalf takes over a direction right after the handshake. label is of the key log.
func newRawHalf(t testing.TB, conn *stdtls.Conn, keyLog, label string) *rawHalf {
	t.Helper()
	for line := range strings.Lines(keyLog) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != label {
			continue
		}
		secret, err := hex.DecodeString(f[2])
		if err != nil {
			t.Fatal(err)
		}
		h := &rawHalf{t: t, hash: sha256.New, suite: conn.ConnectionState().CipherSuite}
		if h.suite == stdtls.TLS_AES_256_GCM_SHA384 {
			h.hash = sha512.New384
		}
		h.setSecret(secret)
		return h
	}
	t.Fatalf("no %s in the key log", label)
	return nil
}

// expand is HKDF-Expand-Label of RFC 8446, 7.1.
func (h *rawHalf) expand(secret []byte, label string, n int) []byte {
	label = "tls13 " + label
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(len(label)))
	info = append(info, label...)
	info = append(info, 0)
	out, err := hkdf.Expand(h.hash, secret, string(info), n)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func (h *rawHalf) setSecret(secret []byte) {
	size := 16
	if h.suite != stdtls.TLS_AES_128_GCM_SHA256 {
		size = 32
	}
	key := h.expand(secret, "key", size)
	var err error
	if h.suite == stdtls.TLS_CHACHA20_POLY1305_SHA256 {
		h.aead, err = chacha20poly1305.New(key)
	} else {
		var block cipher.Block
		if block, err = aes.NewCipher(key); err == nil {
			h.aead, err = cipher.NewGCM(block)
		}
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.secret, h.iv, h.seq = secret, h.expand(secret, "iv", 12), 0
}

// update moves to the next secret. RFC 8446, 7.2.
func (h *rawHalf) update() {
	h.setSecret(h.expand(h.secret, "traffic upd", h.hash().Size()))
}

func (h *rawHalf) nonce() []byte {
	nonce := bytes.Clone(h.iv)
	for i := range 8 {
		nonce[4+i] ^= byte(h.seq >> (56 - 8*i))
	}
	h.seq++
	return nonce
}

func (h *rawHalf) seal(kind byte, data []byte) []byte {
	inner := append(bytes.Clone(data), kind)
	head := []byte{23, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(head[3:], uint16(len(inner)+h.aead.Overhead()))
	return h.aead.Seal(head, h.nonce(), inner, head[:5:5])
}

// open takes the first record of wire.
func (h *rawHalf) open(wire []byte) (kind byte, data, rest []byte, err error) {
	if len(wire) < 5 || len(wire) < 5+int(binary.BigEndian.Uint16(wire[3:])) {
		return 0, nil, nil, fmt.Errorf("no record in %d bytes", len(wire))
	}
	end := 5 + int(binary.BigEndian.Uint16(wire[3:]))
	inner, err := h.aead.Open(nil, h.nonce(), wire[5:end], wire[:5])
	if err != nil {
		return 0, nil, nil, err
	}
	return inner[len(inner)-1], inner[:len(inner)-1], wire[end:], nil
}

const (
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
)

var (
	keyUpdate          = []byte{24, 0, 0, 1, 0}
	keyUpdateRequested = []byte{24, 0, 0, 1, 1}
)
