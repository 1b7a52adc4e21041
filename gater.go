package troupe

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation"
	"github.com/troupe-p2p/troupe/peers/limits"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// Gater is the program's own say in who may be dialled and who is let in. A hook that returns an error
// refuses; a nil hook lets everybody through and costs nothing. The error is in what the dial returns, or
// in the event EventRefused.
//
// Hooks may block: each call has a goroutine of its own, and concerns one dial or one handshake, which
// waits for it until its own time is over (Config.DialTimeout, Config.UpgradeTimeout). Then it is
// refused, and ctx ends. A hook that panics refuses, too. Hooks that do not return are listed in the tree;
// when as many calls are under way as twice Limits.HalfOpen and HalfOpenOut together, further ones are not
// made, and refuse.
type Gater struct {
	// Dial is asked before anything is sent to an address. peer is empty if whoever answers is
	// welcome. What it refuses is no failure of the address: the next dial asks again.
	Dial func(ctx context.Context, peer identity.ID, addr ma.Multiaddr) error
	// Accept is asked about an inbound connection before anything of libp2p is read from it or sent: behind
	// the HTTP upgrade of a WebSocket, and with QUIC behind the whole handshake, which comes with it.
	Accept func(ctx context.Context, e Endpoints) error
	// Secured is asked when a peer has proved who it is, in either direction.
	Secured func(ctx context.Context, peer identity.ID, e Endpoints) error
	// Upgraded is asked about a connection that is ready for streams. It has no ID yet.
	Upgraded func(ctx context.Context, c *Conn) error
}

// Endpoints are the addresses of a connection, and who opened it.
type Endpoints = conduit.Endpoints

// GatedError says which hook of Config.Gater refused whom, and why.
type GatedError = messages.GatedError

// gating is a Gater whose calls are counted.
type gating struct {
	most  int64
	calls atomic.Int64

	dial    func(context.Context, identity.ID, ma.Multiaddr) error
	upgrade negotiation.Hooks
}

func newGating(g Gater, l limits.Limits) *gating {
	c := &gating{most: gaterCalls(l)}
	if f := g.Dial; f != nil {
		c.dial = func(ctx context.Context, peer identity.ID, a ma.Multiaddr) error {
			return c.call(func() error { return f(ctx, peer, a) })
		}
	}
	if f := g.Accept; f != nil {
		c.upgrade.Accept = func(ctx context.Context, e conduit.Endpoints) error {
			return c.call(func() error { return f(ctx, e) })
		}
	}
	if f := g.Secured; f != nil {
		c.upgrade.Secured = func(ctx context.Context, peer identity.ID, e conduit.Endpoints) error {
			return c.call(func() error { return f(ctx, peer, e) })
		}
	}
	if f := g.Upgraded; f != nil {
		c.upgrade.Upgraded = func(ctx context.Context, conn *stream.Conn) error {
			return c.call(func() error { return f(ctx, conn) })
		}
	}
	return c
}

// gaterCalls is how many calls may be under way. It stops a flood of connections from leaving a goroutine
// each in a hook that hangs.
func gaterCalls(l limits.Limits) int64 { return max(16, 2*int64(l.HalfOpen+l.HalfOpenOut)) }

func (c *gating) call(f func() error) error {
	if c.calls.Add(1) > c.most {
		c.calls.Add(-1)
		return fmt.Errorf("limit: %d calls of Config.Gater have not returned (Limits.HalfOpen, Limits.HalfOpenOut)", c.most)
	}
	defer c.calls.Add(-1) // after a panic too
	return f()
}
