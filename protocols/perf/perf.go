// Package perf serves and runs /perf/1.0.0, which measures throughput.
//
//	inbound   Data ─> Server; after the remote's end zeros until it has what it wanted,
//	          as fast as Write answers Accepted and Writable follows
//	outbound  Run(stream): one upload, one download
//
// Both roles are in the core, protocols/perf/perfcore. Spec: perf/perf.md.
package perf

import (
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/protocols/perf/perfcore"
	"github.com/troupe-p2p/troupe/stream"
)

// Protocol is what the two sides agree on for the stream.
const Protocol = perfcore.Protocol

// Codes of the draft registry that go-libp2p uses.
const (
	codeProtocolViolation uint32 = 0x1004
	codeGarbageCollected  uint32 = 0x1006
)

// Handler serves the protocol.
func Handler() stream.Handler {
	return stream.Handler{Inline: true, Bounded: true, Actor: func(*stream.Stream) actors.Spec {
		return actors.Spec{Kind: "perf", New: func() actor.Actor { return &server{} }}
	}}
}

// server serves one stream.
type server struct {
	s       *stream.Stream
	core    *perfcore.Server
	timer   *actors.Timer
	blocked bool
	// block is given to every Write of a whole block, so that a download of any size costs
	// one buffer and no copying.
	block *buf.Buf
}

type tick struct{}

// Receive implements actor.Actor.
func (v *server) Receive(ctx actor.Context) {
	now := actors.RuntimeOf(ctx).Now()
	var err error
	switch m := ctx.Message().(type) {
	case *stream.Opened:
		v.s = m.Stream
		v.core = perfcore.NewServer(perfcore.Config{}, now)
		v.timer = actors.NewTimer(ctx, &tick{})
	case *stream.Data:
		err = v.core.HandleBytes(now, m.B)
	case *stream.RemoteClosed:
		err = v.core.HandleEnd(now)
	case *stream.Writable:
		v.blocked = false
	case *tick:
		err = v.core.HandleTimeout(now)
	case *actor.Stopping:
		if v.block != nil {
			v.block.Release()
			v.block = nil
		}
		return
	default:
		return
	}
	if err != nil {
		code := codeProtocolViolation
		if errors.Is(err, perfcore.ErrStalled) {
			code = codeGarbageCollected
		}
		v.s.Fail(code, err)
		v.timer.Stop()
		return
	}
	for !v.blocked {
		p := v.core.NextWrite()
		if len(p) == 0 {
			break
		}
		r := v.s.Write(v.body(p))
		if r == stream.Refused {
			v.timer.Stop()
			return // Ended follows
		}
		v.core.Wrote(now, len(p))
		v.blocked = r == stream.Blocked
	}
	if v.core.Done() {
		v.s.Close()
	}
	if at, ok := v.core.Deadline(); ok {
		v.timer.Set(at)
	} else {
		v.timer.Stop()
	}
}

// body is p in a buffer that may be given away. Nobody writes to the shared block.
func (v *server) body(p []byte) *buf.Buf {
	if len(p) < perfcore.BlockSize {
		return buf.Copy(p)
	}
	if v.block == nil {
		v.block = buf.Copy(p)
	}
	v.block.Retain()
	return v.block
}
