package actors

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// family is a supervisor with children that note what happens to them and do as they are told.
type family struct {
	l   trace
	h   *virtual
	rt  *Runtime
	ref Ref[any]
	kid map[string]Ref[any]
}

func newFamily(t *testing.T, s Strategy, kids ...Spec) *family {
	rt, h := standStill(t)
	f := &family{h: h, rt: rt, kid: map[string]Ref[any]{}}
	f.ref = parent(t, rt, Spec{Name: "p", Children: s}, func(ctx actor.Context) {
		if e, ok := ChildEnd(ctx); ok {
			f.l.add("%s ended(%v)", e.Name, e.Err)
		}
	})
	_ = f.ref.Send(do(func(ctx actor.Context) {
		for _, k := range kids {
			name := k.Name
			k.New = func() actor.Actor {
				return fn(func(ctx actor.Context) {
					if m, ok := ctx.Message().(do); ok {
						m(ctx)
						return
					}
					if m, ok := ctx.Message().(*parcel); ok {
						m.receive(ctx)
						return
					}
					f.l.life(name, ctx)
					if ctx.Message() == "boom" {
						panic("boom")
					}
				})
			}
			r, err := Spawn[any](ctx, k)
			if err != nil {
				t.Error(err)
			}
			f.kid[name] = r
		}
	}))
	h.settle()
	return f
}

// since gives what was noted since the last call.
func (f *family) since() string {
	s := f.l.String()
	f.l.lines = nil
	return s
}

func (f *family) check(t *testing.T, what, want string) {
	t.Helper()
	if got := f.since(); got != want {
		t.Fatalf("%s:\ngot  %s\nwant %s", what, got, want)
	}
}

func kids(names ...string) (out []Spec) {
	for _, n := range names {
		out = append(out, Spec{Name: n})
	}
	return out
}

func TestOneForOneLeavesSiblingsAlone(t *testing.T) {
	f := newFamily(t, Strategy{}, kids("a", "b", "c")...)
	f.since()
	_ = f.kid["b"].Send("boom")
	f.h.settle()
	f.check(t, "b failed", "b:boom b:Restarting b:Started")
}

func TestRestForOneRestartsTheLaterSiblingsOnceEach(t *testing.T) {
	specs := kids("a", "b", "c", "d")
	specs[3].Restart = Temporary
	f := newFamily(t, Strategy{Scope: RestForOne}, specs...)
	f.since()
	_ = f.kid["b"].Send("boom")
	_ = f.kid["c"].Send("boom")
	f.h.settle()
	// c failed too, but its restart was under way already; d is temporary.
	f.check(t, "b and c failed", "b:boom c:boom d:Stopping d:Stopped c:Restarting c:Started b:Restarting b:Started d ended(<nil>)")
	f.h.pass(time.Minute)
	f.check(t, "afterwards", "")
	for name, want := range map[string]int{"a": 0, "b": 1, "c": 1} {
		if got := f.rt.find("p/" + name).node().Restarts; got != want {
			t.Errorf("%s restarted %d times, want %d", name, got, want)
		}
	}
}

func TestAnActorThatComesBackLaterAnswersEverybodyMeanwhile(t *testing.T) {
	f := newFamily(t, Strategy{Backoff: time.Second}, kids("a")...)
	a := f.kid["a"]
	_ = a.Send("boom")
	f.h.settle()
	queued, queuedControl, later := &parcel{}, &parcel{}, &parcel{}
	_ = a.Send("boom")
	_ = a.Send(queued)
	_ = a.Control(queuedControl)
	f.h.settle()
	f.since()
	if err := a.Send(later); !errors.Is(err, ErrRestarting) {
		t.Fatal(err)
	}
	for _, p := range []*parcel{queued, queuedControl, later} {
		if p.received == 0 && (p.fate() != nil || !errors.Is(p.discarded[0], ErrRestarting)) {
			t.Fatal(p.fate(), p.discarded)
		}
	}
	if _, err := Ask(t.Context(), a, func(r Reply[int]) any { return r }); !errors.Is(err, ErrRestarting) {
		t.Fatal(err)
	}
	if f.rt.Kill("p/a", "it is dead already") {
		t.Fatal("a fault was promised to an actor that takes none")
	}
	f.h.pass(time.Second)
	f.check(t, "after the delay", "a:Restarting a:Started")
	_ = a.Send("x")
	f.h.settle()
	f.check(t, "then", "a:x")
}

