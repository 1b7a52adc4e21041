package upgrade_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/negotiation/plaintext"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
)

func TestUpgradeWorksForEveryCombinationAndSplit(t *testing.T) {
	alice, bob := newPeer(t, 1), newPeer(t, 2)
	for _, security := range securities {
		for _, late := range []struct{ dialer, listener bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
			for _, size := range []int{0, 1, 2, 3, 19, 20, 21, 50, 100, 500} {
				ca, cb := alice.config(upgrade.Dialer, security), bob.config(upgrade.Listener, security)
				ca.LateMuxer, cb.LateMuxer = late.dialer, late.listener
				ca.Expect = bob.id
				w := &wire{a: newNode(t, alice, ca), b: newNode(t, bob, cb), size: size}
				w.run()
				w.must(security)
				early := security != plaintext.ID && !late.dialer && !late.listener
				for _, n := range []struct {
					node  *node
					other *peer
				}{{w.a, bob}, {w.b, alice}} {
					d := n.node.done
					if d.Peer != n.other.id || !d.PublicKey.Equal(n.other.key.Public()) || d.Security != security || d.Muxer != yamux || d.Early != early {
						t.Fatalf("%s, late %v, pieces of %d: %v %s %s early %v", security, late, size, d.Peer, d.Security, d.Muxer, d.Early)
					}
					if n.node.u.Stage() != upgrade.Finished {
						t.Fatalf("%s: stage %v", security, n.node.u.Stage())
					}
					if _, ok := n.node.u.Deadline(); ok {
						t.Fatalf("%s: a finished upgrade has a deadline", security)
					}
				}
				if err := errors.Join(say(w.a, w.b, "to the listener"), say(w.b, w.a, "to the dialer")); err != nil {
					t.Fatalf("%s, late %v, pieces of %d: %v", security, late, size, err)
				}
			}
		}
	}
}

func TestPreferencesOfTheDialerDecide(t *testing.T) {
	alice, bob := newPeer(t, 1), newPeer(t, 2)
	for _, c := range []struct {
		dial, listen, dialMux, listenMux []string
		security, muxer                  string
	}{
		{nil, nil, nil, nil, noise.ID, yamux},
		{[]string{upgrade.TLS, noise.ID}, nil, nil, nil, upgrade.TLS, yamux},
		{nil, []string{upgrade.TLS, noise.ID}, nil, nil, noise.ID, yamux},
		{nil, []string{upgrade.TLS}, nil, nil, upgrade.TLS, yamux},
		{[]string{plaintext.ID, noise.ID}, []string{noise.ID, plaintext.ID}, nil, nil, plaintext.ID, yamux},
		{nil, nil, []string{mplex, yamux}, []string{yamux, mplex}, noise.ID, mplex},
		{[]string{plaintext.ID}, []string{plaintext.ID}, []string{mplex, yamux}, []string{yamux}, plaintext.ID, yamux},
		{[]string{upgrade.TLS}, nil, []string{mplex, yamux}, []string{yamux, mplex}, upgrade.TLS, mplex},
	} {
		ca, cb := alice.config(upgrade.Dialer, c.dial...), bob.config(upgrade.Listener, c.listen...)
		ca.Muxers, cb.Muxers = c.dialMux, c.listenMux
		w := &wire{a: newNode(t, alice, ca), b: newNode(t, bob, cb)}
		w.run()
		w.must(c.security)
		for _, n := range []*node{w.a, w.b} {
			if n.done.Security != c.security || n.done.Muxer != c.muxer {
				t.Errorf("%v: agreed on %s and %s", c, n.done.Security, n.done.Muxer)
			}
		}
	}
}

// The cheapest upgrade is three flights, and the dialer's data can go with the third.
func TestSingleSecurityProtocolNeedsNoRoundTripOfItsOwn(t *testing.T) {
	alice, bob := newPeer(t, 1), newPeer(t, 2)
	w := &wire{a: newNode(t, alice, alice.config(upgrade.Dialer, noise.ID)), b: newNode(t, bob, bob.config(upgrade.Listener))}
	first := w.a.u.AppendOutput(nil)
	if want := "\x13/multistream/1.0.0\n\x07/noise\n\x00\x20"; !strings.HasPrefix(string(first), want) || len(first) != len(want)+32 {
		t.Fatalf("first flight %q", first)
	}
	w.b.receive(first)
	second := w.b.u.AppendOutput(nil)
	w.a.receive(second)
	if w.a.done == nil {
		t.Fatalf("the dialer is not done after one round trip: %v", w.a.err)
	}
	third := w.a.u.AppendOutput(nil)
	data, err := w.a.done.Seal.Seal(third, []byte("first data"))
	if err != nil {
		t.Fatal(err)
	}
	w.b.receive(data)
	if w.b.done == nil || string(w.b.done.Rest) != "first data" {
		t.Fatalf("listener: %v", w.b.err)
	}
}

// What comes behind the upgrade in the same read belongs to the muxer, wherever a read ends.
func TestDataBehindTheUpgradeIsKept(t *testing.T) {
	alice, bob := newPeer(t, 1), newPeer(t, 2)
	text := strings.Repeat("0123456789", 5000)
	for _, security := range securities {
		for _, late := range []bool{false, true} {
			for _, size := range []int{0, 7, 64, 1000, 30000} {
				ca, cb := alice.config(upgrade.Dialer, security), bob.config(upgrade.Listener, security)
				ca.LateMuxer = late
				w := &wire{a: newNode(t, alice, ca), b: newNode(t, bob, cb), size: size}
				said := false
				w.alter = func(fromA bool, p []byte) []byte {
					if fromA && w.a.done != nil && !said {
						said = true
						sealed, err := w.a.done.Seal.Seal(p, []byte(text))
						if err != nil {
							t.Fatal(err)
						}
						return sealed
					}
					return p
				}
				w.run()
				w.must(security)
				if !said {
					sealed, err := w.a.done.Seal.Seal(nil, []byte(text))
					if err != nil {
						t.Fatal(err)
					}
					w.b.receive(sealed)
				}
				got := bytes.Clone(w.b.done.Rest)
				w.b.done.Open.Feed(w.b.after)
				for {
					plain, ok, err := w.b.done.Open.Next()
					if err != nil {
						t.Fatal(err)
					}
					if !ok {
						break
					}
					got = append(got, plain...)
				}
				if string(got) != text {
					t.Fatalf("%s, late %v, pieces of %d: %d of %d bytes arrived", security, late, size, len(got), len(text))
				}
			}
		}
	}
}

func TestStagesComeInOrder(t *testing.T) {
	alice, bob := newPeer(t, 1), newPeer(t, 2)
	ca, cb := alice.config(upgrade.Dialer), bob.config(upgrade.Listener)
	ca.LateMuxer = true
	w := &wire{a: newNode(t, alice, ca), b: newNode(t, bob, cb)}
	seen := []upgrade.Stage{w.b.u.Stage()}
	var at int
	w.size = 1
	w.alter = func(fromA bool, p []byte) []byte {
		if fromA {
			for _, c := range p {
				w.b.receive([]byte{c})
				at++
				if s := w.b.u.Stage(); s != seen[len(seen)-1] {
					seen = append(seen, s)
					if s == upgrade.Speaking && at != len("\x13/multistream/1.0.0\n") {
						t.Errorf("speaking after %d bytes", at)
					}
				}
			}
			return nil
		}
		return p
	}
	w.run()
	w.must("stages")
	want := []upgrade.Stage{upgrade.Silent, upgrade.Speaking, upgrade.Securing, upgrade.Secured, upgrade.Finished}
	if len(seen) != len(want) {
		t.Fatalf("stages %v, want %v", seen, want)
	}
	for i := range want {
		if seen[i] != want[i] {
			t.Fatalf("stages %v, want %v", seen, want)
		}
	}
}
