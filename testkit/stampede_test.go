package testkit_test

import (
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/testkit"
)

// victims is a supervisor of three actors that come back.
func victims(t *testing.T, rt *actors.Runtime) {
	t.Helper()
	spec := actors.Supervisor("herd", actors.Strategy{Intensity: 1000, Window: time.Second}, func() (out []actors.Spec) {
		for _, n := range []string{"a", "b", "c"} {
			out = append(out, actors.Spec{Name: n, Restart: actors.Permanent, New: func() actor.Actor {
				return testkit.Func(func(actor.Context) {})
			}})
		}
		return out
	})
	if _, err := actors.Root[any](rt, spec); err != nil {
		t.Fatal(err)
	}
}

func TestStampedeOfASimulationReplays(t *testing.T) {
	run := func() (paths []string) {
		sim := actors.Simulated(5, actors.SimOptions{})
		victims(t, sim.Runtime())
		s := &testkit.Stampede{Runtime: sim.Runtime(), Struck: func(p string) { paths = append(paths, p) }}
		s.Start()
		sim.Run(time.Minute)
		s.Stop()
		sim.Run(time.Minute)
		if n := len(sim.Runtime().Tree("").Roots[0].Children); n != 3 {
			t.Errorf("%d have come back", n)
		}
		if s.Strikes() != len(paths) || len(paths) < 20 {
			t.Errorf("%d strikes, %d told", s.Strikes(), len(paths))
		}
		ctx, cancel := sim.Runtime().WithTimeout(t.Context(), time.Minute)
		defer cancel()
		sim.Runtime().Close(ctx)
		testkit.NoActors(t, sim.Runtime())
		return paths
	}
	if a, b := run(), run(); !slices.Equal(a, b) {
		t.Errorf("%v\n%v", a, b)
	}
}

func TestStampedeOfALiveRuntime(t *testing.T) {
	testkit.NoLeaks(t)
	rt := actors.Live(actors.Options{})
	victims(t, rt)
	struck := make(chan string, 1000)
	s := &testkit.Stampede{Runtime: rt, Every: time.Millisecond, Struck: func(p string) { struck <- p }}
	s.Start()
	for range 10 {
		<-struck
	}
	s.Stop()
	rt.Close(t.Context())
	testkit.NoActors(t, rt)
}
