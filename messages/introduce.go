package messages

import "github.com/troupe-p2p/troupe/actors"

// Actors are spawned in the order in which they may be restarted, so the early ones cannot have
// the references of the late ones in their specs. They are introduced instead, once for all
// incarnations: a Ref outlives restarts.

// Introduce tells the peerstore and identify who the supervisor of all remotes is.
type Introduce struct {
	Book
	Identify
	Peers actors.Ref[Peers]
}

// IntroduceIdentify tells the router who wants to know about protocols.
type IntroduceIdentify struct {
	Router
	Identify actors.Ref[Identify]
}

// AnnounceConns asks for a ConnUp of every live connection. Identify sends it when it has been
// restarted: what came between its failure and its return was lost.
type AnnounceConns struct{ Peers }
