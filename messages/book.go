package messages

import (
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"

	ma "github.com/multiformats/go-multiaddr"
)

// Book is what the peerstore's actor receives.
type Book interface{ book() }

// Lookup asks for the addresses of a peer, the likeliest first. Never an error for an unknown
// peer: the list is empty.
type Lookup struct {
	Book
	Peer  identity.ID
	Reply actors.Reply[[]ma.Multiaddr]
}

// Discard implements actors.Discarder.
func (m *Lookup) Discard(why error) { m.Reply.Fail(why) }

// Learn adds addresses from a source that nobody signed. TTL 0 is for what the user gives: it
// stays for as long as the node lives.
type Learn struct {
	Book
	Peer  identity.ID
	Addrs []ma.Multiaddr
	TTL   time.Duration
}

// Identified stores what a peer says of itself, over a connection that proves who it is.
type Identified struct {
	Book
	Peer      identity.ID
	Key       identity.PublicKey
	Addrs     []ma.Multiaddr
	Record    []byte               // signed peer record; nil: none
	Certified *identity.PeerRecord // Record, opened by whoever verified it; nil: not yet
	Protocols []string
	Agent     string
	Version   string
	// Partial says that what is empty here stays as it is known: a push.
	Partial bool
}

// Connectedness says whether there is a connection with a peer: its addresses do not age then.
type Connectedness struct {
	Book
	Peer      identity.ID
	Connected bool
}

// PeerInfo asks for all that is known of a peer.
type PeerInfo struct {
	Book
	Peer  identity.ID
	Reply actors.Reply[KnownPeer]
}

// Discard implements actors.Discarder.
func (m *PeerInfo) Discard(why error) { m.Reply.Fail(why) }

// KnownPeer is what the peerstore knows of a peer.
type KnownPeer struct {
	Peer      identity.ID
	Addrs     []ma.Multiaddr
	Protocols []string
	Agent     string
	Version   string
	Record    []byte // its newest signed peer record
	Connected bool
}

// KnownPeers asks for the IDs of every known peer, in order.
type KnownPeers struct {
	Book
	Reply actors.Reply[[]identity.ID]
}

// Discard implements actors.Discarder.
func (m *KnownPeers) Discard(why error) { m.Reply.Fail(why) }
