package messages

import (
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/stream"
)

// Session is what the actor of one connection receives.
type Session interface{ session() }

// OpenStream opens a stream for the first of Protocols that the remote speaks.
type OpenStream struct {
	Session
	Protocols []string
	// Confirm waits for the remote's answer before the reply. With several protocols it
	// always does. Else the answer shows on the first use after it came.
	Confirm bool
	// Handler serves the stream; the zero Handler leaves it to whoever gets the reply.
	Handler stream.Handler
	// Reply must be set: a request that nobody waits for is dropped.
	Reply actors.Reply[*stream.Stream]
}

// Discard implements actors.Discarder.
func (m *OpenStream) Discard(why error) { m.Reply.Fail(why) }

// CloseConn ends the connection: the code goes to the remote where the wire can carry it.
type CloseConn struct {
	Session
	Code   uint32
	Reason string
}

// Probe measures a round trip on the muxer; the answer proves that the connection lives.
type Probe struct {
	Session
	Reply actors.Reply[time.Duration]
}

// Discard implements actors.Discarder.
func (m *Probe) Discard(why error) { m.Reply.Fail(why) }
