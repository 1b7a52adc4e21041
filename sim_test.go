package troupe_test

import (
	"fmt"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/protocols/echo"
)

// simulated runs two nodes that echo to each other and gives the trace.
func simulated(t *testing.T, seed uint64) (uint64, []actors.TraceEntry) {
	t.Helper()
	sim := actors.Simulated(seed, actors.SimOptions{TraceLast: 1 << 20})
	hub := troupe.NewMemoryHub()
	node := func(name string) *troupe.System {
		n, err := troupe.New(troupe.Config{
			Name: name, Runtime: sim.Runtime(), Listen: []string{"/memory/0"},
			Transports: []troupe.Transport{troupe.Memory(hub)}, Security: []troupe.Security{troupe.Noise},
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	a, b := node("a"), node("b")
	if err := a.Handle(echo.Protocol, echo.Handler()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.DialAddr(t.Context(), addr(a)); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if err := echoes(t.Context(), b, a, fmt.Sprint("text ", i)); err != nil {
			t.Fatal(err)
		}
	}
	sim.Run(5 * time.Minute)
	for _, n := range []*troupe.System{a, b} {
		if err := n.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if left := sim.Runtime().Close(t.Context()); len(left) > 0 {
		t.Fatal(left)
	}
	return sim.TraceHash(), sim.Trace()
}

func TestSimulatedNodesDoTheSameForTheSameSeed(t *testing.T) {
	first, trace := simulated(t, 1)
	second, again := simulated(t, 1)
	if first != second {
		for i := range trace {
			if i >= len(again) || trace[i] != again[i] {
				for _, e := range trace[max(0, i-5):min(len(trace), i+3)] {
					t.Log(e)
				}
				t.Log("---")
				for _, e := range again[max(0, i-5):min(len(again), i+3)] {
					t.Log(e)
				}
				break
			}
		}
		t.Fatal("two runs with one seed differ")
	}
	if third, _ := simulated(t, 2); third == first {
		t.Fatal("two seeds do the same")
	}
	t.Log(len(trace))
}
