package script_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/testkit/script"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/memory"

	ma "github.com/multiformats/go-multiaddr"
)

// stage is one of our nodes and a place from which peers speak to it.
type stage struct {
	t    *testing.T
	d    script.Driver
	sim  *actors.Simulation // nil: live
	node *troupe.System
	tr   conduit.Transport
}

// play runs a dialogue in simulations of several seeds, and live in the virtual time of a bubble.
func play(t *testing.T, edit func(*troupe.Config), dialogue func(t *testing.T, s *stage)) {
	t.Helper()
	for seed := range uint64(5) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			sim := actors.Simulated(seed, actors.SimOptions{OnStall: func(e *actors.StallError) { t.Fatal(e) }})
			dialogue(t, newStage(t, sim, sim.Runtime(), sim, edit))
		})
	}
	t.Run("live", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dialogue(t, newStage(t, script.Live(), actors.Live(actors.Options{}), nil, edit))
		})
	})
}

func newStage(t *testing.T, d script.Driver, rt *actors.Runtime, sim *actors.Simulation, edit func(*troupe.Config)) *stage {
	t.Helper()
	hub := memory.NewHub()
	cfg := troupe.Config{
		Key: key(t, 1), Listen: []string{"/memory/1"}, Transports: []troupe.Transport{troupe.Memory(hub)},
		Security: []troupe.Security{troupe.Noise}, Runtime: rt,
	}
	if edit != nil {
		edit(&cfg)
	}
	node, err := troupe.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := rt.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := node.Close(ctx); err != nil {
			t.Error(err)
		}
		if left := rt.Close(ctx); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if sim == nil {
			// proto.actor counts dead letters in a goroutine that lasts for a second.
			d.RunUntil(func() bool { return false }, 2*time.Second)
		}
	})
	return &stage{t: t, d: d, sim: sim, node: node, tr: memory.New(rt, memory.Config{Hub: hub})}
}

// dial connects a peer to the node.
func (s *stage) dial(cfg script.Config) *script.Peer {
	s.t.Helper()
	return script.Dial(s.t, s.d, s.tr, s.node.ListenAddrs()[0], cfg)
}

// up is dial with an honest upgrade behind it.
func (s *stage) up(cfg script.Config) (*script.Peer, *script.Mux) {
	s.t.Helper()
	p := s.dial(cfg)
	p.Upgrade("an honest peer is let in", script.Noise{Muxers: []string{script.MuxerID}})
	return p, p.Mux()
}

// handle serves a protocol.
func (s *stage) handle(protocol string, f func(st *troupe.Stream)) {
	s.t.Helper()
	if err := s.node.Handle(protocol, troupe.StreamHandler(func(_ context.Context, st *troupe.Stream) { f(st) })); err != nil {
		s.t.Fatal(err)
	}
}

// listen makes a place that the node can dial.
func (s *stage) listen(cfg script.Config) *script.Listener {
	s.t.Helper()
	return script.Listen(s.t, s.d, s.tr, ma.StringCast("/memory/0"), cfg)
}

// call runs a call of the node's beside the dialogue. The returned function waits for its outcome.
func (s *stage) call(f func(ctx context.Context) error) func(reason string) error {
	got := make(chan error, 1)
	run := func() { got <- f(context.Background()) }
	if s.sim != nil {
		s.sim.Go("call", run)
	} else {
		go run()
	}
	return func(reason string) error {
		s.t.Helper()
		if s.sim != nil && !s.d.RunUntil(func() bool { return len(got) > 0 }, time.Minute) {
			s.t.Fatalf("%s: the call did not return", reason)
		}
		return <-got
	}
}

func key(t testing.TB, n byte) identity.PrivateKey {
	t.Helper()
	k, err := identity.GenerateKey(identity.Ed25519, ones(n))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func id(t testing.TB, k identity.PrivateKey) identity.ID {
	t.Helper()
	p, err := identity.IDFromKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type ones byte

func (o ones) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(o)
	}
	return len(p), nil
}
