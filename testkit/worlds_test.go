package testkit_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/testkit"
	"github.com/troupe-p2p/troupe/testkit/script"
	"github.com/troupe-p2p/troupe/testkit/simnet"
)

// worlds are scenarios that each look at one promise of the node. The planted bugs of
// internal/mutants must not survive them.
var worlds = map[string]func(w *testkit.World){
	"bulk":     bulk,
	"impostor": impostor,
	"silent":   silent,
	"quota":    quota,
	"crowd":    crowd,
	"order":    order,
	"timers":   timers,
}

func TestWorlds(t *testing.T) {
	for _, name := range []string{"bulk", "impostor", "silent", "quota", "crowd", "order", "timers"} {
		t.Run(name, func(t *testing.T) { testkit.Seeds(t, 5, worlds[name]) })
	}
}

// links draws some honest links.
func links(w *testkit.World) {
	w.SetLinks(simnet.Link{
		Latency: time.Duration(w.Rand(50)) * time.Millisecond, Jitter: 5 * time.Millisecond,
		Bandwidth: 1_000_000 + w.Rand(5_000_000), Loss: float64(w.Rand(5)) / 1000,
	})
}

// More than any window goes through a stream, both ways, and ends.
func bulk(w *testkit.World) {
	links(w)
	a, b := w.Node("a", w.Serve), w.Node("b", w.Serve)
	a.Connect(b)
	tr := &testkit.Traffic{Records: 40, Size: 60_000}
	w.Start(a, b, tr, time.Second)
	w.Until("the transfer", func() bool { return tr.Exchanges > 0 }, 5*time.Minute)
	w.Run(time.Minute)
	if tr.Failed > 0 {
		w.TB().Errorf("%d of %d transfers failed: %v", tr.Failed, tr.Exchanges, tr.LastErr)
	}
}

// Who answers under another identity than the one that was wanted is refused.
func impostor(w *testkit.World) {
	links(w)
	a, b, c := w.Node("a"), w.Node("b"), w.Node("c")
	ctx, cancel := a.Timeout(time.Minute)
	defer cancel()
	if _, err := a.Dial(ctx, b.ID(), c.ListenAddrs()...); err == nil {
		w.TB().Error("c was taken for b")
	}
	if conns, err := a.Conns(ctx); err != nil || len(conns) > 0 {
		w.TB().Errorf("%d connections, %v", len(conns), err)
	}
}

// A remote that says nothing, or stops in the middle, is hung up on by the deadline.
func silent(w *testkit.World) {
	links(w)
	a := w.NodeWith("a", testkit.NodeOptions{Config: troupe.Config{UpgradeTimeout: 5 * time.Second}})
	p := w.Peer("mute", a, script.Config{})
	if w.Rand(2) == 0 {
		p.Send(script.Header)
	}
	w.Run(20 * time.Second)
	for _, n := range a.Tree().Roots {
		if k := count(n, "upgrade"); k > 0 {
			w.TB().Errorf("%d handshakes are under way after 20 s", k)
		}
	}
}

func count(n actors.Node, kind string) (k int) {
	if n.Kind == kind {
		k++
	}
	for _, c := range n.Children {
		k += count(c, kind)
	}
	return k
}

// A node with a small quota serves any number of streams, one after the other.
func quota(w *testkit.World) {
	links(w)
	a := w.Node("a")
	b := w.NodeWith("b", testkit.NodeOptions{Setup: w.Serve, Config: troupe.Config{Limits: troupe.Limits{Streams: 24}}})
	a.Connect(b)
	for i := range 100 {
		ctx, cancel := a.Timeout(time.Minute)
		s, err := a.Open(ctx, b.ID(), testkit.EchoProtocol)
		if err == nil {
			_ = s.SetDeadline(w.Now().Add(time.Minute))
			_ = s.CloseWrite()
			_, err = io.ReadAll(s)
			_ = s.Close()
		}
		cancel()
		if err != nil {
			w.TB().Fatalf("stream %d: %v", i, err)
		}
	}
}

// Whoever opens streams to an address that swallows every dial finds an end of the queue.
func crowd(w *testkit.World) {
	a, b := w.Node("a"), w.Node("b")
	b.Vanish()
	const asked = 1200
	limited := 0
	for range asked {
		w.Go("asks", func() {
			ctx, cancel := a.Timeout(3 * time.Second)
			defer cancel()
			_, err := a.OpenWith(ctx, b.ID(), troupe.OpenOptions{Addrs: b.ListenAddrs()}, "/x")
			if e := (*troupe.Error)(nil); errors.As(err, &e) && e.Origin == troupe.OriginLimit {
				limited++
			}
		})
	}
	w.Run(time.Minute)
	if limited == 0 || limited > asked/2 {
		w.TB().Errorf("%d of %d opens for a peer that does not answer were refused", limited, asked)
	}
}

