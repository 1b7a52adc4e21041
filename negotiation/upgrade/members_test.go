package upgrade_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/negotiation/plaintext"
	"github.com/troupe-p2p/troupe/negotiation/pnet"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
)

func networkKey(t testing.TB, seed byte) *pnet.Key {
	t.Helper()
	k, err := pnet.GenerateKey(seeded(seed))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestAPrivateNetworkShowsNothingOfAnUpgrade(t *testing.T) {
	alice, bob, key := newPeer(t, 1), newPeer(t, 2), networkKey(t, 1)
	for _, security := range securities {
		for _, late := range []bool{false, true} {
			for _, size := range []int{0, 1, 2, 23, 24, 25, 63, 64, 65, 500} {
				ca, cb := alice.config(upgrade.Dialer, security), bob.config(upgrade.Listener, security)
				ca.LateMuxer, ca.Network, cb.Network = late, key, key
				w := &wire{a: newNode(t, alice, ca), b: newNode(t, bob, cb), size: size}
				w.run()
				w.must(security)
				for i := range 3 {
					text := strings.Repeat("members only ", 1+i*40)
					if err := errors.Join(say(w.a, w.b, text), say(w.b, w.a, text)); err != nil {
						t.Fatalf("%s, pieces of %d: %v", security, size, err)
					}
				}
				for _, n := range []*node{w.a, w.b} {
					if bytes.Contains(n.sent, []byte("multistream")) || bytes.Contains(n.sent, []byte(security)) {
						t.Fatalf("%s: in the clear: %q", security, n.sent)
					}
					l, err := pnet.New(key, seeded(9))
					if err != nil {
						t.Fatal(err)
					}
					if p, err := l.Open(bytes.Clone(n.sent)); err != nil || !bytes.HasPrefix(p, []byte(header)) {
						t.Fatalf("%s: it begins with %q, %v", security, p[:min(len(p), 30)], err)
					}
				}
				if c, ok := w.a.done.Open.(interface{ Close() }); ok {
					c.Close()
				}
			}
		}
	}
}

// Neither side gets anywhere, whoever dials, and the one with a key says what is likely.
func TestOnlyOneKeyOpensAPrivateNetwork(t *testing.T) {
	alice, bob := newPeer(t, 1), newPeer(t, 2)
	for seed := range byte(20) { // what the wrong bytes say is up to the keys
		ours, theirs := networkKey(t, 2*seed+1), networkKey(t, 2*seed+2)
		for name, keys := range map[string][2]*pnet.Key{
			"two keys": {ours, theirs}, "the dialer has none": {nil, ours}, "the listener has none": {ours, nil},
		} {
			for _, security := range securities {
				ca, cb := alice.config(upgrade.Dialer, security), bob.config(upgrade.Listener, security)
				ca.Network, cb.Network = keys[0], keys[1]
				w := &wire{a: newNode(t, alice, ca), b: newNode(t, bob, cb)}
				w.run()
				for i, n := range []*node{w.a, w.b} {
					if n.done != nil {
						t.Fatalf("%s: done", name)
					}
					if n.err == nil { // it waits for what does not come; the other one closes
						n.err = n.u.HandleEnd(nil)
					}
					e := failure(t, n.err)
					if e.Fault == upgrade.Local || (e.Layer == upgrade.LayerNetwork) != (keys[i] != nil) {
						t.Fatalf("%s: %v", name, e)
					}
					if keys[i] != nil && !errors.Is(e, upgrade.ErrKey) && !errors.Is(e, pnet.ErrPlain) {
						t.Fatalf("%s: %v", name, e)
					}
				}
				if keys[0] == nil && !errors.Is(w.b.err, pnet.ErrPlain) {
					t.Fatalf("the dialer speaks in the clear: %v", w.b.err)
				}
			}
		}
	}
}

func TestAnEndInAPrivateNetworkIsTheKeysFaultOnlyAtFirst(t *testing.T) {
	alice, bob, key := newPeer(t, 1), newPeer(t, 2), networkKey(t, 1)
	ca, cb := alice.config(upgrade.Dialer, noise.ID), bob.config(upgrade.Listener, noise.ID)
	run := func(cut int) *wire {
		ca.Network, cb.Network, ca.Rand, cb.Rand = key, key, seeded(1), seeded(2)
		w := &wire{a: newNode(t, alice, ca), b: newNode(t, bob, cb)}
		passed := 0
		w.alter = func(fromA bool, p []byte) []byte {
			if fromA {
				p = p[:max(0, min(len(p), cut-passed))]
				passed += len(p)
			}
			return p
		}
		w.run()
		return w
	}
	whole := run(1 << 20)
	whole.must("noise")
	for cut := range len(whole.a.sent) {
		w := run(cut)
		if w.b.done != nil || w.b.err != nil {
			t.Fatalf("cut at %d: done %v, %v", cut, w.b.done != nil, w.b.err)
		}
		var err error
		if cut%2 == 0 {
			err = w.b.u.HandleTimeout(start.Add(upgrade.DefaultTimeout))
		} else {
			err = w.b.u.HandleEnd(io.ErrUnexpectedEOF)
		}
		if suspect := cut < pnet.NonceLen+len(header); errors.Is(err, upgrade.ErrKey) != suspect {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if e := failure(t, err); !errors.Is(e, upgrade.ErrEnded) && !errors.Is(e, upgrade.ErrTimeout) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
}

func TestBytesForTLSAreAskedForFirst(t *testing.T) {
	bob := newPeer(t, 2)
	cfg := bob.config(upgrade.Listener, plaintext.ID)
	cfg.Network = networkKey(t, 1)
	n := newNode(t, bob, cfg)
	if _, err := n.u.Unveil([]byte("x")); !errors.Is(err, upgrade.ErrMisuse) {
		t.Errorf("%v", err)
	}
}
