package transporttest

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/testkit/internal/plantedbug"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/memory"

	ma "github.com/multiformats/go-multiaddr"
)

// mutant is a bug put between a sound transport and the suite.
type mutant struct {
	raw       func(conduit.Raw) conduit.Raw
	muxed     func(conduit.Muxed) conduit.Muxed
	transport func(conduit.Transport) conduit.Transport
	found     string // the test that has to fail, by a part of its name
}

var mutants = map[string]mutant{
	"writes lose a byte": {found: "every_byte_comes_back", raw: func(c conduit.Raw) conduit.Raw {
		return &badRaw{Raw: c, write: func(p []byte) (int, error) {
			if len(p) > 4096 {
				n, err := c.TryWrite(p[:4096])
				return n + 1, err
			}
			return c.TryWrite(p)
		}}
	}},
	"a credit too many": {found: "no_offer_without_a_credit", raw: func(c conduit.Raw) conduit.Raw {
		return &badRaw{Raw: c, bind: func(s conduit.Sink, n int) { c.Bind(s, n+1) }}
	}},
	"the end is told twice": {found: "orderly_end", raw: func(c conduit.Raw) conduit.Raw {
		return &badRaw{Raw: c, bind: func(s conduit.Sink, n int) { c.Bind(twice{s}, n) }}
	}},
	"a crash looks like an orderly end": {found: "a_broken_connection", raw: func(c conduit.Raw) conduit.Raw {
		return &badRaw{Raw: c, bind: func(s conduit.Sink, n int) { c.Bind(polite{s}, n) }}
	}},
	"Drained is forgotten": {found: "Drain", raw: func(c conduit.Raw) conduit.Raw {
		return &badRaw{Raw: c, bind: func(s conduit.Sink, n int) { c.Bind(forgetful{s}, n) }}
	}},
	"the write buffer has no end": {found: "stops_the_sender", raw: func(c conduit.Raw) conduit.Raw {
		return &badRaw{Raw: c, write: func(p []byte) (int, error) { _, err := c.TryWrite(p); return len(p), err }}
	}},
	"codes are lost": {found: "every_code", muxed: func(c conduit.Muxed) conduit.Muxed {
		return &badMuxed{Muxed: c, reset: func(s conduit.MuxedStream, _ uint32) error { return s.Reset(0) }}
	}},
	"codes lose their high bits": {found: "every_code", muxed: func(c conduit.Muxed) conduit.Muxed {
		return &badMuxed{Muxed: c, reset: func(s conduit.MuxedStream, code uint32) error { return s.Reset(code & 0xffff) }}
	}},
	"the end of a direction is lost": {found: "CloseWrite", muxed: func(c conduit.Muxed) conduit.Muxed {
		return &badMuxed{Muxed: c, closeWrite: func(conduit.MuxedStream) error { return nil }}
	}},
	"one end in a thousand is lost": {found: "ten_thousand", muxed: func(c conduit.Muxed) conduit.Muxed {
		n := new(atomic.Int64)
		return &badMuxed{Muxed: c, closeWrite: func(s conduit.MuxedStream) error {
			if n.Add(1) == 1000 {
				return nil
			}
			return s.CloseWrite()
		}}
	}},
	"anybody will do": {found: "does_not_reach_another", transport: func(t conduit.Transport) conduit.Transport {
		return &badTransport{Transport: t, blind: true}
	}},
	"a closed listener keeps its address": {found: "free_again", transport: func(t conduit.Transport) conduit.Transport {
		return &badTransport{Transport: t, keeps: true}
	}},
	"buffers are kept": {found: "echo", raw: func(c conduit.Raw) conduit.Raw {
		return &badRaw{Raw: c, bind: func(s conduit.Sink, n int) { c.Bind(keeping{s}, n) }}
	}},
	"a goroutine is left": {found: "one_kind", raw: func(c conduit.Raw) conduit.Raw {
		go func() { select {} }()
		return c
	}},
}

type badRaw struct {
	conduit.Raw
	write func(p []byte) (int, error)
	bind  func(s conduit.Sink, credits int)
}

func (r *badRaw) TryWrite(p []byte) (int, error) {
	if r.write != nil {
		return r.write(p)
	}
	return r.Raw.TryWrite(p)
}

func (r *badRaw) Bind(s conduit.Sink, credits int) {
	if r.bind != nil {
		r.bind(s, credits)
		return
	}
	r.Raw.Bind(s, credits)
}

type twice struct{ conduit.Sink }

func (s twice) Ended(err error) { s.Sink.Ended(err); s.Sink.Ended(err) }

type polite struct{ conduit.Sink }

func (s polite) Ended(error) { s.Sink.Ended(io.EOF) }

type forgetful struct{ conduit.Sink }

func (forgetful) Drained(error) {}