func TestARestartThatWasDelayedIsVoidOnceANewerOneCame(t *testing.T) {
	f := newFamily(t, Strategy{Scope: RestForOne, Backoff: time.Second}, kids("a", "b")...)
	for range 2 {
		_ = f.kid["b"].Send("boom")
		f.h.settle()
	}
	f.since()
	_ = f.kid["a"].Send("boom") // restarts both at once
	f.h.settle()
	f.check(t, "a failed", "a:boom b:Restarting b:Started a:Restarting a:Started")
	_ = f.kid["b"].Send("x")
	f.h.pass(time.Minute)
	f.check(t, "the old delay has passed", "b:x")
}

func TestAStopVoidsADelayedRestart(t *testing.T) {
	f := newFamily(t, Strategy{Backoff: time.Hour, MaxBackoff: time.Hour}, kids("a")...)
	for range 2 {
		_ = f.kid["a"].Send("boom")
		f.h.settle()
	}
	f.since()
	if f.h.armed() != 1 {
		t.Fatal("no restart is to come")
	}
	f.kid["a"].StopAfter() // its mailbox takes nothing: at once, then
	f.h.settle()
	f.check(t, "stopped", "a:Stopping a:Stopped a ended(<nil>)")
	f.h.pass(time.Second) // the reaper's turn
	if n := f.h.armed(); n != 0 {
		t.Fatalf("%d timers keep the dead", n)
	}
}

func TestAParkedActorIsShownAndTriedAgain(t *testing.T) {
	f := newFamily(t, Strategy{Intensity: 1, ParkFor: 10 * time.Second}, kids("a")...)
	verdicts := events(f.rt, EventVerdict)
	for range 2 {
		_ = f.kid["a"].Send("boom")
		f.h.settle()
	}
	n := f.rt.Tree("").Roots[0].Children[0]
	if n.Phase != "failed" || n.ParkedFor < 9*time.Second || n.Last == nil || n.Last.Value != "boom" {
		t.Fatalf("%+v", n)
	}
	<-verdicts
	if v := <-verdicts; v.Action != ActPark || v.Path != "p/a" || v.After < 9*time.Second {
		t.Fatalf("%+v", v)
	}
	f.since()
	f.h.pass(10 * time.Second)
	f.check(t, "after the park", "a:Restarting a:Started")
	if n := f.rt.Tree("").Roots[0].Children[0]; n.Phase != "alive" || n.ParkedFor != 0 {
		t.Fatalf("%+v", n)
	}
}

func TestStopChildEndsAChildWithItsReason(t *testing.T) {
	f := newFamily(t, Strategy{Intensity: -1, Exceeded: StopChild}, kids("a", "b")...)
	f.since()
	_ = f.kid["a"].Send("boom")
	f.h.settle()
	f.check(t, "a failed", "a:boom a:Stopping a:Stopped a ended(panic in p/a on string: boom)")
}

func TestEscalationsClimbOneSupervisorAtATime(t *testing.T) {
	rt, h := standStill(t)
	var l trace
	nest := func(name string, s Strategy, below *Spec) Spec {
		return Spec{Name: name, Children: s, New: func() actor.Actor {
			return fn(func(ctx actor.Context) {
				l.life(name, ctx)
				if _, ok := ctx.Message().(*actor.Started); ok && below != nil {
					_, _ = Spawn[any](ctx, *below)
				}
			})
		}}
	}
	never := Strategy{Intensity: -1, Exceeded: Escalate}
	d := nest("d", Strategy{}, nil)
	c := nest("c", never, &d)
	b := nest("b", never, &c)
	root(t, rt, nest("a", Strategy{}, &b))
	h.settle()
	l.lines = nil
	rt.Kill("a/b/c/d", "deep down")
	h.settle()
	want := "b:Restarting c:Stopping d:Stopping d:Stopped c:Stopped b:Terminated(c) b:Started c:Started d:Started"
	if got := l.String(); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	var inj *Injected
	if last := rt.find("a/b").node().Last; !errors.As(last, &inj) || inj.Reason != "deep down" {
		t.Fatal(last)
	}
}

func TestAChildThatFailsBelowAParkedSupervisorDoesNotFailItTwice(t *testing.T) {
	rt, h := standStill(t)
	s := Strategy{Intensity: -1, ParkFor: time.Hour}
	_ = parent(t, rt, Spec{Name: "r", Children: s}, nil).Send(do(func(ctx actor.Context) {
		_, _ = Spawn[any](ctx, Spec{Name: "p", Children: Strategy{Intensity: -1, Exceeded: Escalate}, New: func() actor.Actor {
			return fn(func(ctx actor.Context) {
				if _, ok := ctx.Message().(*actor.Started); ok {
					_, _ = Spawn[any](ctx, spec("k", func(actor.Context) {}))
				}
			})
		}})
	}))
	h.settle()
	rt.Kill("r/p", "first")
	h.settle()
	rt.Kill("r/p/k", "then")
	h.settle()
	n := rt.Tree("").Roots[0].Children[0]
	if n.Failures != 1 || n.Phase != "failed" || n.Children[0].Phase != "failed" {
		t.Fatalf("%+v", n)
	}
	h.pass(time.Hour)
	n = rt.Tree("").Roots[0].Children[0]
	if n.Phase != "alive" || len(n.Children) != 1 || n.Children[0].Failures != 0 {
		t.Fatalf("%+v", n)
	}
}

