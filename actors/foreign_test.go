package actors

import (
	"errors"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Actors that a user's actor spawns with proto.actor's own calls live by the same rules.

func TestAForeignChildIsSupervisedAndCanUseTheKit(t *testing.T) {
	rt, h := standStill(t)
	var l trace
	got := ""
	p := parent(t, rt, Spec{Name: "p", Children: Strategy{Backoff: time.Second}}, func(ctx actor.Context) {
		if e, ok := ChildEnd(ctx); ok {
			l.add("%s %s ended(%v)", e.Kind, e.Path, e.Err)
		}
	})
	var pid *actor.PID
	_ = p.Send(do(func(ctx actor.Context) {
		n := 0
		pid, _ = ctx.SpawnNamed(actor.PropsFromProducer(func() actor.Actor {
			n++
			me := n
			return fn(func(ctx actor.Context) {
				l.life("f", ctx)
				switch m := ctx.Message().(type) {
				case *actor.Started:
					NewTimer(ctx, "tick").After(time.Second)
					Publish(ctx, "incarnation", string(rune('0'+me)))
					ref, err := Spawn[any](ctx, temporary("kit", func(ctx actor.Context) { l.life("kit", ctx) }))
					if err != nil || ref.Path() != "p/f/kit" || Self[any](ctx).Path() != "p/f" || RuntimeOf(ctx) != rt {
						t.Error(err, ref.Path())
					}
				case string:
					if m == "boom" {
						panic(m)
					}
					got += m
				}
			})
		}), "f")
	}))
	h.settle()
	f := Ref[any]{c: rt.find("p/f")}
	if f.PID() != pid || f.c.at() != Alive {
		t.Fatal(f.c.at())
	}
	l.lines = nil
	rt.sys.Root.Send(pid, "boom") // restarted at once
	rt.sys.Root.Send(pid, "x")
	h.settle()
	rt.sys.Root.Send(pid, "boom")
	h.settle()
	if err := f.Send("y"); !errors.Is(err, ErrRestarting) || !f.c.is(Failed) {
		t.Fatal(err)
	}
	h.pass(time.Second) // only now it is restarted, and takes messages again
	if err := f.Send("z"); err != nil {
		t.Fatal(err)
	}
	h.settle()
	h.pass(10 * time.Second)
	want := "f:boom f:Restarting kit:Stopping kit:Stopped f:Terminated(kit) f:Started f:x kit:Started " +
		"f:boom f:Restarting kit:Stopping kit:Stopped f:Terminated(kit) f:Started kit:Started f:z f:tick"
	if g := l.String(); g != want || got != "xztick" {
		t.Fatalf("%s\ngot  %s\nwant %s", got, g, want)
	}
	n := rt.Tree("").Roots[0].Children[0]
	if n.Kind != "foreign" || n.Phase != "alive" || n.Restarts != 2 || n.Failures != 2 || n.Info[0] != (KeyValue{"incarnation", "3"}) {
		t.Fatalf("%+v", n)
	}
	l.lines = nil
	rt.sys.Root.Poison(pid)
	h.settle()
	want = "f:Stopping kit:Stopping kit:Stopped f:Stopped foreign p/f ended(<nil>)"
	if g := l.String(); g != want || !f.Ended() || f.c.inv != nil {
		t.Fatalf("got  %s\nwant %s", g, want)
	}
}

func TestAForeignChildsSpawnThatPanicsLeavesNothingBehind(t *testing.T) {
	rt := run(t)
	failed := events(rt, EventVerdict)
	var props *actor.Props
	p := parent(t, rt, spec("p", nil), nil)
	spawn := func() {
		_ = p.Send(do(func(ctx actor.Context) { _, _ = ctx.SpawnNamed(props, "k") }))
	}
	idle := func() actor.Actor { return fn(func(actor.Context) {}) }
	for name, bad := range map[string]*actor.Props{
		"OnInit":   actor.PropsFromProducer(idle, actor.WithOnInit(func(actor.Context) { panic("in OnInit") })),
		"producer": actor.PropsFromProducer(func() actor.Actor { panic("in the producer") }),
		"spawn function": actor.PropsFromProducer(idle, actor.WithSpawnFunc(func(sys *actor.ActorSystem, id string, p *actor.Props, ctx actor.SpawnerContext) (*actor.PID, error) {
			panic("in the spawn function")
		})),
	} {
		props = bad
		spawn() // a panic of the parent, whose code it is
		within(t, name, failed)
		if !eventually(func() bool { return p.c.is(Alive) }) {
			t.Fatal("the parent does not come back")
		}
		if _, ok := rt.sys.ProcessRegistry.GetLocal("p/k"); ok {
			t.Fatalf("%s: a process that never runs keeps the name", name)
		}
		parked := &parcel{gone: make(chan error, 1)}
		rt.sys.Root.Send(actor.NewPID(rt.sys.ProcessRegistry.Address, "p/k"), parked) // to nobody
		p.c.mu.Lock()
		p.c.seldom().history = History{} // three failures are not what this test is about
		p.c.mu.Unlock()
	}
	props = actor.PropsFromProducer(idle)
	spawn()
	if !eventually(func() bool { return rt.find("p/k") != nil }) {
		t.Fatal("the name is not free")
	}
}

func TestForeignNames(t *testing.T) {
	rt := run(t)
	p := parent(t, rt, spec("p", nil), nil)
	idle := actor.PropsFromFunc(func(actor.Context) {})
	in(t, p, func(ctx actor.Context) {
		first, err := ctx.SpawnNamed(idle, "k")
		if err != nil {
			t.Error(err)
		}
		again, err := ctx.SpawnNamed(idle, "k")
		if !errors.Is(err, actor.ErrNameExists) || again != first {
			t.Error(err, again)
		}
		if _, err := Spawn[any](ctx, spec("k", func(actor.Context) {})); !errors.Is(err, ErrNameTaken) {
			t.Error(err)
		}
		if _, err := ctx.SpawnNamed(idle, "a/b"); !errors.Is(err, errSlash) {
			t.Error(err)
		}
		if _, err := Spawn[any](ctx, spec("a/b", func(actor.Context) {})); !errors.Is(err, errSlash) {
			t.Error(err)
		}
		if _, err := Spawn[any](ctx, Spec{Name: "none"}); err == nil {
			t.Error("a Spec without New was spawned")
		}
		if p := ctx.SpawnPrefix(idle, "pre"); rt.find(p.Id) == nil {
			t.Error("a generated name is not in the tree")
		}
	})
}

// proto.actor keeps its children by name and forgets a namesake when the end of the first comes
// in: the second would never be stopped.
func TestANameIsTakenUntilTheParentHasHeardOfTheEnd(t *testing.T) {
	rt, h := standStill(t)
	p := parent(t, rt, spec("p", nil), nil)
	idle := temporary("k", func(actor.Context) {})
	_ = p.Send(do(func(ctx actor.Context) {
		k, _ := Spawn[any](ctx, idle)
		h.settle()
		k.Stop()
		h.settle()
		if !k.Ended() {
			t.Error("it has not ended")
		}
		if _, err := Spawn[any](ctx, idle); !errors.Is(err, ErrNameTaken) {
			t.Error(err)
		}
		if _, err := ctx.SpawnNamed(actor.PropsFromFunc(func(actor.Context) {}), "k"); !errors.Is(err, actor.ErrNameExists) {
			t.Error(err)
		}
	}))
	h.settle()
	var k Ref[any]
	_ = p.Send(do(func(ctx actor.Context) { k, _ = Spawn[any](ctx, idle) }))
	h.settle()
	// A late or repeated word of the first one's end does not touch the second.
	p.c.PostSystemMessage(&actor.Terminated{Who: actor.NewPID(k.PID().Address, "p/k")})
	p.c.PostSystemMessage(&actor.Terminated{Who: k.PID(), Why: actor.TerminatedReason_NotFound})
	h.settle()
	p.Stop()
	h.settle()
	if !k.Ended() || !p.Ended() {
		t.Fatal("the second one was left behind")
	}
}

func TestOutsideOfTheKit(t *testing.T) {
	sys := stock()
	done := make(chan struct{})
	sys.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Started); !ok {
			return
		}
		defer close(done)
		if _, err := Spawn[any](ctx, spec("k", func(actor.Context) {})); err == nil {
			t.Error("spawned in a system without a runtime")
		}
		if RuntimeOf(ctx) != nil || !Self[any](ctx).IsZero() {
			t.Error("found a runtime where there is none")
		}
		Publish(ctx, "k", "v")
		if _, ok := ChildEnd(ctx); ok {
			t.Error("found a child")
		}
	}))
	within(t, "start", done)
}
