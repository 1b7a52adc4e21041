package testkit_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/testkit"
)

// greeter tells its neighbour hello three times, a second apart, and stops on "bye".
type greeter struct {
	to   actors.Ref[string]
	left int
	tick *actors.Timer
}

func (g *greeter) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		g.tick = actors.NewTimer(ctx, "tick")
		actors.Publish(ctx, "left", "3")
	case string:
		switch m {
		case "begin":
			g.left = 3
			g.tick.After(time.Second)
		case "tick":
			_ = g.to.Send("hello")
			if g.left--; g.left > 0 {
				g.tick.After(time.Second)
			}
		case "child":
			_, _ = actors.Spawn[any](ctx, actors.Spec{Name: "child", New: func() actor.Actor { return testkit.Func(func(actor.Context) {}) }})
		case "bug":
			panic("a bug")
		case "bye":
			actors.Self[any](ctx).Stop()
		}
	}
}

func TestUnitShowsWhatAnActorDoes(t *testing.T) {
	var to *testkit.Probe[string]
	u := testkit.UnitAfter[string](t, func(rt *actors.Runtime) actors.Spec {
		to = testkit.NewProbe[string](t, rt, "neighbour")
		return actors.Spec{Restart: actors.Permanent, New: func() actor.Actor { return &greeter{to: to.Ref()} }}
	})
	if v, ok := u.Published("left"); v != "3" || !ok {
		t.Errorf("it publishes %q", v)
	}
	u.Tell("begin")
	if a := u.Armed(); len(a) != 1 || a[0].In != time.Second || a[0].Message != "tick" {
		t.Errorf("armed: %v", a)
	}
	u.Pass(time.Second)
	if got := to.Next("the first hello"); got != "hello" {
		t.Error(got)
	}
	u.Pass(time.Hour)
	if got := to.All(); !slices.Equal(got, []string{"hello", "hello", "hello"}) {
		t.Error(got)
	}
	if a := u.Armed(); len(a) > 0 {
		t.Errorf("still armed: %v", a)
	}
	u.Tell("child")
	if got := u.Children(); !slices.Equal(got, []string{"child"}) {
		t.Error(got)
	}
	u.Tell("bug")
	if f := u.Failures(); len(f) != 1 || !strings.Contains(f[0].Error(), "a bug") {
		t.Error(f)
	}
	u.Pass(time.Minute) // it is back
	u.Tell("bye")
	if !u.Ended() {
		t.Error("it has not stopped")
	}
}

func TestProbeWaitsInVirtualTime(t *testing.T) {
	u := testkit.Unit[string](t, actors.Spec{New: func() actor.Actor { return testkit.Func(func(actor.Context) {}) }})
	p := testkit.NewProbe[any](t, u.Runtime(), "probe")
	for i, d := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second} {
		u.Sim.At(u.Sim.Now().Add(d), func() { _ = p.Ref().Send(i) })
	}
	p.WantIdle("nothing in the first instant", time.Second/2)
	p.Want("the third", func(m any) bool { return m == 2 })
	if u.Sim.Elapsed() != 3*time.Second || len(p.All()) != 3 {
		t.Errorf("%v, %v", u.Sim.Elapsed(), p.All())
	}
}
