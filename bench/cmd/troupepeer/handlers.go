package main

import (
	"context"
	"encoding/binary"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe"

	"github.com/troupe-p2p/troupe/bench/control"
	"github.com/troupe-p2p/troupe/bench/drive"
)

// handlers serve the protocols of the benchmark by actors, or by goroutines with the code that
// all programs share.
func handlers(goroutines bool) map[string]troupe.Handler {
	hs := map[string]troupe.Handler{}
	for id, handle := range drive.Handlers {
		hs[id] = troupe.StreamHandler(func(_ context.Context, s *troupe.Stream) { drive.Serve(blocking{s}, handle) })
	}
	if !goroutines {
		hs[control.SinkProtocol] = troupe.ActorHandler(func() actor.Actor { return &sink{} })
		hs[control.SourceProtocol] = troupe.ActorHandler(func() actor.Actor { return &source{} })
		hs[control.RequestProtocol] = troupe.ActorHandler(func() actor.Actor { return &request{} })
		hs[control.HoldProtocol] = troupe.ActorHandler(func() actor.Actor { return hold{} })
	}
	return hs
}

// sink counts.
type sink struct{ n uint64 }

func (h *sink) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *troupe.StreamData:
		h.n += uint64(len(m.B))
	case *troupe.StreamRemoteClosed:
		m.Stream.WriteCopy(binary.BigEndian.AppendUint64(nil, h.n))
		m.Stream.Close()
	}
}

// source sends as much as the stream takes, and goes on when it takes more.
type source struct {
	head [8]byte
	got  int
	left uint64
}

// block is one write of a source.
var block [64 << 10]byte

func (h *source) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *troupe.StreamData:
		h.got += copy(h.head[h.got:], m.B)
		if h.got == len(h.head) {
			h.left = binary.BigEndian.Uint64(h.head[:])
			h.send(m.Stream)
		}
	case *troupe.StreamWritable:
		h.send(m.Stream)
	}
}

func (h *source) send(s *troupe.StreamRef) {
	for h.left > 0 {
		p := block[:min(h.left, uint64(len(block)))]
		h.left -= uint64(len(p))
		if s.WriteCopy(p) != troupe.Accepted {
			if h.left > 0 {
				return // Writable or the end follows
			}
		}
	}
	s.Close()
}

// request sends back what it got once the peer has ended.
type request struct{ body []byte }

func (h *request) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *troupe.StreamData:
		h.body = append(h.body, m.B...)
	case *troupe.StreamRemoteClosed:
		m.Stream.WriteCopy(h.body)
		m.Stream.Close()
	}
}

// hold echoes and waits.
type hold struct{}

func (hold) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(*troupe.StreamData); ok {
		m.Stream.Write(m.Take())
	}
}