// When the owner of all connections dies, what feeds it starts anew after it.
func order(w *testkit.World) {
	links(w)
	a, b := w.Node("a", w.Serve), w.Node("b", w.Serve)
	a.Connect(b)
	w.Run(time.Minute)
	if a.Kill("peers") == "" {
		w.TB().Fatal("there are no peers")
	}
	w.Run(10 * time.Second)
	for _, kind := range []string{"gate", "listeners"} {
		if n, ok := one(a.Tree().Roots, kind); !ok || n.Restarts == 0 {
			w.TB().Errorf("%s was not started anew after peers", kind)
		}
	}
	served(w, []*testkit.Node{a, b})
}

func one(nodes []actors.Node, kind string) (actors.Node, bool) {
	for _, n := range nodes {
		if n.Kind == kind {
			return n, true
		}
		if k, ok := one(n.Children, kind); ok {
			return k, true
		}
	}
	return actors.Node{}, false
}

// What streams have set timers for is forgotten with them.
func timers(w *testkit.World) {
	links(w)
	const protocol = "/test/patient/1.0.0"
	a := w.Node("a")
	b := w.Node("b", func(s *troupe.System) {
		err := s.Handle(protocol, troupe.ActorHandler(func() actor.Actor {
			return testkit.Func(func(ctx actor.Context) {
				if m, ok := ctx.Message().(*troupe.StreamOpened); ok {
					actors.NewTimer(ctx, "much later").After(time.Hour)
					m.Stream.CloseWrite()
				}
			})
		}))
		if err != nil {
			w.TB().Error(err)
		}
	})
	a.Connect(b)
	w.Run(time.Minute)
	before := w.Sim.Pending()
	for range 100 {
		s, err := a.Open(context.Background(), b.ID(), protocol)
		if err != nil {
			w.TB().Fatal(err)
		}
		_ = s.SetDeadline(w.Now().Add(time.Minute))
		_ = s.CloseWrite()
		if _, err := io.ReadAll(s); err != nil {
			w.TB().Fatal(err)
		}
		_ = s.Close()
	}
	w.Run(time.Minute)
	if after := w.Sim.Pending(); after > before+20 {
		w.TB().Errorf("%d timers were set before 100 streams, and %d are after them", before, after)
	}
}

// Clocks that are hours apart change nothing between nodes.
func TestClocksMayBeWrong(t *testing.T) {
	testkit.Seeds(t, 5, func(w *testkit.World) {
		links(w)
		a := w.NodeWith("a", testkit.NodeOptions{Setup: w.Serve, Skew: 5 * time.Hour})
		b := w.NodeWith("b", testkit.NodeOptions{Setup: w.Serve, Skew: -24 * time.Hour})
		if d := a.Now().Sub(b.Now()); d != 29*time.Hour {
			w.TB().Errorf("they are %v apart", d)
		}
		a.Connect(b)
		served(w, []*testkit.Node{a, b})
		for _, pair := range [][2]*testkit.Node{{a, b}, {b, a}} {
			ctx, cancel := pair[0].Timeout(time.Minute)
			known, err := pair[0].Peer(ctx, pair[1].ID())
			cancel()
			if err != nil || len(known.Protocols) == 0 {
				w.TB().Errorf("%s does not know %s: %v", pair[0].Name(), pair[1].Name(), err)
			}
		}
	})
}

// Two nodes that dial each other at once end with one connection, and it is the same one. Its
// Endpoints say who dialled it.
func TestNodesThatMeetTwiceKeepOneConnection(t *testing.T) {
	testkit.Seeds(t, 50, meeting)
}

func meeting(w *testkit.World) {
	w.SetLinks(simnet.Link{Latency: time.Duration(w.Rand(30)) * time.Millisecond, Jitter: time.Duration(w.Rand(10)) * time.Millisecond})
	a, b := w.Node("a", w.Serve), w.Node("b", w.Serve)
	for round := range 4 {
		pause := time.Duration(w.Rand(40)) * time.Millisecond
		if err := w.Together(
			func() error { return a.TryConnect(b) },
			func() error { w.Sim.Sleep(pause); return b.TryConnect(a) },
		); err != nil {
			w.TB().Fatalf("round %d: %v", round, err)
		}
		w.Run(time.Minute)
		ofA, ofB := conns(w, a), conns(w, b)
		if len(ofA) != 1 || len(ofB) != 1 {
			w.TB().Fatalf("round %d: a has %d connections, b has %d", round, len(ofA), len(ofB))
		}
		if !ofA[0].Local.Equal(ofB[0].Remote) {
			w.TB().Fatalf("round %d: a keeps %v, b keeps %v", round, ofA[0].Endpoints, ofB[0].Endpoints)
		}
		a.Disconnect(b.ID())
		w.Run(time.Second)
		if ofA, ofB := conns(w, a), conns(w, b); len(ofA)+len(ofB) > 0 {
			w.TB().Fatalf("round %d: after they parted a has %d connections, b has %d", round, len(ofA), len(ofB))
		}
	}
}

func conns(w *testkit.World, n *testkit.Node) []*troupe.Conn {
	ctx, cancel := n.Timeout(time.Minute)
	defer cancel()
	c, err := n.Conns(ctx)
	if err != nil {
		w.TB().Fatal(err)
	}
	return c
}
