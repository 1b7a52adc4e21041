package messages

import (
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/stream"

	ma "github.com/multiformats/go-multiaddr"
)

// Identify is what the identify service receives.
type Identify interface{ identify() }

// ConnUp is a new connection with its actor; identify asks the remote who it is.
type ConnUp struct {
	Identify
	Conn    *stream.Conn
	Session actors.Ref[Session]
}

// ConnDown is the end of it.
type ConnDown struct {
	Identify
	Conn uint64
}

// ListenAddrs are the addresses at which the node is bound now, with real ports.
type ListenAddrs struct {
	Identify
	Addrs []ma.Multiaddr
}

// Protocols are the protocols that the node's handlers serve now, in order.
type Protocols struct {
	Identify
	IDs []string
}
