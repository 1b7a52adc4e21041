package messages

import (
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/stream"

	ma "github.com/multiformats/go-multiaddr"
)

// Peers is what the supervisor of all remotes receives.
type Peers interface{ peers() }

// Open wants a stream to a peer: over a live connection, or over one that is dialled for it.
type Open struct {
	Peers
	Peer identity.ID
	// Addrs are tried beside those that the peerstore knows.
	Addrs     []ma.Multiaddr
	Protocols []string
	Confirm   bool
	Handler   stream.Handler
	// NoDial refuses instead of dialling.
	NoDial bool
	// Deadline of the whole open; zero: none but that of whoever waits.
	Deadline time.Time
	// Reply must be set: a request that nobody waits for is dropped.
	Reply actors.Reply[*stream.Stream]
}

// Discard implements actors.Discarder.
func (m *Open) Discard(why error) { m.Reply.Fail(why) }

// Dial wants a connection to a peer. With an empty Peer, Addrs must hold one address, and
// whoever answers there is taken.
type Dial struct {
	Peers
	Peer     identity.ID
	Addrs    []ma.Multiaddr
	Deadline time.Time
	// Reply must be set: a request that nobody waits for is dropped.
	Reply actors.Reply[*stream.Conn]
}

// Discard implements actors.Discarder.
func (m *Dial) Discard(why error) { m.Reply.Fail(why) }

// Hangup closes every connection with a peer.
type Hangup struct {
	Peers
	Peer   identity.ID
	Code   uint32
	Reason string
}

// Arrived is an inbound link, from the gate.
type Arrived struct {
	Peers
	Link *Link
}

// Discard implements actors.Discarder.
func (m *Arrived) Discard(error) { m.Link.Close() }

// PeerIdentified is what identify has learnt of a peer over one connection.
type PeerIdentified struct {
	Peers
	Peer      identity.ID
	Conn      uint64
	Agent     string
	Protocols []string
}

// PeerStarted says that a peer's actor begins with nothing: whatever its predecessor held of
// the node's limits is free.
type PeerStarted struct {
	Peers
	Peer identity.ID
}

// ConnReleased says that the actor of a connection has ended.
type ConnReleased struct {
	Peers
	Peer identity.ID
	Conn uint64
}

// PeerIdle says that a peer's actor has nothing to do; it is stopped unless work for it is
// under way.
type PeerIdle struct {
	Peers
	Peer identity.ID
	Seen uint64 // the number of messages that it had been given
}

// ListConns asks for the live connections, oldest first.
type ListConns struct {
	Peers
	Reply actors.Reply[[]*stream.Conn]
}

// Discard implements actors.Discarder.
func (m *ListConns) Discard(why error) { m.Reply.Fail(why) }
