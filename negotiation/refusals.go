package negotiation

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"

	ma "github.com/multiformats/go-multiaddr"
)

// maxTold is how many refusals are told one by one between two reports. It stops a flood of
// connections, each of which is refused, from pushing everything else out of the subscribers' feeds.
const maxTold = 8

// RefusedError says that more connections were refused than were told one by one.
type RefusedError struct {
	N    uint64 // since the last report
	Last error  // why the last of them was; nil if that is not known
}

func (e *RefusedError) Error() string {
	if e.Last == nil {
		return fmt.Sprintf("%d more connections were refused", e.N)
	}
	return fmt.Sprintf("%d more connections were refused; the last: %v", e.N, e.Last)
}

// Unwrap gives the reason of the last one.
func (e *RefusedError) Unwrap() error { return e.Last }

// refusals are told to subscribers, a few at once and the rest as a number. They belong to the gate.
type refusals struct {
	said  int // since the last report
	more  uint64
	last  error
	total uint64
	spoke bool // there was something since the last report
}

func (r *refusals) refuse(hub *actors.Hub[messages.Event], now time.Time, peer identity.ID, addr ma.Multiaddr, err error) {
	r.total++
	r.spoke = true
	if r.said >= maxTold {
		r.more++
		r.last = err
		return
	}
	r.said++
	hub.Emit(messages.Event{Kind: messages.EventRefused, At: now, Peer: peer, Addrs: []ma.Multiaddr{addr}, Err: err})
}

// tell is the report.
func (r *refusals) tell(hub *actors.Hub[messages.Event], now time.Time) {
	r.spoke = r.said > 0 || r.more > 0
	if r.more > 0 {
		hub.Emit(messages.Event{Kind: messages.EventRefused, At: now, Err: &RefusedError{N: r.more, Last: r.last}})
	}
	r.said, r.more, r.last = 0, 0, nil
}

// hear takes what the door has turned away.
func (g *gate) hear(ctx actor.Context) {
	if g.cfg.Door == nil {
		return
	}
	some, more := g.cfg.Door.take()
	for _, t := range some {
		g.refuse(ctx, "", t.addr, t.err)
	}
	if more > 0 {
		g.refused.more += more
		g.refused.total += more
		g.refused.last = some[len(some)-1].err
	}
}

// refuse tells of one connection that is not let in.
func (g *gate) refuse(ctx actor.Context, peer identity.ID, addr ma.Multiaddr, err error) {
	g.refused.refuse(g.cfg.Hub, actors.RuntimeOf(ctx).Now(), peer, addr, err)
	if !g.report.IsSet() {
		g.report.After(reportEvery)
	}
}
