package upgrade_test

import (
	"testing"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/negotiation/plaintext"
	"github.com/troupe-p2p/troupe/negotiation/pnet"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
)

// FuzzUpgrade feeds a stranger's bytes to either side.
func FuzzUpgrade(f *testing.F) {
	bob := newPeer(f, 2)
	f.Add([]byte(header+message(noise.ID)+"\x00\x20"), uint8(0), false)
	f.Add([]byte(header+message(plaintext.ID)+"\x02\x0a\xff"), uint8(3), true)
	f.Add([]byte(header+message("/x")+message(upgrade.TLS)+"hello"), uint8(255), false)
	network := networkKey(f, 1)
	f.Fuzz(func(t *testing.T, wire []byte, size uint8, dialer bool) {
		cfg := bob.config(upgrade.Listener, noise.ID, upgrade.TLS)
		if size >= 128 { // a member's nonce, and what would be the same bytes from it
			cfg.Network = network
			if l, err := pnet.New(network, seeded(7)); err != nil {
				t.Fatal(err)
			} else if size%2 == 0 {
				l.Seal(wire)
				wire = append(l.AppendNonce(nil), wire...)
			}
		}
		if dialer {
			cfg.Role = upgrade.Dialer
		}
		u, err := upgrade.New(cfg, start)
		if err != nil {
			t.Fatal(err)
		}
		stage := u.Stage()
		for len(wire) > 0 {
			k := min(int(size)+1, len(wire))
			u.AppendOutput(nil)
			err := u.HandleBytes(start, wire[:k:k])
			wire = wire[k:]
			if u.Stage() < stage {
				t.Fatalf("stage %v after %v", u.Stage(), stage)
			}
			stage = u.Stage()
			if err != nil {
				if e := failure(t, err); e.Fault == upgrade.Local {
					t.Fatalf("a stranger's bytes are a local fault: %v", err)
				}
				return
			}
			if e, ok := u.Next(); ok {
				if _, isTLS := e.(upgrade.NeedTLS); !isTLS {
					t.Fatalf("%#v without a remote that holds any key", e)
				}
				return
			}
		}
	})
}

// FuzzInside feeds the bytes of a peer that has proved who it is and then negotiates a muxer.
func FuzzInside(f *testing.F) {
	alice, bob := newPeer(f, 1), newPeer(f, 2)
	f.Add([]byte(header+message(yamux)+"data"), uint8(0), uint16(10), false)
	f.Add([]byte(header+message("na")), uint8(3), uint16(0), true)
	f.Fuzz(func(t *testing.T, plain []byte, size uint8, frame uint16, dialer bool) {
		live := buf.Live()
		victim, seal := provenPeer(t, alice, bob, dialer, int(frame)%1000+1)
		sealed, err := seal.Seal(nil, plain)
		if err != nil {
			t.Fatal(err)
		}
		for len(sealed) > 0 && victim.err == nil {
			k := min(int(size)+1, len(sealed))
			victim.receive(sealed[:k])
			victim.send()
			sealed = sealed[k:]
		}
		switch {
		case victim.done != nil:
			if victim.done.Muxer != yamux {
				t.Fatalf("agreed on %q", victim.done.Muxer)
			}
			victim.done.Open.(*noise.Opener).Close()
		case victim.err != nil:
			if e := failure(t, victim.err); e.Fault == upgrade.Local {
				t.Fatalf("a stranger's bytes are a local fault: %v", victim.err)
			}
		default:
			if err := victim.u.HandleEnd(nil); err == nil {
				t.Fatal("the end of the connection is no failure")
			}
		}
		if n := buf.Live() - live; n != 0 {
			t.Fatalf("%d buffers were not given back", n)
		}
	})
}

// provenPeer takes bob through security, with alice as a remote that is in the test's hands from then on.
func provenPeer(t testing.TB, alice, bob *peer, bobDials bool, frame int) (*node, *noise.Sealer) {
	t.Helper()
	cfg := bob.config(upgrade.Listener, noise.ID)
	if bobDials {
		cfg.Role = upgrade.Dialer
	}
	victim := newNode(t, bob, cfg)
	h, err := noise.New(noise.Config{Initiator: !bobDials, Static: alice.noise, Rand: seeded(9), Frame: frame})
	if err != nil {
		t.Fatal(err)
	}
	hello := header + message(noise.ID)
	victim.receive(h.AppendOutput([]byte(hello)))
	answer := victim.send()[len(hello):]
	for {
		if _, err := h.HandleBytes(answer); err != nil {
			t.Fatal(err)
		}
		victim.receive(h.AppendOutput(nil))
		if r, ok := h.Done(); ok && victim.u.Stage() == upgrade.Secured {
			return victim, r.Seal
		}
		if answer = victim.send(); victim.err != nil || len(answer) == 0 {
			t.Fatalf("stuck at %v: %v", victim.u.Stage(), victim.err)
		}
	}
}
