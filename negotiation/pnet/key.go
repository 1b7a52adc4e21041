package pnet

import (
	"bytes"
	"crypto/sha3"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"

	"golang.org/x/crypto/salsa20"
)

// keyLen is in bytes.
const keyLen = 32

// Key is the pre-shared key of a private network. Whoever has it is in. It does not show itself: its
// String is the fingerprint.
type Key struct{ secret [keyLen]byte }

const codec = "/key/swarm/psk/1.0.0/"

// ParseKey reads a key file. An error has kind ErrKeyFile and does not show the key.
func ParseKey(file []byte) (*Key, error) {
	head, rest := line(file)
	if head != codec {
		return nil, fmt.Errorf("%w: it does not begin with the line %s", ErrKeyFile, codec)
	}
	form, rest := line(rest)
	k := &Key{}
	switch form {
	case "/bin/":
		if len(rest) != keyLen {
			return nil, fmt.Errorf("%w: %d bytes, want %d", ErrKeyFile, len(rest), keyLen)
		}
		copy(k.secret[:], rest)
	case "/base16/", "/base64/":
		text := string(bytes.TrimSpace(rest))
		b, err := hex.DecodeString(text)
		if form == "/base64/" {
			b, err = base64.StdEncoding.DecodeString(text)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: the key is not %s", ErrKeyFile, form[1:len(form)-1])
		}
		if len(b) != keyLen {
			return nil, fmt.Errorf("%w: %d bytes, want %d", ErrKeyFile, len(b), keyLen)
		}
		copy(k.secret[:], b)
	default:
		return nil, fmt.Errorf("%w: the second line is not /base16/, /base64/ or /bin/", ErrKeyFile)
	}
	if k.secret == [keyLen]byte{} {
		return nil, fmt.Errorf("%w: it is all zeros", ErrKeyFile)
	}
	return k, nil
}

// line cuts the first line off, which may end as Windows ends them.
func line(file []byte) (string, []byte) {
	head, rest, _ := bytes.Cut(file, []byte{'\n'})
	return string(bytes.TrimSuffix(head, []byte{'\r'})), rest
}

// GenerateKey makes the key of a new network.
func GenerateKey(random io.Reader) (*Key, error) {
	k := &Key{}
	if _, err := io.ReadFull(random, k.secret[:]); err != nil {
		return nil, fmt.Errorf("%w: no key: %w", ErrLocal, err)
	}
	return k, nil
}

// AppendFile appends the key file, in base16 as all implementations write it.
func (k *Key) AppendFile(dst []byte) []byte {
	dst = append(dst, codec+"\n/base16/\n"...)
	dst = hex.AppendEncode(dst, k.secret[:])
	return append(dst, '\n')
}

// Fingerprint tells networks apart without giving the key away: what go-libp2p and Kubo show, and what
// mDNS announces.
func (k *Key) Fingerprint() [16]byte {
	var stream [64]byte
	salsa20.XORKeyStream(stream[:], stream[:], []byte("finprint"), &k.secret)
	return [16]byte(sha3.SumSHAKE128(stream[:], 16))
}

// String is the fingerprint, in base16.
func (k *Key) String() string {
	f := k.Fingerprint()
	return "private network " + hex.EncodeToString(f[:])
}

// Format writes the String, whatever is asked for: no verb shows the key. (Package fmt does not ask it for
// what lies in an unexported field: keep the pointer there.)
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }
