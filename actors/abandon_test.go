package actors

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// In these tests a handler is stuck in virtual time: it lets time pass while it is in Receive,
// and the rest of the world goes on inside of it.

func TestAnActorStuckAnywhereIsAbandonedAndItsParentToldOnce(t *testing.T) {
	for _, how := range []string{"kit", "foreign", "inline"} {
		for _, where := range []string{"message", "Started", "New", "Stopping", "Stopped", "Restarting", "Terminated", "Terminated while restarting", "Discard"} {
			if how == "foreign" && (where == "New" || where == "Discard") || how == "inline" && where != "message" {
				continue // New would be the parent's turn; Discard is the same code
			}
			t.Run(how+"/"+where, func(t *testing.T) {
				rt, h := standStill(t)
				told, stuck, returned := 0, false, false
				var end End
				p := parent(t, rt, spec("p", nil), func(ctx actor.Context) {
					if _, ok := ctx.Message().(*actor.Terminated); ok {
						told++
						end, _ = ChildEnd(ctx)
					}
				})
				var pid *actor.PID
				hang := func() {
					if stuck {
						return
					}
					stuck = true
					rt.sys.Root.Stop(pid)
					h.pass(time.Second)
					returned = true
				}
				seen := ""
				recv := func(ctx actor.Context) {
					at := strings.TrimPrefix(fmt.Sprintf("%T", ctx.Message()), "*actor.")
					if at == "Terminated" && seen == "Restarting" {
						at = "Terminated while restarting"
					}
					if at == "Restarting" {
						seen = at
					}
					if at == "Started" {
						pid = ctx.Self()
						_, _ = Spawn[any](ctx, temporary("g", func(actor.Context) {}))
					}
					switch m := ctx.Message().(type) {
					case *parcel:
						m.receive(ctx)
					case string:
						switch m {
						case "hang":
							hang()
						case "boom":
							panic("boom")
						}
					}
					if at == where {
						hang()
					}
				}
				var k Ref[any]
				_ = p.Send(do(func(ctx actor.Context) {
					switch {
					case how == "foreign":
						_, err := ctx.SpawnNamed(actor.PropsFromFunc(recv), "k")
						if err != nil {
							t.Error(err)
						}
					default:
						s := Spec{Name: "k", Restart: Transient, Inline: how == "inline", New: func() actor.Actor {
							if where == "New" {
								pid = k.PID()
								hang()
							}
							return fn(recv)
						}}
						k, _ = Spawn[any](ctx, s)
					}
				}))
				h.settle()
				k = Ref[any]{c: rt.find("p/k")}
				parcels := []*parcel{{}, {}}
				switch where {
				case "message":
					if how == "inline" {
						_ = k.Offer("hang")
						break
					}
					_ = k.Send("hang")
					for _, p := range parcels {
						_ = k.Send(p)
					}
				case "Discard":
					_ = k.Send("x")
					_ = k.Send(&parcel{gone: nil, f: func(actor.Context) {}})
					_ = k.Send(hangDiscard(hang))
					k.Stop()
				case "Stopping", "Stopped":
					rt.sys.Root.Stop(pid)
				case "Restarting", "Terminated while restarting":
					_ = k.Send("boom")
				case "Terminated":
					rt.find("p/k/g").stopNow()
				}
				h.settle()
				if !stuck || !returned {
					t.Fatal("the handler was not stuck")
				}
				h.pass(time.Minute)
				if told != 1 || !errors.Is(end.Err, ErrAbandoned) {
					t.Fatalf("the parent was told %d times: %+v", told, end)
				}
				tree := rt.Tree("")
				if len(tree.Roots[0].Children)+len(tree.Abandoned)+len(tree.Orphans) > 0 {
					t.Fatalf("%+v", tree)
				}
				if where == "message" && how != "inline" {
					for _, p := range parcels {
						if err := p.fate(); err != nil || p.received > 0 || how == "kit" && !errors.Is(p.discarded[0], ErrAbandoned) {
							t.Fatal(err, p.discarded)
						}
					}
				}
				// The name is free, and the one that came back does its successor no harm.
				var next *actor.PID
				_ = p.Send(do(func(ctx actor.Context) {
					r, err := Spawn[any](ctx, spec("k", func(actor.Context) {}))
					if err != nil {
						t.Error(err)
						return
					}
					next = r.PID()
				}))
				h.settle()
				if _, ok := rt.sys.ProcessRegistry.GetLocal("p/k"); !ok || next == nil {
					t.Fatal("the successor cannot be reached")
				}
			})
		}
	}
}