type keeping struct{ conduit.Sink }

func (k keeping) Offer(b *buf.Buf) { b.Retain(); k.Sink.Offer(b) }

type badMuxed struct {
	conduit.Muxed
	reset      func(s conduit.MuxedStream, code uint32) error
	closeWrite func(s conduit.MuxedStream) error
}

func (m *badMuxed) OpenStream() (conduit.MuxedStream, error) {
	s, err := m.Muxed.OpenStream()
	if err != nil {
		return nil, err
	}
	return &badStream{s, m}, nil
}

type badStream struct {
	conduit.MuxedStream
	of *badMuxed
}

func (s *badStream) Reset(code uint32) error {
	if s.of.reset != nil {
		return s.of.reset(s.MuxedStream, code)
	}
	return s.MuxedStream.Reset(code)
}

func (s *badStream) CloseWrite() error {
	if s.of.closeWrite != nil {
		return s.of.closeWrite(s.MuxedStream)
	}
	return s.MuxedStream.CloseWrite()
}

type badTransport struct {
	conduit.Transport
	blind, keeps bool
}

func (b *badTransport) Dial(ctx context.Context, a ma.Multiaddr, expect identity.ID, done func(conduit.Conduit, error)) {
	if b.blind {
		expect = ""
	}
	b.Transport.Dial(ctx, a, expect, done)
}

func (b *badTransport) Listen(a ma.Multiaddr, sink conduit.AcceptSink) (conduit.Listener, error) {
	l, err := b.Transport.Listen(a, sink)
	if err == nil && b.keeps {
		return &keeper{Listener: l}, nil
	}
	return l, err
}

// keeper is a listener that does not close.
type keeper struct{ conduit.Listener }

func (k *keeper) Close() error { return nil }

// planted is the transport with the bug that the environment names.
type planted struct {
	conduit.Transport
	m mutant
}

func (p *planted) wrap(c conduit.Conduit) conduit.Conduit {
	if c.Raw != nil && p.m.raw != nil {
		c.Raw = p.m.raw(c.Raw)
	}
	if c.Muxed != nil && p.m.muxed != nil {
		c.Muxed = p.m.muxed(c.Muxed)
	}
	return c
}

func (p *planted) Dial(ctx context.Context, a ma.Multiaddr, expect identity.ID, done func(conduit.Conduit, error)) {
	p.Transport.Dial(ctx, a, expect, func(c conduit.Conduit, err error) { done(p.wrap(c), err) })
}

func (p *planted) Listen(a ma.Multiaddr, sink conduit.AcceptSink) (conduit.Listener, error) {
	return p.Transport.Listen(a, &wrapping{sink, p})
}

type wrapping struct {
	conduit.AcceptSink
	p *planted
}

func (w *wrapping) Accepted(c conduit.Conduit) { w.AcceptSink.Accepted(w.p.wrap(c)) }

// subject is the memory transport with the planted bug, if there is one.
func subject(m mutant, muxed bool) Subject {
	hub := memory.NewHub()
	broken := errors.New("the machine is gone")
	return Subject{
		New: func(_ testing.TB, rt *actors.Runtime, key identity.PrivateKey) conduit.Transport {
			tr := conduit.Transport(memory.New(rt, memory.Config{Hub: hub, Muxed: muxed, Key: key.Public(), MaxStreams: 8, Window: 64 << 10}))
			if m.transport != nil {
				tr = m.transport(tr)
			}
			return &planted{tr, m}
		},
		Listen: ma.StringCast("/memory/0"),
		Break: func(_ testing.TB, c conduit.Conduit) {
			if c.Muxed != nil {
				_ = c.Muxed.Close(0, "")
				return
			}
			raw := c.Raw
			if b, ok := raw.(*badRaw); ok {
				raw = b.Raw
			}
			raw.(interface{ Break(error) }).Break(broken)
		},
		Held: 256 << 10, MaxStreams: 8,
	}
}

// TestTheSuiteHoldsASoundTransport is also what runs in the processes of the test below, with a
// transport that is not sound.
func TestTheSuiteHoldsASoundTransport(t *testing.T) {
	m, bad := mutants[plantedbug.Named()]
	if bad {
		patience = time.Second
	}
	if !bad || m.muxed == nil && m.transport == nil {
		t.Run("Raw", func(t *testing.T) { Run(t, subject(m, false)) })
	}
	if !bad || m.raw == nil {
		t.Run("Muxed", func(t *testing.T) { Run(t, subject(m, true)) })
	}
}

func TestTheSuiteFindsPlantedBugs(t *testing.T) {
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plantedbug.Found(t, name, "^TestTheSuiteHoldsASoundTransport$/./(raw|muxed|transport|one_kind)/"+m.found, m.found)
		})
	}
}
