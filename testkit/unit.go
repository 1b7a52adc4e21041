package testkit

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
)

// UnitTest drives one actor step by step in a runtime of its own, in virtual time: what it is told
// has had all its consequences when the call returns.
type UnitTest[M any] struct {
	// Sim is the runtime's simulation.
	Sim *actors.Simulation

	t   testing.TB
	ref actors.Ref[M]
}

// Unit starts the actor that spec makes. Its neighbours are probes: NewProbe(t, u.Runtime(), ...).
// The actor, and whatever it has spawned, is stopped at the end of the test, which fails if
// something does not stop.
func Unit[M any](t testing.TB, spec actors.Spec) *UnitTest[M] {
	t.Helper()
	sim := actors.Simulated(1, actors.SimOptions{OnStall: func(e *actors.StallError) { t.Fatal(e) }})
	return unitIn[M](t, sim, spec)
}

// UnitAfter is Unit for an actor whose Spec needs the runtime: for the refs of probes.
func UnitAfter[M any](t testing.TB, spec func(rt *actors.Runtime) actors.Spec) *UnitTest[M] {
	t.Helper()
	sim := actors.Simulated(1, actors.SimOptions{OnStall: func(e *actors.StallError) { t.Fatal(e) }})
	return unitIn[M](t, sim, spec(sim.Runtime()))
}

func unitIn[M any](t testing.TB, sim *actors.Simulation, spec actors.Spec) *UnitTest[M] {
	t.Helper()
	u := &UnitTest[M]{Sim: sim, t: t}
	if spec.Name == "" {
		spec.Name = "unit"
	}
	ref, err := actors.Root[M](sim.Runtime(), spec)
	if err != nil {
		t.Fatal(err)
	}
	u.ref = ref
	t.Cleanup(func() {
		ctx, cancel := sim.Runtime().WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if left := sim.Runtime().Close(ctx); len(left) > 0 {
			t.Errorf("not stopped: %v", left)
		}
	})
	u.Settle()
	return u
}

// Runtime is where the actor lives.
func (u *UnitTest[M]) Runtime() *actors.Runtime { return u.Sim.Runtime() }

// Ref is the actor.
func (u *UnitTest[M]) Ref() actors.Ref[M] { return u.ref }

// Tell sends messages one after the other, each with all that follows from it at this instant.
func (u *UnitTest[M]) Tell(messages ...M) {
	u.t.Helper()
	for _, m := range messages {
		if err := u.ref.Send(m); err != nil {
			u.t.Fatalf("sending %T: %v", m, err)
		}
		u.Settle()
	}
}

// Settle lets everything happen that happens without time passing.
func (u *UnitTest[M]) Settle() { u.Sim.Run(0) }

// Pass lets time pass.
func (u *UnitTest[M]) Pass(d time.Duration) { u.Sim.Run(d) }

// Armed is the messages that the actor's timers are going to tell it, and when; the soonest first.
func (u *UnitTest[M]) Armed() []actors.Armed { return u.Sim.Armed(u.ref.Path()) }

// Children is the names of the actors and tasks that it has spawned and that are alive, in order.
func (u *UnitTest[M]) Children() (names []string) {
	if n, ok := u.node(); ok {
		for _, c := range n.Children {
			names = append(names, c.Name)
		}
	}
	return names
}

// Published is what the actor shows in the tree under a key.
func (u *UnitTest[M]) Published(key string) (value string, ok bool) {
	n, _ := u.node()
	i := slices.IndexFunc(n.Info, func(kv actors.KeyValue) bool { return kv.Key == key })
	if i < 0 {
		return "", false
	}
	return n.Info[i].Value, true
}

func (u *UnitTest[M]) node() (actors.Node, bool) {
	for _, n := range u.Runtime().Tree("").Roots {
		if n.Path == u.ref.Path() {
			return n, true
		}
	}
	return actors.Node{}, false
}

// Ended says that the actor has stopped.
func (u *UnitTest[M]) Ended() bool { return u.ref.Ended() }

// Failures is the panics so far, of the actor and of what it has spawned, the newest first.
func (u *UnitTest[M]) Failures() []*actors.PanicError { return u.Runtime().Tree("").Failures }

// Func makes an actor of a function, for what a test needs by the way.
type Func func(actor.Context)

// Receive implements actor.Actor.
func (f Func) Receive(ctx actor.Context) { f(ctx) }