// hangDiscard is a message that hangs when it is discarded.
type hangDiscard func()

func (f hangDiscard) Discard(error) { f() }

func TestASuccessorThatTakesTheNameOfAStuckActorOutlivesItsReturn(t *testing.T) {
	rt, h := standStill(t)
	var l trace
	var k Ref[any]
	p := parent(t, rt, spec("p", nil), func(ctx actor.Context) {
		l.life("p", ctx)
		if e, ok := ChildEnd(ctx); ok && errors.Is(e.Err, ErrAbandoned) {
			if !EndedRef(ctx, k) {
				t.Error("EndedRef does not know it")
			}
			r, err := Spawn[any](ctx, temporary("k", func(ctx actor.Context) { l.life("successor", ctx) }))
			if err != nil {
				t.Error(err)
			}
			k = r
			if EndedRef(ctx, k) {
				t.Error("EndedRef takes the successor for the dead")
			}
		}
	})
	_ = p.Send(do(func(ctx actor.Context) {
		k, _ = Spawn[any](ctx, temporary("k", func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Stopping:
				h.pass(3 * time.Second) // the successor is up when this returns
				l.add("back")
			case *actor.Stopped:
				t.Error("the stop went on")
			}
		}))
	}))
	h.settle()
	k.Stop()
	h.pass(time.Minute)
	if got, want := l.String(), "p:Started p:Terminated(k) successor:Started back"; got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	_ = k.Send("hello")
	rt.sys.Root.Send(actor.NewPID(rt.sys.ProcessRegistry.Address, "p/k"), "by name")
	h.settle()
	if !strings.HasSuffix(l.String(), "successor:hello successor:by name") {
		t.Fatal(l.String())
	}
}

func TestWhatAnAbandonedActorOwnedIsGivenBack(t *testing.T) {
	rt := runStuck(t, 20*time.Millisecond)
	let, stuck := make(chan struct{}), make(chan struct{})
	cancelled, childEnded := make(chan error, 1), make(chan struct{})
	told := make(chan struct{}, 2)
	w := parent(t, rt, spec("w", nil), func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Terminated); ok {
			told <- struct{}{}
		}
	})
	r := parent(t, rt, spec("r", nil), func(ctx actor.Context) {
		switch ctx.Message() {
		case "hang":
			NewTimer(ctx, "never").After(time.Hour)
			StartTask(ctx, "work", func(ctx context.Context) any {
				<-ctx.Done()
				cancelled <- context.Cause(ctx)
				return &parcel{}
			}, nil)
			close(stuck)
			<-let
			// It has come back, and goes on as if nothing had happened.
			if _, err := Spawn[any](ctx, spec("late", func(actor.Context) {})); !errors.Is(err, ErrStopping) {
				t.Errorf("an abandoned actor spawned: %v", err)
			}
			late := make(chan struct{})
			StartTask(ctx, "late", func(ctx context.Context) any {
				<-ctx.Done()
				close(late)
				return nil
			}, nil)
			<-late
			NewTimer(ctx, "late").After(0)
			Publish(ctx, "state", "late")
		}
	})
	k := child(t, r, spec("k", func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Stopped); ok {
			close(childEnded)
		}
	}))
	in(t, w, func(ctx actor.Context) { ctx.Watch(r.PID()) })
	_ = r.Send("hang")
	within(t, "hang", stuck)
	asked := make(chan error, 2)
	go func() {
		_, err := Ask(t.Context(), r, func(rep Reply[int]) any { return rep })
		asked <- err
	}()
	if !eventually(func() bool { return r.c.UserMessageCount() == 1 }) {
		t.Fatal("the question does not wait")
	}
	onEnd := make(chan error, 1)
	OnEnd(r, func(err error) { onEnd <- err })
	p := &parcel{}
	_ = r.Send(p)
	r.Stop()
	within(t, "end", r.Done())
	for what, ch := range map[string]<-chan error{"ask": asked, "OnEnd": onEnd, "task": cancelled} {
		if err := within(t, what, ch); !errors.Is(err, ErrAbandoned) {
			t.Errorf("%s: %v", what, err)
		}
	}
	within(t, "the child's end", childEnded)
	within(t, "the child's end", k.Done())
	within(t, "the watcher hears of it", told)
	if err := p.fate(); err != nil {
		t.Error(err)
	}
	if err := r.Send(&parcel{}); !errors.Is(err, ErrAbandoned) {
		t.Error(err)
	}
	if cheap := rt.Tree("r").Abandoned; len(cheap) != 1 || cheap[0].Stack != "" {
		t.Errorf("a plain look: %+v", cheap)
	}
	tree := rt.TreeWithStacks("r")
	if len(tree.Abandoned) != 1 || !strings.Contains(tree.Abandoned[0].Stack, "TestWhatAnAbandonedActorOwned") || tree.Abandoned[0].Running <= 0 {
		t.Errorf("abandoned: %+v", tree.Abandoned)
	}
	if len(tree.Roots) != 0 || len(tree.Dead) < 1 || !errors.Is(tree.Dead[len(tree.Dead)-1].Err, ErrAbandoned) && !errors.Is(tree.Dead[0].Err, ErrAbandoned) {
		t.Errorf("%+v", tree)
	}
	close(let)
	if !eventually(func() bool { return len(rt.Tree("").Abandoned) == 0 }) {
		t.Fatal("its return goes unnoticed")
	}
	if r.c.inv != nil || r.c.build != nil {
		t.Error("a Ref keeps the dead actor in memory")
	}
	in(t, w, func(actor.Context) {})
	if len(told) > 0 {
		t.Error("the watcher was told twice")
	}
}

