package messages

import (
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/stream"

	ma "github.com/multiformats/go-multiaddr"
)

// Event is what a node tells its subscribers. Kind says which fields are set.
type Event struct {
	Kind  EventKind
	At    time.Time
	Peer  identity.ID
	Conn  *stream.Conn
	Addrs []ma.Multiaddr
	// Path is the actor that the event is about, as in the tree.
	Path string
	// Code and Remote say how a connection ended.
	Code   uint32
	Remote bool
	Err    error
	// Protocols and Agent are what identify has learnt.
	Protocols []string
	Agent     string
}

// EventKind is the kind of an Event.
type EventKind string

// The kinds of events.
const (
	EventConnected     EventKind = "connected"      // Peer, Conn
	EventDisconnected  EventKind = "disconnected"   // Peer, Conn, Code, Remote, Err
	EventIdentified    EventKind = "identified"     // Peer, Conn, Protocols, Agent, Addrs
	EventIdentifyError EventKind = "identify_error" // Peer, Conn, Err
	EventListening     EventKind = "listening"      // Addrs: one
	EventListenError   EventKind = "listen_error"   // Addrs: one; Err
	EventAddrs         EventKind = "addrs"          // Addrs: all that are advertised
	EventPanic         EventKind = "panic"          // Path, Err
	EventAbandoned     EventKind = "abandoned"      // Path
	EventRefused       EventKind = "refused"        // Peer or Addrs (if known), Err: a limit, or Config.Gater
	EventUpgradeError  EventKind = "upgrade_error"  // Addrs: one; Err
)