func TestAFailureCancelsWhatTheIncarnationHadStarted(t *testing.T) {
	f := newFamily(t, Strategy{Intensity: -1, ParkFor: time.Hour}, kids("a")...)
	cause := make(chan error, 1)
	result := &parcel{gone: make(chan error, 1)}
	_ = f.kid["a"].Send(do(func(ctx actor.Context) {
		NewTimer(ctx, "tick").After(time.Minute)
		StartTask(ctx, "work", func(ctx context.Context) any {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return result
		}, nil)
	}))
	f.h.settle()
	_ = f.kid["a"].Send("boom")
	f.h.settle()
	var pe *PanicError
	if err := within(t, "the task is cancelled though its owner is parked", cause); !errors.As(err, &pe) {
		t.Fatal(err)
	}
	within(t, "its result is discarded", result.gone)
	f.since()
	f.h.pass(2 * time.Hour)
	f.check(t, "the old timer", "a:Restarting a:Started")
}

func TestAQuestionThatCameAfterTheFailureIsAnsweredByTheSuccessor(t *testing.T) {
	f := newFamily(t, Strategy{}, kids("a")...)
	first, second := make(chan error, 1), make(chan error, 1)
	ask := func(ch chan error) Reply[int] {
		return NewReply(f.kid["a"], func(_ int, err error) { ch <- err })
	}
	before := ask(first)
	_ = f.kid["a"].Send("boom")
	c := f.kid["a"].c
	for c.turn(1, nil) && !c.is(Failed) { // and not a turn further
	}
	after := ask(second)
	_ = f.kid["a"].Send(do(func(actor.Context) { before.Answer(1); after.Answer(2) }))
	f.h.schedule(c)
	f.h.settle()
	var pe *PanicError
	if err := <-first; !errors.As(err, &pe) {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Fatalf("the question was not lost, yet %v", err)
	}
}

func TestStopOrderedStopsTheLastFirstAndDoesNotWaitForEver(t *testing.T) {
	rt, h := standStill(t)
	var l trace
	r := parent(t, rt, Spec{Name: "p", StopOrdered: true, StopTimeout: time.Second}, func(ctx actor.Context) { l.life("p", ctx) })
	slow := map[string]time.Duration{"b": 5 * time.Second}
	_ = r.Send(do(func(ctx actor.Context) {
		for _, name := range []string{"a", "b", "c", "d"} {
			_, _ = Spawn[any](ctx, temporary(name, func(ctx actor.Context) {
				if _, ok := ctx.Message().(*actor.Started); ok && slow[name] > 0 {
					_, _ = Spawn[any](ctx, temporary("deep", func(ctx actor.Context) {
						if _, ok := ctx.Message().(*actor.Stopping); ok {
							l.add("deep is slow")
							h.pass(slow[name])
						}
					}))
				}
				l.life(name, ctx)
			}))
		}
	}))
	h.settle()
	Ref[any]{c: rt.find("p/d")}.Stop() // d ends by itself
	h.settle()
	l.lines = nil
	r.Stop()
	h.pass(time.Minute)
	// b has its second and is left to itself, a follows. b's deep child is abandoned later.
	want := "c:Stopping c:Stopped b:Stopping deep is slow a:Stopping a:Stopped p:Stopping b:Stopped p:Stopped"
	if got := l.String(); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestAStopThatOvertakesTheRestartOfAnOrderedSupervisorEndsIt(t *testing.T) {
	rt, h := standStill(t)
	var l trace
	r := parent(t, rt, Spec{Name: "p", StopOrdered: true}, func(ctx actor.Context) { l.life("p", ctx) })
	_ = r.Send(do(func(ctx actor.Context) {
		_, _ = Spawn[any](ctx, spec("k", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Stopping); ok {
				r.Stop() // the parent restarts and waits for this child
				h.pass(time.Millisecond)
			}
		}))
	}))
	h.settle()
	l.lines = nil
	rt.Kill("p", "test")
	h.pass(time.Minute)
	if got, want := l.String(), "p:Restarting"; got != want || !r.c.is(Ended) {
		t.Fatalf("%v: got %s, want %s", r.c.at(), got, want)
	}
}