func TestAnActorStuckInAnInlineTurnIsAbandonedToo(t *testing.T) {
	rt := runStuck(t, 20*time.Millisecond)
	let, stuck, back := make(chan struct{}), make(chan struct{}), make(chan struct{})
	s := spec("a", func(ctx actor.Context) {
		if ctx.Message() == "hang" {
			close(stuck)
			<-let
		}
	})
	s.Inline = true
	r := root(t, rt, s)
	atRest(t, r)
	rt.Pump("reader", func() { _ = r.Offer("hang"); close(back) }, nil)
	within(t, "hang", stuck)
	r.Stop()
	within(t, "end", r.Done())
	if a := rt.TreeWithStacks("").Abandoned; len(a) != 1 || a[0].Stack == "" {
		t.Fatalf("%+v", a)
	}
	close(let)
	within(t, "the pump goes on", back)
}

func TestARestartDoesNotWaitForAStuckChild(t *testing.T) {
	rt := runStuck(t, 20*time.Millisecond)
	let, stuck, up := make(chan struct{}), make(chan struct{}, 1), make(chan struct{}, 2)
	ended := make(chan error, 2)
	r := root(t, rt, spec("p", func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *actor.Started:
			k, err := Spawn[any](ctx, spec("k", func(ctx actor.Context) {
				if ctx.Message() == "hang" {
					stuck <- struct{}{}
					<-let
				}
			}))
			if err != nil {
				t.Error(err) // the name is free again
			}
			if len(up) == 0 {
				_ = k.Send("hang")
			}
			up <- struct{}{}
		case *actor.Terminated:
			e, _ := ChildEnd(ctx)
			ended <- e.Err
		case string:
			panic(m)
		}
	}))
	within(t, "the child hangs", stuck)
	_ = r.Send("boom")
	if err := within(t, "the child's end", ended); !errors.Is(err, ErrAbandoned) {
		t.Fatal(err)
	}
	<-up
	within(t, "the next incarnation", up)
	close(let)
}

