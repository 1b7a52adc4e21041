package multistream

import "github.com/troupe-p2p/troupe/internal/bound"

// Bounds lists what a remote can fill here.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "negotiation/multistream: bytes of a message under way", Cap: MaxMessage + 2, Attack: "a message that never ends"},
		{Name: "negotiation/multistream: refusals not yet sent", Cap: MaxProposals, Attack: "proposals from a remote that reads no answer"},
	}
}