func TestAFailureNamesTheMessageThatWasInHand(t *testing.T) {
	for _, how := range []string{"kit", "foreign"} {
		rt, h := standStill(t)
		p := parent(t, rt, spec(how, nil), nil)
		starts := 0
		recv := func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *actor.Started:
				if starts++; starts == 2 {
					panic("in Started")
				}
			case string:
				panic(m)
			}
		}
		var pid *actor.PID
		_ = p.Send(do(func(ctx actor.Context) {
			if how == "kit" {
				k, _ := Spawn[any](ctx, spec("k", recv))
				pid = k.PID()
			} else {
				pid, _ = ctx.SpawnNamed(actor.PropsFromFunc(recv), "k")
			}
		}))
		h.settle()
		rt.sys.Root.RequestWithCustomSender(pid, "boom", p.PID())
		h.settle()
		f := rt.Tree(how).Failures
		if len(f) != 2 || f[1].Message != "string" || f[0].Message != "*actor.Started" {
			t.Fatalf("%s: %+v", how, f)
		}
	}
}

func TestAFailureOfAnEarlierIncarnationIsOldNews(t *testing.T) {
	f := newFamily(t, Strategy{}, kids("a")...)
	verdicts := events(f.rt, EventVerdict)
	_ = f.kid["a"].Send("boom")
	f.h.settle()
	<-verdicts
	a := f.kid["a"].c
	stale := &childFailure{a, a.seldom().last, a.x.token - 1}
	f.ref.c.PostSystemMessage(&actor.Failure{Who: a.self, Reason: stale})
	f.h.settle()
	if len(verdicts) > 0 {
		t.Fatalf("%+v", <-verdicts)
	}
	f.ref.c.PostSystemMessage(&actor.Failure{Who: a.self, Reason: "not of the kit"})
	f.h.settle()
	if len(a.seldom().history.at) != 1 || a.seldom().restarts != 1 {
		t.Fatalf("%d failures counted, %d restarts", len(a.seldom().history.at), a.seldom().restarts)
	}
}

func TestSupervisorStartsInOrderAndStopsInReverse(t *testing.T) {
	rt, h := standStill(t)
	var l trace
	kid := func(name string) Spec { return spec(name, func(ctx actor.Context) { l.life(name, ctx) }) }
	r := root(t, rt, Supervisor("s", Strategy{Scope: RestForOne}, func() []Spec { return []Spec{kid("a"), kid("b")} }))
	h.settle()
	r.Stop()
	h.settle()
	want := "a:Started b:Started b:Stopping b:Stopped a:Stopping a:Stopped"
	if got := l.String(); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	bad := root(t, rt, Supervisor("bad", Strategy{}, func() []Spec { return []Spec{kid("a"), kid("a")} }))
	h.settle()
	if n := bad.c.node(); !errors.Is(n.Last, ErrNameTaken) {
		t.Fatalf("%+v", n)
	}
	bad.Stop()
	h.settle()
}

func TestASlotIsReachedThroughRestartsOfItsSupervisor(t *testing.T) {
	rt, h := standStill(t)
	var place Slot
	ref := SlotRef[any](&place)
	if err := ref.Send(&parcel{}); !errors.Is(err, ErrStopped) || !ref.IsZero() || !ref.Ended() || ref.PID() != nil || ref.Path() != "" {
		t.Fatal("an empty slot is nobody", err)
	}
	<-ref.Done()
	n, got := 0, ""
	kid := Spec{Name: "k", Slot: &place, New: func() actor.Actor {
		n++
		me := n
		return fn(func(ctx actor.Context) {
			if m, ok := ctx.Message().(string); ok {
				got += fmt.Sprint(m, me, " ")
			}
		})
	}}
	root(t, rt, Supervisor("s", Strategy{}, func() []Spec { return []Spec{kid} }))
	h.settle()
	_ = ref.Send("x")
	h.settle()
	old := ref.PID()
	rt.Kill("s", "test")
	h.settle()
	_ = ref.Send("y")
	h.settle()
	if got != "x1 y2 " || ref.PID() == old {
		t.Fatal(got)
	}
	// A spawn that fails does not take the place.
	_, err := Root[any](rt, Spec{Name: "s", Slot: &place, New: kid.New})
	if !errors.Is(err, ErrNameTaken) || ref.Path() != "s/k" {
		t.Fatal(err, ref.Path())
	}
	root(t, rt, Spec{Name: "other", Slot: &place, New: kid.New})
	h.settle()
	if ref.Path() != "other" {
		t.Fatal(ref.Path())
	}
}