func TestCloseWaitsForTheChildrenOfTheAbandonedAndNamesThem(t *testing.T) {
	rt := Live(Options{StuckAfter: 20 * time.Millisecond})
	let, letChild, stuck := make(chan struct{}), make(chan struct{}), make(chan struct{}, 2)
	r := parent(t, rt, spec("r", nil), nil)
	_ = child(t, r, spec("k", func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Started); ok {
			// Moves on again and again, so that it is never taken for stuck, and ends
			// only when the test says so.
			StartTask(ctx, "t", func(ctx context.Context) any { <-letChild; return nil }, nil)
		}
	}))
	_ = r.Send(do(func(actor.Context) { stuck <- struct{}{}; <-let }))
	within(t, "hang", stuck)
	ctx, cancel := context.WithCancel(t.Context())
	abandoned := events(rt, EventAbandoned)
	closed := make(chan []string, 1)
	go func() { closed <- rt.Close(ctx) }()
	within(t, "abandonment", abandoned)
	if !eventually(func() bool { return len(rt.Tree("").Strays) == 1 && len(rt.Tree("").Orphans) == 0 }) {
		t.Fatal("the child does not end")
	}
	cancel()
	if got, want := fmt.Sprint(within(t, "close", closed)), "[r r/k/t]"; got != want {
		t.Fatalf("stragglers %v, want %v", got, want)
	}
	close(let)
	close(letChild)
	closeClean(t, rt)
}

func TestAnOrphanThatIsStuckIsAbandonedInItsTurn(t *testing.T) {
	rt, h := standStill(t)
	r := parent(t, rt, spec("r", nil), nil)
	var deaf *cell
	_ = r.Send(do(func(ctx actor.Context) {
		k, _ := Spawn[any](ctx, spec("k", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Stopping); ok {
				tree := rt.Tree("")
				if len(tree.Abandoned) != 1 || len(tree.Orphans) != 1 || tree.Orphans[0].Path != "r/k" {
					t.Errorf("%+v", tree)
				}
				h.pass(2 * time.Second)
			}
		}))
		deaf = k.c
		h.settle()
		Self[any](ctx).Stop()
		h.pass(5 * time.Second)
	}))
	h.pass(time.Minute)
	if !deaf.is(Abandoned) || len(rt.orphans)+len(rt.abandoned) > 0 {
		t.Fatalf("%v, %d orphans, %d abandoned", deaf.at(), len(rt.orphans), len(rt.abandoned))
	}
}

func TestAChildThatIsBornToAnAbandonedActorIsStopped(t *testing.T) {
	rt, h := standStill(t)
	r := parent(t, rt, spec("r", nil), nil)
	_ = r.Send(do(func(ctx actor.Context) {
		Self[any](ctx).Stop()
		slow := actor.WithOnInit(func(actor.Context) { h.pass(time.Second) }) // the parent is stuck in here
		_, err := ctx.SpawnNamed(actor.PropsFromFunc(func(actor.Context) {}, slow), "k")
		if err != nil {
			t.Error(err)
		}
		if tree := rt.Tree(""); len(tree.Abandoned) != 1 || len(tree.Orphans) != 1 {
			t.Errorf("%+v", tree)
		}
	}))
	h.pass(time.Minute)
	if _, ok := rt.sys.ProcessRegistry.GetLocal("r/k"); ok || len(rt.orphans) > 0 {
		t.Fatal("the child lives on without a parent")
	}
}

func TestAStopBehindOtherSystemMessagesIsNotForgottenByTheReaper(t *testing.T) {
	rt, h := standStill(t)
	r := parent(t, rt, spec("r", nil), func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Terminated); ok {
			h.pass(3 * time.Second) // stuck in the first of them, while the stop waits behind
		}
	})
	_ = r.Send(do(func(ctx actor.Context) {
		for range 3 {
			k, _ := Spawn[any](ctx, temporary("", func(actor.Context) {}))
			k.Stop()
		}
		h.settle() // the children end: three Terminated wait
		Self[any](ctx).Stop()
		h.pass(400 * time.Millisecond)
	}))
	h.settle()
	if !r.c.is(Abandoned) {
		t.Fatal(r.c.at())
	}
}

