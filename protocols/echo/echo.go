// Package echo is the reference of an actor handler: it sends back what it gets, with credit in
// both directions, until the remote ends.
//
//	Data, and Write answers Accepted   the next Data comes
//	Data, and Write answers Blocked    Hold: no Data comes, the remote's window fills, it waits
//	Writable                           Release: the next Data comes
//	RemoteClosed                       everything is written already: Close
//
// However fast the remote sends and however slowly it reads, the handler holds one Data and what
// the stream's output cap allows.
package echo

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/stream"
)

// Protocol is what the two sides agree on for the stream.
const Protocol = "/troupe/echo/1.0.0"

// Handler serves the protocol.
func Handler() stream.Handler {
	return stream.Handler{Inline: true, Bounded: true, Actor: func(*stream.Stream) actors.Spec {
		return actors.Spec{Kind: "echo", New: func() actor.Actor { return &echo{} }}
	}}
}

// echo serves one stream.
type echo struct {
	held *stream.Data // waits for Writable; nil: nothing waits
}

// Receive implements actor.Actor.
func (e *echo) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *stream.Data:
		if m.Stream.Write(m.Take()) == stream.Blocked {
			m.Hold()
			e.held = m
		}
	case *stream.Writable:
		if d := e.held; d != nil {
			e.held = nil
			d.Release()
		}
	case *stream.RemoteClosed:
		m.Stream.Close()
	}
}
