// Package noise secures a connection with libp2p's Noise handshake (noise/README.md) and carries
// its data afterwards.
//
//	frame      uint16 length, big endian   noise message of that length
//	handshake  Noise_XX_25519_ChaChaPoly_SHA256
//	           -> e
//	           <- e, ee, s, es   payload of the responder
//	           -> s, se          payload of the initiator
//	payload    {1: identity key, 2: signature over "noise-libp2p-static-key:" + static key,
//	            4: {1: WebTransport certificate hashes, 2: stream muxers}}
//	transport  ChaCha20-Poly1305, at most 65535 bytes with the tag, nonces counted from 0
//
// Handshake is a core for either role. Opener and Sealer are the two halves of what it yields;
// they work in place and hold nothing while a connection is idle. The handshake is flynn/noise's;
// its transport ciphers are not used because they allocate for every frame.
package noise

import "errors"

// ID is the protocol's name in multistream-select.
const ID = "/noise"

const (
	lengthSize = 2
	tagSize    = 16
	keySize    = 32

	// MaxPlaintext is what fits into one noise message.
	MaxPlaintext = 1<<16 - 1 - tagSize
	// MaxHandshakeMessage bounds a handshake message. Wire format would allow 65535 bytes,
	// which a stranger could have us hold for each half-open connection; the largest honest
	// message, an RSA key of 8192 bits and a hundred muxers, needs a third of this.
	MaxHandshakeMessage = 16 << 10
	// MaxMuxers bounds the muxer names and the certificate hashes of a payload, each: what
	// follows compares them with ours. go-libp2p's number.
	MaxMuxers = 100
	// MaxEmptyFrames bounds transport messages without data in a row. They cost us a
	// decryption and nobody anything else.
	MaxEmptyFrames = 64
)

var (
	// ErrHandshake: a handshake message of the remote does not verify or does not parse.
	ErrHandshake = errors.New("noise handshake failed")
	// ErrIdentity: the remote did not prove the identity that it claims.
	ErrIdentity = errors.New("noise identity not proven")
	// ErrNoCommonMuxer: both sides named muxers, and none is named by both.
	ErrNoCommonMuxer = errors.New("no muxer in common")
	// ErrFrame: a transport message does not verify. Nothing after it can be trusted.
	ErrFrame = errors.New("noise frame does not verify")
	// ErrLimit: the remote exceeds one of the bounds of this package.
	ErrLimit = errors.New("over limit")
	// ErrExhausted: all nonces of a direction are used up and the connection has to end.
	ErrExhausted = errors.New("noise nonces exhausted")
	// ErrLocal: this node's configuration or random source is at fault.
	ErrLocal = errors.New("local fault")
)
