package messages

import (
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/stream"
)

// Router is what the actor of the handler table receives.
type Router interface{ router() }

// Handle sets the handler of a protocol; a zero Handler removes it.
type Handle struct {
	Router
	Protocol string
	Handler  stream.Handler
	Reply    actors.Reply[struct{}]
}

// Discard implements actors.Discarder.
func (m *Handle) Discard(why error) { m.Reply.Fail(why) }
