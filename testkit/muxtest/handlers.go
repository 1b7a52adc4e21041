package muxtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"math/rand/v2"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/stream"
)

// ActorHandler makes a Handler of an actor.
func ActorHandler(mk func(s *stream.Stream) actor.Actor) stream.Handler {
	return stream.Handler{Inline: true, Actor: func(s *stream.Stream) actors.Spec {
		return actors.Spec{New: func() actor.Actor { return mk(s) }}
	}}
}

// RunHandler makes a Handler of a function.
func RunHandler(f func(ctx context.Context, s *stream.Blocking)) stream.Handler {
	return stream.Handler{Run: f}
}

// echoActor is the reference handler: back-pressure both ways, and no copy.
type echoActor struct{ held *stream.Data }

func (a *echoActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *stream.Data:
		switch m.Stream.Write(m.Take()) {
		case stream.Blocked:
			m.Hold()
			a.held = m
		case stream.Refused:
			m.Stream.CloseRead()
		}
	case *stream.Writable:
		a.held.Release()
	case *stream.RemoteClosed:
		m.Stream.CloseWrite()
	}
}

var (
	// EchoByActor and EchoByTask send back what comes.
	EchoByActor = ActorHandler(func(*stream.Stream) actor.Actor { return &echoActor{} })
	EchoByTask  = RunHandler(func(_ context.Context, s *stream.Blocking) {
		_, _ = io.Copy(onlyWriter{s}, onlyReader{s})
	})
	// Echoes are both.
	Echoes = []struct {
		Name    string
		Handler stream.Handler
	}{{"actor", EchoByActor}, {"task", EchoByTask}}
)

// onlyReader and onlyWriter keep io.Copy from being clever.
type onlyReader struct{ io.Reader }
type onlyWriter struct{ io.Writer }

// Noise is n bytes that do not repeat.
func Noise(seed uint64, n int) []byte {
	p := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	_, _ = r.Read(p)
	return p
}

// Exchange sends n bytes of noise in writes of size bytes, reads what comes back until its end,
// and compares.
func (w *World) Exchange(s *stream.Blocking, seed uint64, n, size int) {
	t := w.t
	t.Helper()
	sent := sha256.New()
	writer := make(chan error, 1)
	w.Runtime.Pump("writer", func() {
		r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
		p := make([]byte, size)
		var err error
		for left := n; left > 0 && err == nil; left -= len(p) {
			p = p[:min(size, left)]
			_, _ = r.Read(p)
			_, _ = sent.Write(p)
			if _, err = s.Write(p); err == nil {
				clear(p) // it must have been taken by now
			}
		}
		if err == nil {
			err = s.CloseWrite()
		}
		writer <- err
	}, func(pe *actors.PanicError) { writer <- pe })
	got := sha256.New()
	k, err := io.Copy(got, onlyReader{s})
	if err != nil || k != int64(n) {
		t.Errorf("stream %d: read %d bytes of %d: %v", s.ID(), k, n, err)
	}
	if err := Within(t, "the writer ends", writer); err != nil {
		t.Errorf("stream %d: writing: %v", s.ID(), err)
	}
	if !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
		t.Errorf("stream %d: what came back differs", s.ID())
	}
	if err := s.Close(); err != nil {
		t.Errorf("stream %d: closing: %v", s.ID(), err)
	}
}

type ctx = context.Context

// ActorFunc is an actor of one function.
type ActorFunc func(actor.Context)

// Receive implements actor.Actor.
func (f ActorFunc) Receive(ctx actor.Context) { f(ctx) }