func TestASlowActorIsNotTakenForAStuckOne(t *testing.T) {
	rt, h := standStill(t)
	r := parent(t, rt, spec("r", nil), nil)
	steps := 0
	_ = r.Send(do(func(ctx actor.Context) {
		for i := range 10 {
			// Each child takes 400 ms to stop: 4 s in all for the parent.
			_, _ = Spawn[any](ctx, temporary(fmt.Sprint(i), func(ctx actor.Context) {
				if _, ok := ctx.Message().(*actor.Stopping); ok {
					h.ns += int64(400 * time.Millisecond)
					steps++
				}
			}))
		}
	}))
	h.settle()
	r.Stop()
	h.pass(time.Minute)
	if n := len(rt.Tree("").Failures); steps != 10 || !r.c.is(Ended) || n > 0 {
		t.Fatalf("%d children ended, the parent %v", steps, r.c.at())
	}
}

func TestAnActorIsNotTakenForStuckBecauseItWasInATurnWhenItsStopCame(t *testing.T) {
	rt, h := standStill(t)
	var cells []*cell
	// Each of five levels takes 400 ms to stop, one after another.
	var level func(ctx actor.Context, depth int)
	level = func(ctx actor.Context, depth int) {
		k, _ := Spawn[any](ctx, temporary("k", func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Started:
				if depth > 0 {
					level(ctx, depth-1)
				}
			case *actor.Stopping:
				h.pass(400 * time.Millisecond)
			}
		}))
		cells = append(cells, k.c)
	}
	r := parent(t, rt, spec("r", nil), nil)
	_ = r.Send(do(func(ctx actor.Context) { level(ctx, 4) }))
	h.settle()
	_ = r.Send(do(func(ctx actor.Context) {
		Self[any](ctx).Stop()
		h.pass(400 * time.Millisecond)
	}))
	h.pass(time.Minute)
	for _, c := range append(cells, r.c) {
		if !c.is(Ended) {
			t.Fatalf("%s was %v", c.path(), c.at())
		}
	}
}

func TestAStopThatWasRefusedLeavesNothingWithTheReaper(t *testing.T) {
	rt, h := standStill(t)
	r := parent(t, rt, spec("r", nil), nil)
	var k Ref[any]
	_ = r.Send(do(func(ctx actor.Context) { k, _ = Spawn[any](ctx, spec("k", func(actor.Context) {})) }))
	h.settle()
	for range 1000 {
		rt.sys.Root.Stop(k.PID())
		rt.sys.Root.Stop(r.PID())
		k.Stop()
	}
	n := watched(rt)
	if n != 2 || k.c.sys.len() > 1001 {
		t.Fatalf("%d entries for two actors", n)
	}
	h.settle()
	if watched(rt) > 0 {
		t.Fatal("the reaper keeps the dead")
	}
	p := parent(t, rt, spec("p", nil), nil)
	_ = p.Send(do(func(ctx actor.Context) { k, _ = Spawn[any](ctx, spec("k", func(actor.Context) {})) }))
	h.settle()
	rt.sys.Root.Stop(k.PID()) // it is permanent and comes back
	h.pass(2 * time.Second)
	if !k.c.is(Alive) || watched(rt) > 0 || h.armed() > 0 {
		t.Fatalf("%v, %d timers", k.c.at(), h.armed())
	}
}

func TestAUsersOwnMiddlewareThatPanicsWhileStoppingCannotWedgeTheParent(t *testing.T) {
	rt := run(t)
	ended := make(chan End, 1)
	r := parent(t, rt, spec("p", nil), func(ctx actor.Context) {
		if e, ok := ChildEnd(ctx); ok {
			ended <- e
		}
	})
	bad := func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(ctx actor.ReceiverContext, e *actor.MessageEnvelope) {
			if _, ok := e.Message.(*actor.Stopping); ok {
				panic("outside of what the kit contains")
			}
			next(ctx, e)
		}
	}
	var pid *actor.PID
	in(t, r, func(ctx actor.Context) {
		pid = ctx.Spawn(actor.PropsFromFunc(func(actor.Context) {}, actor.WithReceiverMiddleware(bad)))
	})
	rt.sys.Root.Stop(pid)
	var pe *PanicError
	if e := within(t, "end", ended); !errors.As(e.Err, &pe) {
		t.Fatalf("%+v", e)
	}
}
