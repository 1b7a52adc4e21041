package upgrade_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/negotiation/plaintext"
	"github.com/troupe-p2p/troupe/negotiation/tls"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
)

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

const yamux, mplex = "/yamux/1.0.0", "/mplex/6.7.0"

func seeded(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

// peer is what a node has once: key, Noise key, certificate.
type peer struct {
	id    identity.ID
	key   identity.PrivateKey
	noise *noise.Static
	tls   *tls.Identity
}

func newPeer(t testing.TB, seed byte) *peer {
	t.Helper()
	random := seeded(seed)
	p := &peer{}
	var err error
	if p.key, err = identity.GenerateKey(identity.Ed25519, random); err != nil {
		t.Fatal(err)
	}
	if p.id, err = identity.IDFromKey(p.key.Public()); err != nil {
		t.Fatal(err)
	}
	if p.noise, err = noise.NewStatic(p.key, random); err != nil {
		t.Fatal(err)
	}
	if p.tls, err = tls.NewIdentity(p.key, start); err != nil {
		t.Fatal(err)
	}
	return p
}

// config offers one security protocol.
func (p *peer) config(role upgrade.Role, security ...string) upgrade.Config {
	return upgrade.Config{
		Role: role, Local: p.id, Security: security, Muxers: []string{yamux},
		Noise: p.noise, Rand: seeded(p.id[len(p.id)-1]), AllowPlaintext: true, Key: p.key.Public(),
	}
}

// node owns one upgrade, as an actor would.
type node struct {
	t    testing.TB
	peer *peer
	u    *upgrade.Upgrade
	done *upgrade.Done
	err  error

	tls     *tls.Handshake
	last    []byte // what it had still to say when it ended
	wake    chan struct{}
	outcome chan func() error // hands the outcome of TLS to the upgrade

	sent  []byte
	trips int // times that this node had something to send
	after []byte
}

func newNode(t testing.TB, p *peer, cfg upgrade.Config) *node {
	t.Helper()
	u, err := upgrade.New(cfg, start)
	if err != nil {
		t.Fatal(err)
	}
	return &node{t: t, peer: p, u: u, wake: make(chan struct{}, 1), outcome: make(chan func() error, 1)}
}

// receive gives the node bytes of its own.
func (n *node) receive(p []byte) {
	if n.err != nil || len(p) == 0 {
		return
	}
	p = bytes.Clone(p)
	switch {
	case n.tls != nil:
		if p, n.err = n.u.Unveil(p); n.err == nil {
			n.err = n.tls.Feed(p)
		}
	case n.done != nil:
		n.after = append(n.after, p...)
	default:
		n.err = n.u.HandleBytes(start, p)
		for i := range p {
			p[i] = 0xdb // the loan is over
		}
		n.drain()
	}
}

func (n *node) drain() {
	for {
		e, ok := n.u.Next()
		if !ok {
			return
		}
		switch e := e.(type) {
		case upgrade.NeedTLS:
			n.startTLS(e)
		case upgrade.Done:
			n.done = &e
		}
	}
}

func (n *node) startTLS(e upgrade.NeedTLS) {
	h, err := tls.NewHandshake(tls.Config{
		Server: e.Server, Identity: n.peer.tls, Now: start, Expect: e.Expect, Muxers: e.Muxers,
		Wake: func() {
			select {
			case n.wake <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.tls = h
	if err := h.Feed(e.Rest); err != nil {
		n.t.Fatal(err)
	}
	go func() {
		r, err := h.Run(context.Background())
		n.outcome <- func() error {
			if err != nil {
				return n.u.HandleTLS(start, upgrade.Channel{}, err)
			}
			return n.u.HandleTLS(start, upgrade.Channel{Peer: r.Peer, PublicKey: r.PublicKey, Muxer: r.Muxer, Open: r.Open, Seal: r.Seal}, nil)
		}
	}()
}

// send returns what is to be sent.
func (n *node) send() []byte {
	var p []byte
	p, n.last = append(p, n.last...), nil
	if n.tls != nil {
		end := len(p)
		p = n.u.Veil(n.tls.TakeOutput(p), end)
	}
	p = n.u.AppendOutput(p)
	if len(p) > 0 {
		n.trips++
		n.sent = append(n.sent, p...)
	}
	return p
}

// settle hands over the outcome of TLS.
func (n *node) settle(f func() error) {
	n.last, n.tls = n.u.Veil(n.tls.TakeOutput(nil), 0), nil
	n.err = f()
	n.drain()
}

// wire connects two nodes.
type wire struct {
	a, b  *node
	size  int                               // bytes given at a time; 0: all there are
	alter func(fromA bool, p []byte) []byte // what the network does
}

// run moves bytes until both nodes are quiet.
func (w *wire) run() {
	for {
		moved := w.move(w.a, w.b, true)
		moved = w.move(w.b, w.a, false) || moved
		if moved {
			continue
		}
		if !w.waits(w.a) && !w.waits(w.b) {
			return
		}
		select {
		case <-w.a.wake:
		case <-w.b.wake:
		case f := <-w.a.outcome:
			w.a.settle(f)
		case f := <-w.b.outcome:
			w.b.settle(f)
		}
		// Who failed closes; who waits alone for a byte that never comes is stopped by its
		// deadline. Both are seen by TLS as a close.
		for _, n := range []*node{w.a, w.b} {
			other := w.b
			if n == w.b {
				other = w.a
			}
			if n.tls != nil && n.tls.Hungry() && (other.err != nil || w.stalled()) {
				n.tls.Close(io.ErrUnexpectedEOF)
			}
		}
	}
}

func (w *wire) waits(n *node) bool { return n.tls != nil }

// stalled: nobody can go on. Only asked when nothing was under way.
func (w *wire) stalled() bool {
	for _, n := range []*node{w.a, w.b} {
		if n.tls != nil && !n.tls.Hungry() || len(n.outcome) > 0 {
			return false
		}
	}
	return !w.move(w.a, w.b, true) && !w.move(w.b, w.a, false)
}

func (w *wire) move(from, to *node, fromA bool) bool {
	p := from.send()
	if len(p) == 0 {
		return false
	}
	if w.alter != nil {
		p = w.alter(fromA, bytes.Clone(p))
	}
	for len(p) > 0 {
		n := len(p)
		if w.size > 0 {
			n = min(n, w.size)
		}
		to.receive(p[:n])
		p = p[n:]
	}
	return true
}

// must fails the test unless both nodes are done.
func (w *wire) must(what string) {
	w.a.t.Helper()
	if w.a.done == nil || w.b.done == nil || w.a.err != nil || w.b.err != nil {
		w.a.t.Fatalf("%s: a done %v (%v), b done %v (%v)", what, w.a.done != nil, w.a.err, w.b.done != nil, w.b.err)
	}
}

// say sends text through the finished upgrade, behind what b has received already.
func say(from, to *node, text string) error {
	p, err := from.done.Seal.Seal(nil, []byte(text))
	if err != nil {
		return err
	}
	got := to.done.Rest
	to.done.Rest = nil
	to.done.Open.Feed(append(to.after, p...))
	to.after = nil
	for {
		plain, ok, err := to.done.Open.Next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		got = append(got, plain...)
	}
	if string(got) != text {
		return fmt.Errorf("sent %q, got %q", text, got)
	}
	return nil
}

var securities = []string{noise.ID, upgrade.TLS, plaintext.ID}

// failure takes an error apart.
func failure(t testing.TB, err error) *upgrade.Error {
	t.Helper()
	var e *upgrade.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no upgrade.Error", err)
	}
	return e
}
