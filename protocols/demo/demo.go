// Package demo holds handlers that misbehave, to show and to test what that costs: one stream,
// and nothing else.
//
//	/troupe/crash/1.0.0  panics on the first bytes          the stream is reset
//	/troupe/hang/1.0.0   a task that never returns          ends with its peer, listed as a stray
//	/troupe/stuck/1.0.0  an actor that never leaves Receive ends with its peer, listed as abandoned
package demo

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/stream"
)

// The protocols.
const (
	CrashProtocol = "/troupe/crash/1.0.0"
	HangProtocol  = "/troupe/hang/1.0.0"
	StuckProtocol = "/troupe/stuck/1.0.0"
)

// Crash panics on the first bytes that it gets.
func Crash() stream.Handler {
	return stream.Handler{Actor: func(*stream.Stream) actors.Spec {
		return actors.Spec{Kind: "crash", New: func() actor.Actor { return crash{} }}
	}}
}

type crash struct{}

// Receive implements actor.Actor.
func (crash) Receive(ctx actor.Context) {
	if _, ok := ctx.Message().(*stream.Data); ok {
		panic("demo: this handler crashes on its first bytes")
	}
}

// Hang is a blocking handler that looks neither at its stream nor at its context until release
// is closed; nil: for ever.
func Hang(release <-chan struct{}) stream.Handler {
	return stream.Handler{Run: func(context.Context, *stream.Blocking) { <-release }}
}

// Stuck is an actor handler that does not return from the first message it gets until release
// is closed; nil: for ever.
func Stuck(release <-chan struct{}) stream.Handler {
	return stream.Handler{Actor: func(*stream.Stream) actors.Spec {
		return actors.Spec{Kind: "stuck", New: func() actor.Actor { return stuck(release) }}
	}}
}

type stuck <-chan struct{}

// Receive implements actor.Actor.
func (s stuck) Receive(ctx actor.Context) {
	if _, ok := ctx.Message().(*stream.Opened); ok {
		<-s
	}
}
