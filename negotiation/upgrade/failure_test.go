package upgrade_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/multistream"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/negotiation/plaintext"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
)

func message(text string) string {
	n := len(text) + 1
	if n < 0x80 {
		return string(rune(n)) + text + "\n"
	}
	return string([]byte{byte(n) | 0x80, byte(n >> 7)}) + text + "\n"
}

const header = "\x13/multistream/1.0.0\n"

func TestHostileFirstBytesAreRefusedByNameOfLayerAndFault(t *testing.T) {
	bob := newPeer(t, 2)
	long := strings.Repeat("x", 1023)
	var many, manyLong strings.Builder
	for i := range 100 {
		many.WriteString(message(fmt.Sprint("/p/", i)))
		manyLong.WriteString(message(long))
	}
	for _, c := range []struct {
		name, wire string
		layer      upgrade.Layer
		fault      upgrade.Fault
		kind       error
	}{
		{"HTTP", "GET / HTTP/1.1\r\nHost: troupe.example.org\r\nUser-Agent: somebody\r\nAccept: */*\r\n\r\n", upgrade.LayerSecurity, upgrade.Remote, multistream.ErrProtocol},
		{"TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("r", 32), upgrade.LayerSecurity, upgrade.Remote, multistream.ErrProtocol},
		{"TLS alert", "\x15\x03\x01\x00\x02\x02\x28" + strings.Repeat("\x00", 20), upgrade.LayerSecurity, upgrade.Remote, multistream.ErrProtocol},
		{"a first length of 1025", "\x81\x08", upgrade.LayerSecurity, upgrade.Remote, multistream.ErrProtocol},
		{"one byte of HTTP", "G", upgrade.LayerSecurity, upgrade.Remote, multistream.ErrProtocol},
		{"zeros", "\x00\x00\x00\x00", upgrade.LayerSecurity, upgrade.Remote, multistream.ErrProtocol},
		{"length of 1025", header + "\x81\x08", upgrade.LayerSecurity, upgrade.Limit, multistream.ErrTooLarge},
		{"length of 2^63", header + "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", upgrade.LayerSecurity, upgrade.Limit, multistream.ErrTooLarge},
		{"endless proposals", header + many.String(), upgrade.LayerSecurity, upgrade.Limit, multistream.ErrTooManyProposals},
		{"endless long proposals", header + manyLong.String(), upgrade.LayerSecurity, upgrade.Limit, upgrade.ErrTooLong},
		{"short noise message", header + message(noise.ID) + "\x00\x01x", upgrade.LayerNoise, upgrade.Remote, noise.ErrHandshake},
		{"long noise message", header + message(noise.ID) + "\xff\xff", upgrade.LayerNoise, upgrade.Limit, noise.ErrLimit},
		{"low-order point", header + message(noise.ID) + "\x00\x20" + strings.Repeat("\x00", 32), upgrade.LayerNoise, upgrade.Remote, noise.ErrHandshake},
		{"plaintext claim too long", header + message(plaintext.ID) + "\xff\x7f", upgrade.LayerPlaintext, upgrade.Limit, plaintext.ErrLimit},
		{"plaintext garbage", header + message(plaintext.ID) + "\x02\x0a\xff", upgrade.LayerPlaintext, upgrade.Remote, plaintext.ErrExchange},
	} {
		for _, size := range []int{1, 1 << 20} {
			n := newNode(t, bob, bob.config(upgrade.Listener, securities...))
			for rest := []byte(c.wire); len(rest) > 0 && n.err == nil; {
				k := min(size, len(rest))
				n.receive(rest[:k])
				n.send() // what a remote leaves unread is not kept here
				rest = rest[k:]
			}
			if n.err == nil {
				t.Errorf("%s in pieces of %d: no error", c.name, size)
				continue
			}
			if e := failure(t, n.err); e.Layer != c.layer || e.Fault != c.fault || !errors.Is(e, c.kind) {
				t.Errorf("%s in pieces of %d: %v", c.name, size, e)
			}
			if _, ok := n.u.Deadline(); ok {
				t.Errorf("%s: a failed upgrade has a deadline", c.name)
			}
		}
	}
}

func TestRefusalsAreNamed(t *testing.T) {
	alice, bob := newPeer(t, 1), newPeer(t, 2)
	third := newPeer(t, 3)
	for _, security := range securities {
		for _, c := range []struct {
			name   string
			change func(a, b *upgrade.Config)
			layer  upgrade.Layer // of the dialer's error
			kind   error
		}{
			{"no security in common", func(a, b *upgrade.Config) {
				b.Security = []string{noise.ID}
				if security == noise.ID {
					b.Security = []string{upgrade.TLS}
				}
			}, upgrade.LayerSecurity, multistream.ErrNotSupported},
			{"another peer", func(a, b *upgrade.Config) { a.Expect = third.id }, layerOf(security), identity.ErrMismatch},
			{"no muxer in common, late", func(a, b *upgrade.Config) {
				a.LateMuxer, b.Muxers = true, []string{mplex}
			}, upgrade.LayerMuxer, multistream.ErrNotSupported},
		} {
			ca, cb := alice.config(upgrade.Dialer, security), bob.config(upgrade.Listener, security)
			c.change(&ca, &cb)
			w := &wire{a: newNode(t, alice, ca), b: newNode(t, bob, cb)}
			w.run()
			if w.a.err == nil || w.a.done != nil {
				t.Errorf("%s, %s: no error", security, c.name)
				continue
			}
			if e := failure(t, w.a.err); e.Layer != c.layer || e.Fault != upgrade.Remote || !errors.Is(e, c.kind) {
				t.Errorf("%s, %s: %v", security, c.name, e)
			}
			var m *identity.MismatchError
			if c.kind == identity.ErrMismatch && (!errors.As(w.a.err, &m) || m.Expected != third.id || m.Actual != bob.id) {
				t.Errorf("%s, %s: %v", security, c.name, w.a.err)
			}
		}
	}
	ca, cb := alice.config(upgrade.Dialer, noise.ID), bob.config(upgrade.Listener, noise.ID)
	cb.Muxers = []string{mplex}
	w := &wire{a: newNode(t, alice, ca), b: newNode(t, bob, cb)}
	w.run()
	if e := failure(t, w.a.err); e.Layer != upgrade.LayerNoise || e.Fault != upgrade.Remote || !errors.Is(e, noise.ErrNoCommonMuxer) {
		t.Errorf("no muxer in common, early: %v", e)
	}
}

func layerOf(security string) upgrade.Layer {
	return map[string]upgrade.Layer{noise.ID: upgrade.LayerNoise, upgrade.TLS: upgrade.LayerTLS, plaintext.ID: upgrade.LayerPlaintext}[security]
}

func TestConnectionToOneselfIsRefusedByBothEnds(t *testing.T) {
	alice := newPeer(t, 1)
	for _, security := range securities {
		w := &wire{a: newNode(t, alice, alice.config(upgrade.Dialer, security)), b: newNode(t, alice, alice.config(upgrade.Listener, security))}
		w.run()
		for _, n := range []*node{w.a, w.b} {
			// With Noise the dialer finds out first, and the listener never gets to know.
			if n.err == nil && n == w.b && security == noise.ID && n.done == nil {
				continue
			}
			if e := failure(t, n.err); !errors.Is(e, upgrade.ErrSelf) || e.Fault != upgrade.Local {
				t.Errorf("%s: %v", security, n.err)
			}
		}
	}
	cfg := alice.config(upgrade.Dialer, noise.ID)
	cfg.Expect = alice.id
	if _, err := upgrade.New(cfg, start); !errors.Is(err, upgrade.ErrSelf) {
		t.Errorf("dialling oneself: %v", err)
	}
}

func TestDeadlineIsOverTheWholeAndDrippingDoesNotMoveIt(t *testing.T) {
	alice, bob := newPeer(t, 1), newPeer(t, 2)
	ca := alice.config(upgrade.Dialer, noise.ID)
	ca.LateMuxer = true
	probe := &wire{a: newNode(t, alice, ca), b: newNode(t, bob, bob.config(upgrade.Listener, noise.ID))}
	probe.run()
	probe.must("probe")

	cb := bob.config(upgrade.Listener, noise.ID)
	n := newNode(t, bob, cb)
	due, ok := n.u.Deadline()
	if !ok || due != start.Add(upgrade.DefaultTimeout) {
		t.Fatalf("deadline %v %v", due, ok)
	}
	now := start
	for i := range probe.a.sent {
		if now = now.Add(time.Second); !now.Before(due) {
			break
		}
		if err := n.u.HandleBytes(now, []byte{probe.a.sent[i]}); err != nil {
			t.Fatal(err)
		}
		if err := n.u.HandleTimeout(now); err != nil {
			t.Fatalf("%v after the start: %v", now.Sub(start), err)
		}
		if d, ok := n.u.Deadline(); !ok || d != due {
			t.Fatalf("after %d bytes the deadline is %v", i, d)
		}
	}
	err := n.u.HandleTimeout(due)
	if e := failure(t, err); e.Fault != upgrade.Limit || e.Layer != upgrade.LayerSecurity || !errors.Is(e, upgrade.ErrTimeout) {
		t.Fatalf("%v", e)
	}
	if !strings.Contains(err.Error(), "15s") || !strings.Contains(err.Error(), "silent") {
		t.Errorf("%v does not say how long and how far", err)
	}
	if err := n.u.HandleBytes(due, []byte("x")); !errors.Is(err, upgrade.ErrTimeout) {
		t.Errorf("bytes after the deadline: %v", err)
	}

	late := newNode(t, bob, cb)
	if err := late.u.HandleBytes(due, []byte(header)); !errors.Is(err, upgrade.ErrTimeout) {
		t.Errorf("a timer that is late lets bytes in: %v", err)
	}
	if err := probe.b.u.HandleTimeout(due); err != nil {
		t.Errorf("a finished upgrade: %v", err)
	}
}

// A remote that stops after any byte, or goes away there, leaves an upgrade that ends: by its
// deadline or at once, with the layer that it was in. It is never done.
func TestEveryTruncationEndsTheUpgrade(t *testing.T) {
	alice, bob := newPeer(t, 1), newPeer(t, 2)
	for _, security := range []string{noise.ID, plaintext.ID} {
		for _, late := range []bool{false, true} {
			ca, cb := alice.config(upgrade.Dialer, security), bob.config(upgrade.Listener, security)
			ca.LateMuxer = late
			run := func(cut int, fromA bool) *wire {
				ca.Rand, cb.Rand = seeded(1), seeded(2)
				w := &wire{a: newNode(t, alice, ca), b: newNode(t, bob, cb)}
				passed := 0
				w.alter = func(a bool, p []byte) []byte {
					if a != fromA {
						return p
					}
					p = p[:max(0, min(len(p), cut-passed))]
					passed += len(p)
					return p
				}
				w.run()
				return w
			}
			whole := run(1<<20, true)
			whole.must(security)
			for _, fromA := range []bool{true, false} {
				total := len(whole.a.sent)
				if !fromA {
					total = len(whole.b.sent)
				}
				for cut := range total {
					w := run(cut, fromA)
					victim := w.b
					if !fromA {
						victim = w.a
					}
					if victim.done != nil || victim.err != nil {
						t.Fatalf("%s cut at %d: done %v, %v", security, cut, victim.done != nil, victim.err)
					}
					if cut%2 == 0 {
						err := victim.u.HandleTimeout(start.Add(upgrade.DefaultTimeout))
						if e := failure(t, err); e.Fault != upgrade.Limit {
							t.Fatalf("%s cut at %d: %v", security, cut, err)
						}
						continue
					}
					err := victim.u.HandleEnd(io.ErrUnexpectedEOF)
					if e := failure(t, err); e.Fault != upgrade.Remote || !errors.Is(err, upgrade.ErrEnded) || !errors.Is(err, io.ErrUnexpectedEOF) {
						t.Fatalf("%s cut at %d: %v", security, cut, err)
					}
				}
			}
		}
	}
}

func TestFlippedBitsNeverLetTheVictimFinish(t *testing.T) {
	alice, bob := newPeer(t, 1), newPeer(t, 2)
	for _, late := range []bool{false, true} {
		ca, cb := alice.config(upgrade.Dialer, noise.ID), bob.config(upgrade.Listener, noise.ID)
		ca.LateMuxer = late
		run := func(at int, fromA bool) *wire {
			ca.Rand, cb.Rand = seeded(1), seeded(2)
			w := &wire{a: newNode(t, alice, ca), b: newNode(t, bob, cb)}
			passed := 0
			w.alter = func(a bool, p []byte) []byte {
				if a == fromA {
					if i := at - passed; 0 <= i && i < len(p) {
						p[i] ^= 1 << (at % 8)
					}
					passed += len(p)
				}
				return p
			}
			w.run()
			return w
		}
		whole := run(-1, true)
		whole.must("noise")
		for at := range whole.a.sent {
			if w := run(at, true); w.b.done != nil {
				t.Fatalf("late %v, byte %d of the dialer: the listener is done", late, at)
			}
		}
		for at := range whole.b.sent {
			if w := run(at, false); w.a.done != nil {
				t.Fatalf("late %v, byte %d of the listener: the dialer is done", late, at)
			}
		}
	}
}

// With TLS a remote that finds no muxer in common can say goodbye.
func TestOrderlyEndInsideTheChannelIsNamed(t *testing.T) {
	alice, bob := newPeer(t, 1), newPeer(t, 2)
	ca := alice.config(upgrade.Dialer, upgrade.TLS)
	ca.LateMuxer = true
	u, err := upgrade.New(ca, start)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.HandleBytes(start, []byte(header+message(upgrade.TLS))); err != nil {
		t.Fatal(err)
	}
	err = u.HandleTLS(start, upgrade.Channel{Peer: bob.id, PublicKey: bob.key.Public(), Open: ended{}, Seal: &plaintext.Sealer{}}, nil)
	if e := failure(t, err); e.Layer != upgrade.LayerMuxer || e.Fault != upgrade.Remote || !errors.Is(e, upgrade.ErrEnded) {
		t.Fatalf("%v", e)
	}
}

// ended is the reading half of a channel that the remote has closed.
type ended struct{}

func (ended) Feed([]byte)                 {}
func (ended) Next() ([]byte, bool, error) { return nil, false, io.EOF }

func TestBadConfigurationIsALocalError(t *testing.T) {
	alice := newPeer(t, 1)
	for name, spoil := range map[string]func(*upgrade.Config){
		"no local peer":           func(c *upgrade.Config) { c.Local = "" },
		"unknown role":            func(c *upgrade.Config) { c.Role = 7 },
		"no security":             func(c *upgrade.Config) { c.Security = []string{} },
		"unknown security":        func(c *upgrade.Config) { c.Security = []string{"/secio/1.0.0"} },
		"no muxer":                func(c *upgrade.Config) { c.Muxers = []string{} },
		"unusable muxer":          func(c *upgrade.Config) { c.Muxers = []string{"na"} },
		"no noise key":            func(c *upgrade.Config) { c.Noise = nil },
		"no randomness":           func(c *upgrade.Config) { c.Rand = nil },
		"plaintext not allowed":   func(c *upgrade.Config) { c.Security, c.AllowPlaintext = []string{plaintext.ID}, false },
		"plaintext without a key": func(c *upgrade.Config) { c.Security, c.Key = []string{plaintext.ID}, nil },
		"a network, no randomness": func(c *upgrade.Config) {
			c.Security, c.Rand, c.Network = []string{upgrade.TLS}, nil, networkKey(t, 1)
		},
		"no nonce":                func(c *upgrade.Config) { c.Rand, c.Network = io.LimitReader(seeded(1), 3), networkKey(t, 1) },
		"negative timeout":        func(c *upgrade.Config) { c.Timeout = -1 },
		"failing randomness":      func(c *upgrade.Config) { c.Rand = io.LimitReader(seeded(1), 3) },
		"frame beyond the format": func(c *upgrade.Config) { c.Frame = 1 << 20 },
	} {
		cfg := alice.config(upgrade.Dialer, noise.ID)
		spoil(&cfg)
		_, err := upgrade.New(cfg, start)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		if e := failure(t, err); e.Fault != upgrade.Local {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCallsInTheWrongStateAreLocalErrors(t *testing.T) {
	alice, bob := newPeer(t, 1), newPeer(t, 2)
	misuse := func(name string, err error) {
		t.Helper()
		if e := failure(t, err); e.Fault != upgrade.Local || !errors.Is(err, upgrade.ErrMisuse) {
			t.Errorf("%s: %v", name, err)
		}
	}
	n := newNode(t, bob, bob.config(upgrade.Listener, noise.ID))
	misuse("TLS that nobody asked for", n.u.HandleTLS(start, upgrade.Channel{}, nil))

	w := &wire{a: newNode(t, alice, alice.config(upgrade.Dialer, noise.ID)), b: newNode(t, bob, bob.config(upgrade.Listener, noise.ID))}
	w.run()
	w.must("noise")
	misuse("bytes after Done", w.a.u.HandleBytes(start, []byte("x")))

	askTLS := func() *upgrade.Upgrade {
		u, err := upgrade.New(bob.config(upgrade.Listener, upgrade.TLS), start)
		if err != nil {
			t.Fatal(err)
		}
		if err := u.HandleBytes(start, []byte(header+message(upgrade.TLS)+"hello")); err != nil {
			t.Fatal(err)
		}
		e, ok := u.Next()
		need, isTLS := e.(upgrade.NeedTLS)
		if !ok || !isTLS || !need.Server || !bytes.Equal(need.Rest, []byte("hello")) {
			t.Fatalf("%#v", e)
		}
		if e, ok := u.Next(); ok {
			t.Fatalf("and %#v", e)
		}
		return u
	}
	misuse("bytes during TLS", askTLS().HandleBytes(start, []byte("x")))
	misuse("TLS without outcome", askTLS().HandleTLS(start, upgrade.Channel{}, nil))
	u := askTLS()
	if e := failure(t, u.HandleTLS(start, upgrade.Channel{}, io.ErrUnexpectedEOF)); e.Layer != upgrade.LayerTLS || e.Fault != upgrade.Remote {
		t.Errorf("a failed handshake: %v", e)
	}
	u = askTLS()
	if e := failure(t, u.HandleEnd(nil)); e.Layer != upgrade.LayerTLS || !errors.Is(e, upgrade.ErrEnded) {
		t.Errorf("the end during TLS: %v", e)
	}
}
