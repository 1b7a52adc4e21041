package messages

import (
	"github.com/troupe-p2p/troupe/actors"

	ma "github.com/multiformats/go-multiaddr"
)

// Listeners is what the supervisor of the listeners receives.
type Listeners interface{ listeners() }

// Listen binds an address; the reply is the address as bound.
type Listen struct {
	Listeners
	Addr  ma.Multiaddr
	Reply actors.Reply[ma.Multiaddr]
}

// Discard implements actors.Discarder.
func (m *Listen) Discard(why error) { m.Reply.Fail(why) }

// Bound says that a listener is bound, for the first time or again.
type Bound struct {
	Listeners
	Want, Addr ma.Multiaddr
}

// Unbound says that a listener has lost its address, and why. It tries again.
type Unbound struct {
	Listeners
	Want ma.Multiaddr
	Err  error
}
