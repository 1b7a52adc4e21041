// Package pnet keeps a private network to those who have its key (pnet/Private-Networks-PSK-V1.md).
//
//	each way  nonce (24 random bytes), then everything XORed with XSalsa20(key, nonce)
//
//	key file  /key/swarm/psk/1.0.0/ LF  /base16/ or /base64/ or /bin/ LF  the key's 32 bytes
//
// It lies under the security handshake and stays there for as long as the connection lasts. All it
// does is to turn strangers into noise: it proves no peer and finds no forgery, which Noise and TLS
// above it do. So nothing here can tell a wrong key from a right one. The layer above can: what it
// receives makes no sense from the first byte on.
//
// Both sides send their nonce at once. An implementation that waits for the other's nonce before it
// sends its own (js-libp2p writes first, go-libp2p with its first byte) is served either way.
package pnet

import (
	"errors"
	"fmt"
	"io"
)

// NonceLen is the length of a nonce.
const NonceLen = 24

var (
	// ErrKeyFile: the text is no key file.
	ErrKeyFile = errors.New("not a pre-shared key of a private network")
	// ErrPlain: the remote speaks without a pre-shared key.
	ErrPlain = errors.New("the remote has no pre-shared key: it is not in a private network")
	// ErrReflected: the remote sent our own nonce back, and would be read with our own key stream.
	ErrReflected = errors.New("the remote sends our own bytes back")
	// ErrLocal: this node's random source is at fault.
	ErrLocal = errors.New("local fault")
)

// plain is how every connection without a pre-shared key begins. A nonce does so once in 2^152 times.
const plain = "\x13/multistream/1.0.0\n"

// Layer is the protection of one connection, both ways. It belongs to the connection's owner.
type Layer struct {
	key   *Key
	in    *keyStream // nil until the remote's nonce has come
	out   *keyStream
	nonce [NonceLen]byte // ours
	heard [NonceLen]byte // the remote's, as far as it has come
	got   int            // of it
}

// New begins a connection, and reads a nonce from random. An error has kind ErrLocal.
func New(key *Key, random io.Reader) (*Layer, error) {
	l := &Layer{key: key}
	if _, err := io.ReadFull(random, l.nonce[:]); err != nil {
		return nil, fmt.Errorf("%w: no nonce: %w", ErrLocal, err)
	}
	l.out = newStream(key, &l.nonce)
	return l, nil
}

// AppendNonce appends what goes before everything else, in the clear.
func (l *Layer) AppendNonce(dst []byte) []byte { return append(dst, l.nonce[:]...) }

// Seal makes p, in place, what is sent. The bytes go out in the order of the calls, behind the nonce.
func (l *Layer) Seal(p []byte) { l.out.xor(p) }

// Open makes received bytes what the remote has sealed, in place, and returns them without its nonce.
func (l *Layer) Open(p []byte) ([]byte, error) {
	if l.in == nil {
		n := copy(l.heard[l.got:], p)
		l.got += n
		p = p[n:]
		if l.got < NonceLen {
			return nil, nil
		}
		switch {
		case string(l.heard[:len(plain)]) == plain:
			return nil, ErrPlain
		case l.heard == l.nonce:
			return nil, ErrReflected
		}
		l.in = newStream(l.key, &l.heard)
	}
	l.in.xor(p)
	return p, nil
}
