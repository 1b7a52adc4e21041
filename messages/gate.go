package messages

import (
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// Gate is what the actor receives that bounds inbound handshakes.
type Gate interface{ gate() }

// Accepted is a new inbound connection, from a listener.
type Accepted struct {
	Gate
	Conduit conduit.Conduit
	Lease   Lease
}

// Discard implements actors.Discarder.
func (m *Accepted) Discard(error) {
	m.Conduit.Abandon()
	Release(m.Lease)
}

// Turned says that the listeners have turned connections away; who and why is to be fetched.
type Turned struct{ Gate }

// UpgradeProgressed says how far an inbound handshake has come.
type UpgradeProgressed struct {
	Gate
	ID    uint64
	Stage uint8
}

// Upgrader is whoever wants an upgrade: it is told the outcome, once.
type Upgrader interface{ upgrader() }

// Upgraded is a connection with security and a muxer.
type Upgraded struct {
	Upgrader
	ID   uint64 // chosen by the upgrader
	Link *Link
}

// Discard implements actors.Discarder.
func (m *Upgraded) Discard(error) { m.Link.Close() }

// HookAsked says that an outbound upgrade waits for a hook of the program's, or with Hook "" that it
// does not any more.
type HookAsked struct {
	Upgrader
	ID   uint64
	Hook string
	Peer identity.ID
}

// UpgradeFailed is a handshake that failed; its conduit is closed.
type UpgradeFailed struct {
	Upgrader
	ID     uint64
	Remote ma.Multiaddr
	Err    error
}
