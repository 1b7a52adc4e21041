package testkit_test

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/testkit"
	"github.com/troupe-p2p/troupe/testkit/simnet"
)

// Two nodes, a protocol, and a partition. In a test it is testkit.NewWorld(t, seed).
func Example() {
	err := testkit.Play(1, func(w *testkit.World) {
		w.SetLinks(simnet.Link{Latency: 20 * time.Millisecond})
		const hello = "/example/hello/1.0.0"
		bob := w.Node("bob", func(s *troupe.System) {
			_ = s.Handle(hello, troupe.StreamHandler(func(_ context.Context, s *troupe.Stream) {
				_, _ = io.WriteString(s, "hello")
			}))
		})
		alice := w.Node("alice")
		alice.Connect(bob)
		greet := func() {
			s, err := alice.Open(context.Background(), bob.ID(), hello)
			if err != nil {
				fmt.Println(err)
				return
			}
			_ = s.SetDeadline(w.Now().Add(time.Minute))
			text, err := io.ReadAll(s)
			fmt.Printf("%q %v\n", text, err)
		}
		greet()
		w.Partition([]*testkit.Node{alice}, []*testkit.Node{bob})
		w.At(5*time.Second, "healing", w.Heal)
		greet() // waits for it, in no time
	})
	fmt.Println(err)
	// Output:
	// "hello" <nil>
	// "hello" <nil>
	// <nil>
}

// A fault that is exact: the third packet with data from alice is lost, and comes later.
func ExampleWorld_Fault() {
	err := testkit.Play(1, func(w *testkit.World) {
		alice, bob := w.Node("alice", w.Serve), w.Node("bob", w.Serve)
		rule := w.Fault(simnet.Fault{
			Name: "third of alice", K: 3, Do: simnet.Drop,
			Match: func(s simnet.Segment) bool { return s.From == "alice" && s.Kind == simnet.Data },
		})
		alice.Connect(bob)
		tr := &testkit.Traffic{}
		w.Start(alice, bob, tr, time.Minute)
		w.Run(2 * time.Minute)
		fmt.Println(rule.Hits(), tr.Exchanges > 50, tr.Failed)
	})
	fmt.Println(err)
	// Output:
	// 1 true 0
	// <nil>
}

// Many seeds, with faults at times drawn from each. In a test it is testkit.Seeds(t, 100, ...),
// which runs a failing seed again with fewer faults, and says how to replay it.
func ExampleWorld_At() {
	for seed := range uint64(3) {
		err := testkit.Play(seed, func(w *testkit.World) {
			alice, bob := w.Node("alice", w.Serve), w.Node("bob", w.Serve)
			tr := &testkit.Traffic{}
			w.Start(alice, bob, tr, time.Minute)
			w.At(time.Duration(w.Rand(30))*time.Second, "crash of bob", bob.Crash)
			w.At(40*time.Second, "bob comes back", func() {
				if err := bob.Restart(); err != nil {
					w.TB().Error(err)
				}
			})
			w.Run(2 * time.Minute)
			if tr.Failed == tr.Exchanges {
				w.TB().Errorf("all %d exchanges failed: %v", tr.Failed, tr.LastErr)
			}
		})
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// <nil>
	// <nil>
}

// An actor by itself: what it is told has had all its consequences when Tell returns. In a test,
// testkit.Unit(t, spec); a world's runtime serves as well.
func ExampleUnit() {
	_ = testkit.Play(1, func(w *testkit.World) {
		clock := func() actor.Actor {
			var timer *actors.Timer
			return testkit.Func(func(ctx actor.Context) {
				switch ctx.Message().(type) {
				case *actor.Started:
					timer = actors.NewTimer(ctx, "tick")
				case string:
					timer.After(time.Minute)
				}
			})
		}
		u := testkit.Unit[string](w.TB(), actors.Spec{New: clock})
		fmt.Println(u.Armed())
		u.Tell("wind up")
		fmt.Println(u.Armed())
	})
	// Output:
	// []
	// [{1m0s tick}]
}

// Actors of a node are killed at random, and it goes on.
func ExampleStampede() {
	err := testkit.Play(1, func(w *testkit.World) {
		alice, bob := w.Node("alice", w.Serve), w.Node("bob", w.Serve)
		s := &testkit.Stampede{Runtime: w.Sim.Runtime(), Every: 5 * time.Second}
		s.Start()
		tr := &testkit.Traffic{Requests: true}
		w.Start(alice, bob, tr, 5*time.Minute)
		w.Run(6 * time.Minute)
		s.Stop()
		fmt.Println(s.Strikes() > 30, tr.Exchanges-tr.Failed > tr.Exchanges/2)
	})
	fmt.Println(err)
	// Output:
	// true true
	// <nil>
}
