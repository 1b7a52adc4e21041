// Package upgrade turns a raw connection into a secured one with a muxer agreed on, for either
// side (connections/README.md, "Upgrading Connections").
//
//	1 multistream-select   which security protocol
//	2 security handshake   who is there; the muxer too, where both sides can
//	                       (connections/inlined-muxer-negotiation.md)
//	3 multistream-select   inside the secured channel: which muxer, if 2 has not agreed on one
//
// In a private network all of that, and what follows it, lies under the layer of package pnet.
//
// Upgrade is a core for all of it, with one deadline over the whole. It runs Noise by itself. TLS
// needs a goroutine, so the owner runs it: NeedTLS says when, HandleTLS takes the outcome. A
// remote that does not keep the rules, or not fast enough, ends it with an Error that says in
// which layer and through whose fault.
package upgrade

import (
	"errors"
	"fmt"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bound"
)

// TLS is the name of the TLS protocol in multistream-select. Its package is not imported: it is no core.
const TLS = "/tls/1.0.0"

// DefaultMuxer is what is negotiated when Config does not say.
const DefaultMuxer = "/yamux/1.0.0"

// DefaultTimeout is the time for the whole upgrade when Config does not say. go-libp2p's listeners
// have the same.
const DefaultTimeout = 15 * time.Second

// MaxBytes bounds what a remote may send until its upgrade is done, without data behind it.
// It stops a remote that keeps each step busy up to that step's own bound; an honest upgrade needs
// 1 to 4 KiB.
const MaxBytes = 64 << 10

// Role is the side of the upgrade: the one that proposes, or the one that chooses. It need not
// be the side that opened the connection.
type Role uint8

const (
	// Listener chooses among the proposals.
	Listener Role = iota
	// Dialer proposes.
	Dialer
)

// Stage says how far an upgrade is. It never goes back; who has come far is worth more when
// slots are short.
type Stage uint8

const (
	// Silent: nothing that makes sense has been received.
	Silent Stage = iota
	// Speaking: the remote speaks multistream-select.
	Speaking
	// Securing: a security protocol is agreed on.
	Securing
	// Secured: the remote has proved who it is.
	Secured
	// Finished: the muxer is agreed on.
	Finished
)

func (s Stage) String() string {
	switch s {
	case Silent:
		return "silent"
	case Speaking:
		return "speaking"
	case Securing:
		return "securing"
	case Secured:
		return "secured"
	case Finished:
		return "finished"
	}
	return fmt.Sprintf("stage %d", uint8(s))
}

// Opener is conduit.Opener: the reading half of a secured channel.
type Opener interface {
	Feed(p []byte)
	Next() ([]byte, bool, error)
}

// Sealer is conduit.Sealer: the writing half of a secured channel.
type Sealer interface {
	Seal(dst, p []byte) ([]byte, error)
	SealedSize(n int) int
}

// Channel is the outcome of a security handshake.
type Channel struct {
	Peer      identity.ID
	PublicKey identity.PublicKey
	// Muxer is the one agreed on in the handshake; empty when it was not.
	Muxer string
	Open  Opener
	Seal  Sealer
}

// Event is what Next returns: NeedTLS or Done.
type Event interface{ event() }

// NeedTLS asks the owner to run a TLS handshake. Received bytes belong to it from now on, first
// Rest, until HandleTLS.
type NeedTLS struct {
	Server bool
	Expect identity.ID
	Muxers []string // for ALPN, the best first; may be empty
	Rest   []byte   // owned by the receiver
}

// Done is the end of an upgrade that has succeeded. What AppendOutput still has goes before
// anything that Seal yields.
type Done struct {
	Peer      identity.ID
	PublicKey identity.PublicKey
	Security  string
	Muxer     string
	Early     bool // the muxer was agreed on in the security handshake
	Open      Opener
	Seal      Sealer
	Rest      []byte // plaintext for the muxer that has come already; owned by the receiver
}

func (NeedTLS) event() {}
func (Done) event()    {}

// Fault says who is to blame for an Error.
type Fault uint8

const (
	// Remote: the remote sent what the protocols do not allow, refused us or went away.
	Remote Fault = iota
	// Local: this node is configured wrong, was used wrong, or failed.
	Local
	// Limit: a bound of this node was reached: a size, a number, the deadline.
	Limit
)

func (f Fault) String() string {
	switch f {
	case Remote:
		return "remote"
	case Local:
		return "local"
	case Limit:
		return "limit"
	}
	return fmt.Sprintf("fault %d", uint8(f))
}

// Layer is the part of the upgrade that failed.
type Layer string

// The layers. A security handshake's layer is its protocol's short name.
const (
	LayerConfig    Layer = "config"
	LayerNetwork   Layer = "private network"
	LayerSecurity  Layer = "security negotiation"
	LayerNoise     Layer = "noise"
	LayerTLS       Layer = "tls"
	LayerPlaintext Layer = "plaintext"
	LayerMuxer     Layer = "muxer negotiation"
)

// Error is every error of this package.
type Error struct {
	Layer Layer
	Fault Fault
	Err   error
}

func (e *Error) Error() string {
	return fmt.Sprintf("upgrade: %s (%s): %v", e.Layer, e.Fault, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

var (
	// ErrSelf: the connection leads back to this node.
	ErrSelf = errors.New("remote is this node itself")
	// ErrTimeout: the deadline of the whole upgrade has passed.
	ErrTimeout = errors.New("not done within the deadline")
	// ErrTooLong: the remote sent MaxBytes and the upgrade is still not done.
	ErrTooLong = errors.New("over 64 KiB and still not done")
	// ErrEnded: the connection ended before the upgrade did.
	ErrEnded = errors.New("connection ended")
	// ErrConfig: a Config that no upgrade can be made with.
	ErrConfig = errors.New("bad configuration")
	// ErrKey: the remote is not in this private network, by all that can be told: what its bytes
	// become under our key is not the beginning of an upgrade.
	ErrKey = errors.New("not in this private network: a wrong pre-shared key is a likely cause")
	// ErrMisuse: the owner's calls do not fit the state.
	ErrMisuse = errors.New("called in the wrong state")
)

// Bounds lists what a remote can fill here.
func Bounds() []bound.Bound {
	return []bound.Bound{{Name: "negotiation/upgrade: bytes of an upgrade", Cap: MaxBytes, Attack: "an upgrade that goes on and on"}}
}
