package messages

import (
	"errors"
	"fmt"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// The hooks of a node's Gater, as GatedError names them.
const (
	HookDial     = "Dial"
	HookAccept   = "Accept"
	HookSecured  = "Secured"
	HookUpgraded = "Upgraded"
)

// ErrHung is a hook that had not answered when the time of its dial or handshake was over.
var ErrHung = errors.New("it has not answered in time")

// GatedError refuses a connection because a hook of the program's own said so: by its error, by a panic,
// or by not answering.
type GatedError struct {
	Hook string
	// Direction of the connection; Peer is "" if it is not known yet.
	Direction conduit.Direction
	Peer      identity.ID
	Addr      ma.Multiaddr // of the remote
	Err       error
}

func (e *GatedError) Error() string {
	who := "whoever is"
	if e.Peer != "" {
		who = "peer " + e.Peer.String()
	}
	return fmt.Sprintf("local: Gater.%s refused %s at %s (%v): %v", e.Hook, who, e.Addr, e.Direction, e.Err)
}

// Unwrap gives what the hook said.
func (e *GatedError) Unwrap() error { return e.Err }
