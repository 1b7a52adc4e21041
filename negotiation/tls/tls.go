// Package tls secures a connection with libp2p's use of TLS 1.3 (tls/tls.md) and carries its data
// afterwards.
//
//	handshake    TLS 1.3, both sides show exactly one self-signed certificate, no SNI from us
//	extension    1.3.6.1.4.1.53594.1.1, critical or not:
//	             SEQUENCE { OCTET STRING public key, OCTET STRING signature }
//	signature    by the identity key over "libp2p-tls-handshake:" + SubjectPublicKeyInfo
//	ALPN         the client's muxers, the best first, then "libp2p"; the server takes the first
//	             that it has, and "libp2p" means that the muxer is negotiated inside the channel
//	data         TLS records
//
// crypto/tls does all of it. It wants a blocking net.Conn, which a connection here does not have,
// so it gets a pair of byte queues instead:
//
//	received ── Feed ──▶ queue ──▶ crypto/tls ──▶ queue ── TakeOutput ──▶ to send
//
// While the handshake runs, its reads block until Feed: Handshake.Run belongs into a task. When it
// is done nothing blocks any more: a read without bytes is a temporary error, after which
// crypto/tls goes on where it stopped, so that Opener and Sealer run on their caller's goroutine.
package tls

import (
	"errors"

	"github.com/troupe-p2p/troupe/internal/bound"
)

// ID is the protocol's name in multistream-select.
const ID = "/tls/1.0.0"

// alpn stands for "no muxer agreed here". inlined-muxer-negotiation.md.
const alpn = "libp2p"

const (
	// MaxQueued bounds what was fed and is not read yet while the handshake runs. It is twice
	// the largest read, so only a caller that reads on without being asked gets there.
	MaxQueued = 256 << 10
	// MaxHandshake bounds what crypto/tls reads until the handshake is done. On its own it
	// would take a certificate message of 256 KiB from every stranger; an honest handshake
	// needs about 10 KiB.
	MaxHandshake = 64 << 10
	// MaxPending bounds what crypto/tls wants sent without our having written anything:
	// answers to key updates. A remote may ask for one with every byte that it sends.
	MaxPending = 4 << 10
	// MaxCertificate bounds a certificate, before anything is parsed. An honest one with RSA
	// identity of 8192 bits has about 2,600 bytes.
	MaxCertificate = 8 << 10
	// maxMuxers bounds our own list, as the other handshake does.
	maxMuxers = 100
)

var (
	// ErrHandshake: the remote does not keep to TLS 1.3, or an alert of it ended the handshake.
	ErrHandshake = errors.New("tls handshake failed")
	// ErrIdentity: the remote's certificate does not prove an identity.
	ErrIdentity = errors.New("tls identity not proven")
	// ErrRecord: a record does not verify, or an alert of the remote ended the connection.
	ErrRecord = errors.New("tls connection failed")
	// ErrLimit: the remote exceeds one of the bounds of this package.
	ErrLimit error = limit{}
	// ErrLocal: this node is at fault.
	ErrLocal error = local{}
)

// limit and local can be told from other errors by their methods, for the core of the connection's
// upgrade may not import this package.
type (
	limit struct{}
	local struct{}
)

func (limit) Error() string { return "over limit" }
func (local) Error() string { return "local fault" }

// OverLimit marks errors that a bound of this node caused.
func (limit) OverLimit() {}

// LocalFault marks errors that this node caused.
func (local) LocalFault() {}

// Bounds lists what a remote can fill here.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "negotiation/tls: bytes queued for the handshake", Cap: MaxQueued, Attack: "bytes that come faster than the handshake reads"},
		{Name: "negotiation/tls: bytes of a handshake", Cap: MaxHandshake, Attack: "half-open connections that each send a large certificate"},
		{Name: "negotiation/tls: bytes of a certificate", Cap: MaxCertificate, Attack: "certificates that are costly to parse"},
		{Name: "negotiation/tls: bytes to send that nobody wrote", Cap: MaxPending, Attack: "key updates that ask for one in return, from a remote that reads nothing"},
	}
}
