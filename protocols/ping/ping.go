// Package ping serves and sends /ipfs/ping/1.0.0.
//
//	inbound   Data ─> Responder ─> Write, at most two streams for each peer
//	outbound  Ping(stream): one round trip, as often as wanted on one stream
//
// Both roles are in the core, protocols/ping/pingcore. Spec: ping/ping.md.
package ping

import (
	"errors"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/internal/tally"
	"github.com/troupe-p2p/troupe/protocols/ping/pingcore"
	"github.com/troupe-p2p/troupe/stream"
)

// Protocol is what the two sides agree on for the stream.
const Protocol = pingcore.Protocol

// Codes of the draft registry that go-libp2p uses.
const (
	codeResourceLimit     uint32 = 0x1002
	codeProtocolViolation uint32 = 0x1004
	codeGarbageCollected  uint32 = 0x1006
)

// Handler serves the protocol. The streams of all connections that one Handler serves share the
// limit of two for each peer.
func Handler() stream.Handler {
	guests := &guests{}
	return stream.Handler{Inline: true, Bounded: true, Actor: func(s *stream.Stream) actors.Spec {
		return actors.Spec{Kind: "ping", New: func() actor.Actor { return &responder{guests: guests, peer: s.Peer()} }}
	}}
}

// guests counts the streams of each peer. It has a lock because it is shared by handlers of all
// connections, whose turns run at the same time.
type guests struct {
	mu sync.Mutex
	by tally.Tally[identity.ID]
}

func (g *guests) enter(id identity.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.by.Get(id) >= pingcore.MaxStreamsPerPeer {
		return false
	}
	g.by.Add(id, 1)
	return true
}

func (g *guests) leave(id identity.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.by.Add(id, -1)
}

// responder serves one stream.
type responder struct {
	guests  *guests
	peer    identity.ID
	counted bool
	s       *stream.Stream
	core    *pingcore.Responder
	timer   *actors.Timer
	blocked bool
}

type tick struct{}

// Receive implements actor.Actor.
func (r *responder) Receive(ctx actor.Context) {
	now := actors.RuntimeOf(ctx).Now()
	var err error
	switch m := ctx.Message().(type) {
	case *stream.Opened:
		r.s = m.Stream
		if r.counted = r.guests.enter(r.peer); !r.counted {
			r.s.Reset(codeResourceLimit)
			return
		}
		r.core = pingcore.NewResponder(pingcore.Config{}, now)
		r.timer = actors.NewTimer(ctx, &tick{})
	case *actor.Stopping:
		if r.counted {
			r.guests.leave(r.peer)
		}
		return
	case *stream.Data:
		if r.core != nil {
			err = r.core.HandleBytes(now, m.B)
		}
	case *stream.Writable:
		r.blocked = false
	case *stream.RemoteClosed:
		if r.core != nil {
			err = r.core.HandleEnd()
		}
	case *tick:
		err = r.core.HandleTimeout(now)
	default:
		return
	}
	if r.core == nil {
		return // turned away
	}
	if err != nil {
		code := codeProtocolViolation
		if errors.Is(err, pingcore.ErrTimeout) {
			code = codeGarbageCollected
		}
		r.s.Fail(code, err)
		r.timer.Stop()
		return
	}
	r.drain()
}

// drain sends the answers that the stream takes, and arms the timer.
func (r *responder) drain() {
	if !r.blocked {
		b := buf.Get(pingcore.Size)
		b.B = r.core.AppendOutput(b.B[:0])
		if len(b.B) > 0 {
			r.blocked = r.s.Write(b) == stream.Blocked
		} else {
			b.Release()
		}
	}
	if r.core.Done() {
		r.s.Close()
	}
	if at, ok := r.core.Deadline(); ok {
		r.timer.Set(at)
	} else {
		r.timer.Stop()
	}
}
