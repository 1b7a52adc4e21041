package messages

import (
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// Link is a connection that is ready to carry streams, before it has an actor: either a Raw
// conduit with its security, or a Muxed conduit. Whoever holds it uses it or closes it.
type Link struct {
	Endpoints conduit.Endpoints
	Peer      identity.ID
	PublicKey identity.PublicKey
	Secured   conduit.Secured
	Muxed     conduit.Muxed
	Lease     Lease // nil: nothing is booked for it
}

// Lease is what is booked for an inbound connection from its first moment. Release gives it back,
// the first time that it is called, on any goroutine. nil books nothing; see Release.
type Lease interface{ Release() }

// Release gives a lease back, if there is one.
func Release(l Lease) {
	if l != nil {
		l.Release()
	}
}

// Close ends a link that nobody uses. What the channel holds of a frame goes back, and the lease.
func (l *Link) Close() {
	if c, ok := l.Secured.Open.(interface{ Close() }); ok {
		c.Close()
	}
	conduit.Conduit{Raw: l.Secured.Raw, Muxed: l.Muxed}.Abandon()
	Release(l.Lease)
}
