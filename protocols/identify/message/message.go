// Package message is the content of identify and identify push, without any I/O.
//
//	stream   part* end               at most 10 parts; one is usual
//	part     uvarint(len) protobuf   at most 8 KiB
//	protobuf {1: public key, 2: listen address*, 3: protocol*, 4: observed address,
//	          5: protocol version, 6: agent version, 8: sealed peer record}
//
// The parts are merged: repeated fields are joined, of others the last one counts. The identified
// node sends and ends; both /ipfs/id/1.0.0 and /ipfs/id/push/1.0.0 carry the same bytes, in
// opposite directions. Spec: identify/README.md, which has neither parts nor field 8; both are what
// go-libp2p sends.
//
// A Reader turns a stream into an Info that is fit to be kept: keys, IDs and signatures are checked
// against the peer of the connection, everything is counted before it is stored. Encode writes our
// own Info so that all implementations read the important part of it.
package message

import (
	"errors"
	"fmt"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bound"

	ma "github.com/multiformats/go-multiaddr"
)

const (
	// Protocol asks the listener of the stream to identify itself.
	Protocol = "/ipfs/id/1.0.0"
	// PushProtocol lets the dialer of the stream tell that it has changed.
	PushProtocol = "/ipfs/id/push/1.0.0"
)

const (
	// maxMessage bounds a part, as in go-libp2p. It stops a peer from announcing a length
	// and making us wait with a buffer for it.
	maxMessage = 8 << 10
	// maxParts bounds the parts. It stops a message without end.
	maxParts = 10
	// MaxProtocols bounds the protocols kept of a peer. It stops a peerstore full of
	// invented names (go-libp2p issue 3501).
	MaxProtocols = 1024
	// maxProtocolName bounds one name; the longest in use have about 50 bytes. Names are
	// printed and are keys of tables.
	maxProtocolName = 256
	// MaxAddrs bounds the listen addresses taken from a connected peer. It stops lists of
	// thousands that would all be dialled.
	MaxAddrs = 500
	// maxVersion bounds the agent and protocol versions, which are text for people.
	maxVersion = 256
)

var (
	// ErrTooLarge is a part that announces more bytes than a part may have.
	ErrTooLarge = fmt.Errorf("identify: remote: part of more than %d bytes", maxMessage)
	// ErrTooManyParts is a message that does not end.
	ErrTooManyParts = fmt.Errorf("identify: remote: more than %d parts", maxParts)
	// ErrMalformed is a part that is no protobuf.
	ErrMalformed = errors.New("identify: remote: malformed message")
	// ErrTruncated is a stream that ended inside a part, or before the first.
	ErrTruncated = errors.New("identify: remote: stream ended inside the message")
	// ErrWrongPeer is a key or record that belongs to somebody else.
	ErrWrongPeer = errors.New("identify: remote: speaks for another peer")
	// ErrTimeout is a message that was not complete in time.
	ErrTimeout = errors.New("identify: remote: no complete message in time")
)

// Info is what a node says about itself. Of a Reader it is checked and within the bounds, and owns
// its memory.
type Info struct {
	// PublicKey is the peer's key, nil if it sent none. Most do, for RSA peers it is needed.
	PublicKey       identity.PublicKey
	ProtocolVersion string
	AgentVersion    string
	Protocols       []string
	// ListenAddrs are without the peer's own /p2p. Nobody has certified them.
	ListenAddrs []ma.Multiaddr
	// Observed is where the sender sees us, nil if it does not say. It is a claim.
	Observed ma.Multiaddr
	// Record is the sealed peer record, nil if there is none.
	Record []byte
	// Certified is the opened Record. Only a Reader sets it.
	Certified *identity.PeerRecord
	// Dropped counts what a Reader left out: malformed, foreign, doubled or too many.
	Dropped int
}

// Addrs returns the certified addresses if there are any, else the others.
func (i Info) Addrs() []ma.Multiaddr {
	if i.Certified != nil && len(i.Certified.Addrs) > 0 {
		return i.Certified.Addrs
	}
	return i.ListenAddrs
}

// Config of a Reader; only Peer is needed.
type Config struct {
	// Peer is the authenticated remote of the connection.
	Peer identity.ID
	// Remote is where the connection comes from. Addresses that a peer there cannot know to
	// be its own are left out (a public peer's loopback). Default nil: all are taken.
	Remote ma.Multiaddr
	// Timeout bounds the whole message, however it drips. Default 5 s.
	Timeout time.Duration
}

func (c Config) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return 5 * time.Second
}

// Bounds lists what a remote can fill.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "protocols/identify: bytes of a part", Cap: maxMessage, Attack: "a length without a body"},
		{Name: "protocols/identify: parts of a message", Cap: maxParts, Attack: "a message without end"},
		{Name: "protocols/identify: protocols of a message", Cap: MaxProtocols, Attack: "invented protocol names"},
		{Name: "protocols/identify: bytes of a protocol name", Cap: maxProtocolName, Attack: "few, huge names"},
		{Name: "protocols/identify: listen addresses of a message", Cap: MaxAddrs, Attack: "thousands of addresses to dial"},
		{Name: "protocols/identify: bytes of a version", Cap: maxVersion, Attack: "an agent string of a megabyte"},
		{Name: "protocols/identify: pushes of a peer at once", Cap: pushBurst, Attack: "a push every millisecond"},
	}
}
