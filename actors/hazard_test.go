package actors

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Each test here is about something that stock proto.actor does and that would make a network
// node unsafe. docs/kit.md lists them.

func TestSendingToANameThatIsBeingSpawnedNeitherPanicsNorLosesTheActor(t *testing.T) {
	rt := run(t)
	pid := func() *actor.PID { return actor.NewPID(rt.sys.ProcessRegistry.Address, "n") }
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !stop.Load() {
				rt.sys.Root.Send(pid(), "by name")
			}
		})
	}
	for range 200 {
		r := root(t, rt, spec("n", func(ctx actor.Context) {
			if rep, ok := ctx.Message().(Reply[string]); ok {
				rep.Answer("alive")
			}
		}))
		if v, err := AskControl(t.Context(), r, func(rep Reply[string]) any { return rep }); v != "alive" {
			t.Fatal(v, err)
		}
		r.Stop()
		within(t, "end", r.Done())
	}
	stop.Store(true)
	wg.Wait()
}

func TestAStopByNameBeforeTheFirstTurnStartsAPermanentActorOnlyOnce(t *testing.T) {
	rt, h := standStill(t)
	starts := 0
	var k Ref[any]
	p := parent(t, rt, spec("p", nil), nil)
	_ = p.Send(do(func(ctx actor.Context) {
		k, _ = Spawn[any](ctx, spec("k", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				starts++
			}
		}))
		k.c.mu.Lock()
		k.c.sys = []any{stopMessage, startedMessage} // as if it had come before Started
		k.c.mu.Unlock()
	}))
	h.pass(time.Second)
	if starts != 1 || !k.c.is(Alive) {
		t.Fatalf("started %d times, %v", starts, Phase(k.c.phase.Load()))
	}
}

func TestAFullMailboxRefusesAtOnceEvenFromTheActorItself(t *testing.T) {
	rt := run(t)
	let, full := make(chan struct{}), make(chan error, 1)
	s := spec("a", func(ctx actor.Context) {
		switch ctx.Message() {
		case "fill":
			self := Self[any](ctx)
			var err error
			for range 9 {
				err = self.Send("x")
			}
			full <- err // stock's bounded mailbox spins here for ever, and no Stop can end it
			<-let
		}
	})
	s.Mailbox.Data = 8
	r := root(t, rt, s)
	_ = r.Send("fill")
	if err := within(t, "refusal", full); !errors.Is(err, ErrMailboxFull) {
		t.Fatal(err)
	}
	if err := r.Send("y"); !errors.Is(err, ErrMailboxFull) {
		t.Fatal(err)
	}
	if err := r.Control("control has a lane of its own"); err != nil {
		t.Fatal(err)
	}
	close(let)
	r.Stop()
	within(t, "end", r.Done())
}

func TestAMailboxThatDroppedComesToRest(t *testing.T) {
	rt, h := standStill(t) // settle returns only when no actor has anything to do
	n := 0
	s := spec("a", func(ctx actor.Context) {
		if _, ok := ctx.Message().(string); ok {
			n++
		}
	})
	s.Mailbox = Mailbox{Data: 4, Full: Drop}
	r := root(t, rt, s)
	for range 10 {
		if err := r.Send("x"); err != nil {
			t.Fatal(err)
		}
	}
	h.settle()
	if node := rt.Tree("").Roots[0]; n != 4 || node.Refused != 6 || node.Queued != 0 {
		t.Fatalf("handled %d: %+v", n, node)
	}
}

// S1, S2: stock loses 3,991 of 4,000 stops here, because the message that panics after Stopping
// turns the stop into a restart.
func TestAStopIsNotLostWhenAnActorWithChildrenPanicsOnAQueuedMessage(t *testing.T) {
	rt := run(t)
	tries := 2000
	if testing.Short() {
		tries = 200
	}
	for range tries {
		r := parent(t, rt, Spec{Name: "p"}, func(ctx actor.Context) {
			if ctx.Message() == "boom" {
				panic("boom")
			}
		})
		in(t, r, func(ctx actor.Context) {
			for range 3 {
				_, _ = Spawn[any](ctx, spec("", func(actor.Context) {}))
			}
			_ = Self[any](ctx).Send("boom")
			Self[any](ctx).Stop()
			_ = Self[any](ctx).Send("boom")
		})
		_ = r.Send("boom")
		within(t, "end", r.Done())
	}
}

func TestNothingButStoppedReachesAnActorAfterStopping(t *testing.T) {
	rt := run(t)
	var l trace
	r := parent(t, rt, spec("p", nil), func(ctx actor.Context) { l.life("p", ctx) })
	_ = child(t, r, spec("k", func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Stopping); ok {
			// The parent waits for this child: S1 delivers to it now.
			ctx.Send(r.PID(), "late")
		}
	}))
	r.Stop()
	within(t, "end", r.Done())
	if got, want := l.String(), "p:Started p:Stopping p:Stopped"; got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

// S3.
func TestASiblingThatIsStoppingIsNotBroughtBackByAGroupRestart(t *testing.T) {
	rt, h := standStill(t)
	var l trace
	s := spec("p", nil)
	s.Children.Scope = RestForOne
	r := parent(t, rt, s, nil)
	var first, second Ref[any]
	_ = r.Send(do(func(ctx actor.Context) {
		first, _ = Spawn[any](ctx, spec("a", func(ctx actor.Context) {
			if ctx.Message() == "boom" {
				panic("boom")
			}
		}))
		second, _ = Spawn[any](ctx, spec("b", func(ctx actor.Context) { l.life("b", ctx) }))
	}))
	h.settle()
	second.Stop()
	_ = first.Send("boom")
	h.pass(time.Minute)
	if got, want := l.String(), "b:Started b:Stopping b:Stopped"; got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

// S4 to S6 and their kin, each in a child with a child of its own. "kit" children are spawned
// with Spawn, "foreign" ones with proto.actor's own call.
func TestAPanicInALifecycleMessageNeitherWedgesNorResurrects(t *testing.T) {
	for _, how := range []string{"kit", "foreign"} {
		for _, c := range []struct {
			message string
			after   string // what happens to the child then
		}{
			{"Stopping", "stop"}, {"Stopped", "stop"}, {"Terminated", "stop"},
			{"Restarting", "restart"}, {"Terminated", "restart"}, {"Terminated", "fail"}, {"Started", "fail"},
		} {
			t.Run(how+"/"+c.message+" on "+c.after, func(t *testing.T) {
				rt := run(t)
				failed := events(rt, EventFailed)
				ended := make(chan struct{}, 1)
				up := make(chan int, 4)
				var inc atomic.Int32
				armed := atomic.Bool{}
				recv := func(ctx actor.Context) {
					me, name := ctx.Message(), ""
					switch m := me.(type) {
					case *actor.Started:
						name = "Started"
						if c.message == "Started" && inc.Load() == 0 {
							armed.Store(true) // the first start
						}
						if _, err := Spawn[any](ctx, spec("grandchild", func(actor.Context) {})); err != nil {
							t.Error(err)
						}
						n := int(inc.Add(1))
						defer func() {
							if n > 1 || c.message != "Started" {
								up <- n
							}
						}()
					case *actor.Stopping:
						name = "Stopping"
					case *actor.Stopped:
						name = "Stopped"
					case *actor.Restarting:
						name = "Restarting"
					case *actor.Terminated:
						name = "Terminated"
					case string:
						switch m {
						case "boom":
							panic("boom")
						case "end the grandchild":
							ctx.Stop(ctx.Children()[0])
						}
					}
					if name == c.message && armed.CompareAndSwap(true, false) {
						panic("in " + name)
					}
				}
				r := parent(t, rt, spec("p", nil), func(ctx actor.Context) {
					if _, ok := ctx.Message().(*actor.Terminated); ok {
						ended <- struct{}{}
					}
				})
				var pid *actor.PID
				in(t, r, func(ctx actor.Context) {
					if how == "kit" {
						s := spec("k", recv)
						s.Restart = Transient
						k, err := Spawn[any](ctx, s)
						if err != nil {
							t.Error(err)
						}
						pid = k.PID()
					} else {
						pid, _ = ctx.SpawnNamed(actor.PropsFromFunc(recv), "k")
					}
				})
				if c.message != "Started" {
					within(t, "start", up)
					armed.Store(true)
				}
				switch c.after {
				case "stop":
					rt.sys.Root.Stop(pid)
					within(t, "the parent hears of the end", ended)
					if n := inc.Load(); n != 1 {
						t.Fatalf("%d incarnations", n)
					}
				case "restart":
					rt.sys.Root.Send(pid, "boom")
					within(t, "the new incarnation", up)
				case "fail":
					if c.message == "Terminated" {
						// Its grandchild is permanent: only its supervisor ends it.
						g := Ref[any]{c: rt.find("p/k/grandchild")}
						g.Stop()
					}
					within(t, "the new incarnation", up)
				}
				if c.message != "Terminated" || c.after == "fail" {
					for {
						e := within(t, "the panic in the lifecycle message", failed)
						if strings.Contains(e.Err.Error(), "in "+c.message) {
							break
						}
					}
				}
				// And it can still end.
				r.Stop()
				within(t, "end", r.Done())
			})
		}
	}
}

// S7.
func TestAnActorThatIsStoppingOrRestartingCannotSpawn(t *testing.T) {
	for _, when := range []string{"Stopping", "Restarting", "Terminated while restarting"} {
		for _, how := range []string{"kit", "stock"} {
			t.Run(when+"/"+how, func(t *testing.T) {
				rt := run(t)
				tried, up := make(chan error, 4), make(chan struct{}, 4)
				try := func(ctx actor.Context) {
					if how == "kit" {
						_, err := Spawn[any](ctx, spec("", func(actor.Context) {}))
						tried <- err
						return
					}
					_, err := ctx.SpawnNamed(actor.PropsFromFunc(func(actor.Context) {}), "late")
					tried <- err
				}
				r := root(t, rt, spec("p", func(ctx actor.Context) {
					switch ctx.Message().(type) {
					case *actor.Started:
						_, _ = Spawn[any](ctx, spec("k", func(actor.Context) {}))
						up <- struct{}{}
					case *actor.Stopping:
						if when == "Stopping" {
							try(ctx)
						}
					case *actor.Restarting:
						if when == "Restarting" {
							try(ctx)
						}
					case *actor.Terminated:
						if when == "Terminated while restarting" {
							try(ctx)
						}
					case string:
						panic("boom")
					}
				}))
				within(t, "start", up)
				if when == "Stopping" {
					r.Stop()
					within(t, "end", r.Done())
				} else {
					_ = r.Send("boom")
					within(t, "the new incarnation, which would wait for that child for ever", up)
				}
				if err := within(t, "try", tried); !errors.Is(err, ErrStopping) {
					t.Fatal(err)
				}
			})
		}
	}
}

// S8, S9: stock lets all of them vanish.
func TestWhatIsQueuedAtAStopOrSentLaterIsDiscardedAndItsSenderAnswered(t *testing.T) {
	rt := run(t)
	busy, let := make(chan struct{}), make(chan struct{})
	r := root(t, rt, spec("a", func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case string:
			close(busy)
			<-let
		case *parcel:
			m.receive(ctx)
		}
	}))
	_ = r.Send("hold")
	within(t, "busy", busy)
	var queued []*parcel
	for i := range 100 {
		p := &parcel{}
		queued = append(queued, p)
		if err := [...]func(any) error{r.Send, r.Control, r.Offer}[i%3](p); err != nil {
			t.Fatal(err)
		}
	}
	request := rt.sys.Root.RequestFuture(r.PID(), "of stock proto.actor", patience)
	r.Stop()
	close(let)
	within(t, "end", r.Done())
	late := &parcel{}
	if err := r.Send(late); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	for _, p := range append(queued, late) {
		if err := p.fate(); err != nil || p.received > 0 || !errors.Is(p.discarded[0], ErrStopped) {
			t.Fatal(err, p.received, p.discarded)
		}
	}
	if _, err := request.Result(); !errors.Is(err, actor.ErrDeadLetter) {
		t.Fatalf("the requester waited for its timeout: %v", err)
	}
}

func TestAResumeAfterAFailedRestartLetsNoMessageThrough(t *testing.T) {
	for _, how := range []string{"kit", "foreign"} {
		t.Run(how, func(t *testing.T) {
			rt, h := standStill(t)
			starts, got := 0, ""
			recv := func(ctx actor.Context) {
				switch m := ctx.Message().(type) {
				case *actor.Started:
					starts++
					if starts == 2 {
						panic("in the second start")
					}
				case string:
					if m == "boom" {
						panic("boom")
					}
					got += m
				}
			}
			s := spec("p", nil)
			s.Children.Backoff = time.Second
			r := parent(t, rt, s, nil)
			var pid *actor.PID
			_ = r.Send(do(func(ctx actor.Context) {
				if how == "kit" {
					k, _ := Spawn[any](ctx, spec("k", recv))
					pid = k.PID()
				} else {
					pid, _ = ctx.SpawnNamed(actor.PropsFromFunc(recv), "k")
				}
			}))
			h.settle()
			rt.sys.Root.Send(pid, "boom")
			rt.sys.Root.Send(pid, "x")
			h.settle()
			if starts != 2 || got != "" {
				t.Fatalf("after %d starts the failed incarnation got %q", starts, got)
			}
			h.pass(time.Second)
			rt.sys.Root.Send(pid, "y")
			h.settle()
			if starts != 3 || got != "y" {
				t.Fatalf("after %d starts: %q", starts, got)
			}
		})
	}
}

func TestAPanicInNewIsAFailureOfTheNewActor(t *testing.T) {
	for name, bad := range map[string]func() actor.Actor{
		"panics": func() actor.Actor { panic("in New") },
		"nil":    func() actor.Actor { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			rt := run(t)
			n, up := 0, make(chan struct{})
			r := parent(t, rt, spec("p", nil), nil)
			k := child(t, r, Spec{Name: "k", New: func() actor.Actor {
				if n++; n == 1 {
					return bad()
				}
				close(up)
				return fn(func(actor.Context) {})
			}})
			within(t, "the second incarnation", up)
			if rt.Tree("").Roots[0].Failures != 0 || k.Ended() {
				t.Fatal("the parent paid for it")
			}
			k.Stop()
			within(t, "end", k.Done())
		})
	}
	t.Run("and it can be stopped before any New has worked", func(t *testing.T) {
		rt := run(t)
		r := parent(t, rt, spec("p", nil), nil)
		failed := events(rt, EventVerdict)
		k := child(t, r, Spec{Name: "k", New: func() actor.Actor { panic("always") }})
		within(t, "failure", failed)
		k.Stop()
		within(t, "end", k.Done())
	})
}

func TestAFailedActorIsToldNothingUntilItsSuccessorStarts(t *testing.T) {
	rt, h := standStill(t)
	var l trace
	s := spec("p", nil)
	r := parent(t, rt, s, nil)
	var k, g Ref[any]
	_ = r.Send(do(func(ctx actor.Context) {
		k, _ = Spawn[any](ctx, spec("k", func(ctx actor.Context) {
			l.life("k", ctx)
			switch ctx.Message().(type) {
			case *actor.Started:
				g, _ = Spawn[any](ctx, temporary("g", func(actor.Context) {}))
			case string:
				panic("boom")
			}
		}))
	}))
	h.settle()
	_ = k.Send("boom")
	h.settle() // restarted at once
	_ = k.Send("boom")
	h.settle() // held off
	g.Stop()
	h.settle()
	want := "k:Started k:boom k:Restarting k:Terminated(g) k:Started k:boom"
	if got := l.String(); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	h.pass(time.Second)
	if got := l.String(); got != want+" k:Restarting k:Started" {
		t.Fatal(got)
	}
}

func TestARootThatAlwaysFailsIsParkedAndTheProcessLives(t *testing.T) {
	rt, h := standStill(t)
	starts := 0
	r := root(t, rt, spec("a", func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Started); ok {
			starts++
			panic("always")
		}
	}))
	h.pass(time.Second)
	n := rt.Tree("").Roots[0]
	if starts != 6 || n.Phase != "failed" || n.ParkedFor <= 0 {
		t.Fatalf("%d starts: %+v", starts, n)
	}
	h.pass(rootParkFor)
	if starts < 7 {
		t.Fatal("it is not tried again")
	}
	r.Stop()
	h.settle()
	if !r.Ended() {
		t.Fatal("a parked root cannot be stopped")
	}
}

func TestAnEscalationThatReachesARootRestartsIt(t *testing.T) {
	rt, h := standStill(t)
	starts := 0
	r := root(t, rt, Spec{Name: "r", Children: Strategy{Intensity: -1, Exceeded: Escalate}, New: func() actor.Actor {
		return fn(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				starts++
				_, _ = Spawn[any](ctx, spec("k", func(ctx actor.Context) {
					if ctx.Message() == "boom" {
						panic("boom")
					}
				}))
			}
		})
	}})
	h.settle()
	if !rt.Kill("r/k", "test") {
		t.Fatal("no r/k")
	}
	h.settle()
	n := rt.Tree("").Roots[0]
	var esc *EscalatedError
	var inj *Injected
	if starts != 2 || n.Restarts != 1 || !errors.As(n.Last, &esc) || esc.Child != "r/k" || !errors.As(n.Last, &inj) {
		t.Fatalf("%d starts: %+v", starts, n)
	}
	if r.Ended() || len(n.Children) != 1 || n.Children[0].Restarts != 0 {
		t.Fatalf("%+v", n)
	}
}

func TestAContinuationRunsNeitherAfterAStopNorInAFailedActor(t *testing.T) {
	for _, fate := range []string{"stopped", "failed", "alive"} {
		t.Run(fate, func(t *testing.T) {
			rt := run(t)
			f := actor.NewFuture(rt.sys, patience)
			ran := make(chan struct{}, 1)
			s := spec("p", nil)
			s.Children.Backoff, s.Children.MaxBackoff = time.Hour, time.Hour
			p := parent(t, rt, s, nil)
			verdicts := events(rt, EventVerdict)
			up := make(chan struct{}, 3)
			k := child(t, p, spec("k", func(ctx actor.Context) {
				switch m := ctx.Message().(type) {
				case *actor.Started:
					up <- struct{}{}
				case do:
					m(ctx)
				}
			}))
			within(t, "start", up)
			switch fate {
			case "failed": // twice: the second time it has to wait
				_ = k.Send(do(func(actor.Context) { panic("boom") }))
				within(t, "verdict", verdicts)
				within(t, "restart", up)
			}
			in(t, k, func(ctx actor.Context) {
				ctx.ReenterAfter(f, func(any, error) { ran <- struct{}{} })
			})
			switch fate {
			case "failed":
				_ = k.Send(do(func(actor.Context) { panic("boom") }))
				if e := within(t, "verdict", verdicts); e.After <= 0 {
					t.Fatal(e)
				}
			case "stopped":
				k.Stop()
				within(t, "end", k.Done())
			}
			rt.sys.Root.Send(f.PID(), "result")
			if _, err := f.Result(); err != nil {
				t.Fatal(err)
			}
			if fate == "alive" {
				within(t, "continuation", ran)
				return
			}
			// The continuation is posted before Result returns or soon after: wait until
			// the cell has had it, or been refused.
			in(t, p, func(actor.Context) {})
			k.Stop()
			within(t, "end", k.Done())
			select {
			case <-ran:
				t.Fatal("it ran")
			default:
			}
		})
	}
}

func TestEveryWatcherIsToldOnce(t *testing.T) {
	rt := run(t)
	told := make(chan string, 100)
	watcher := func(name string) Ref[any] {
		return parent(t, rt, spec(name, nil), func(ctx actor.Context) {
			if m, ok := ctx.Message().(*actor.Terminated); ok {
				told <- name + " of " + m.Who.Id
			}
		})
	}
	p, w, other := watcher("p"), watcher("w"), watcher("other")
	k := child(t, p, temporary("k", func(actor.Context) {}))
	for range 2 {
		for _, r := range []Ref[any]{p, w, other} { // the parent too, which stock tells twice
			in(t, r, func(ctx actor.Context) { ctx.Watch(k.PID()) })
		}
	}
	in(t, other, func(ctx actor.Context) { ctx.Unwatch(k.PID()) })
	k.Stop()
	within(t, "end", k.Done())
	seen := map[string]int{}
	for range 2 {
		seen[within(t, "Terminated", told)]++
	}
	in(t, w, func(ctx actor.Context) { ctx.Watch(k.PID()) }) // of the dead
	seen[within(t, "Terminated", told)]++
	if seen["p of p/k"] != 1 || seen["w of p/k"] != 2 {
		t.Fatal(seen)
	}
	for _, r := range []Ref[any]{p, w, other} {
		in(t, r, func(actor.Context) {})
	}
	if len(told) > 0 {
		t.Fatal(<-told)
	}
}

func TestAWatchThatIsPostedAfterTheEndIsAnswered(t *testing.T) {
	rt, h := standStill(t)
	var l trace
	w := parent(t, rt, spec("w", nil), func(ctx actor.Context) { l.life("w", ctx) })
	k := root(t, rt, spec("k", func(actor.Context) {}))
	k.Stop()
	h.settle()
	k.c.PostSystemMessage(&actor.Watch{Watcher: w.PID()}) // its sender had looked k up before
	k.c.PostSystemMessage(&actor.Unwatch{Watcher: w.PID()})
	h.settle()
	if got := l.String(); got != "w:Started w:Terminated(k)" {
		t.Fatal(got)
	}
}

func TestAWatchThatRacesWithTheEndIsAlwaysAnswered(t *testing.T) {
	rt := run(t)
	told := make(chan struct{}, 1)
	w := parent(t, rt, spec("w", nil), func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Terminated); ok {
			told <- struct{}{}
		}
	})
	for range 1000 {
		k := root(t, rt, spec("", func(actor.Context) {}))
		_ = w.Send(do(func(ctx actor.Context) { ctx.Watch(k.PID()) }))
		k.Stop()
		within(t, "Terminated", told)
	}
}

func TestSystemMessagesOvertake(t *testing.T) {
	rt, h := standStill(t)
	var l trace
	p := parent(t, rt, spec("p", nil), func(ctx actor.Context) { l.life("p", ctx) })
	_ = p.Send(do(func(ctx actor.Context) {
		self := Self[any](ctx)
		k, _ := Spawn[any](ctx, temporary("k", func(ctx actor.Context) {
			if ctx.Message() == "go" {
				_ = self.Send("result")
				Self[any](ctx).Stop()
			}
		}))
		_ = k.Send("go")
		k.Stop()
		last, _ := Spawn[any](ctx, temporary("last", func(ctx actor.Context) {
			l.life("last", ctx)
			if ctx.Message() == "go" {
				_ = self.Send("result")
			}
		}))
		_ = last.Control("go")
		last.StopAfter()
	}))
	h.settle()
	// k was stopped before it got to its work. last did it first, but its end, a system
	// message, would have overtaken the result had the parent been busy: order that matters
	// goes into one message.
	want := "p:Started last:Started last:go last:Stopping last:Stopped p:Terminated(k) p:Terminated(last) p:result"
	if got := l.String(); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestAPIDFromTheWireIsNeverTakenForALocalOne(t *testing.T) {
	rt, other := run(t), run(t)
	got := make(chan string, 1)
	r := root(t, rt, spec("a", func(ctx actor.Context) {
		if m, ok := ctx.Message().(string); ok {
			got <- m
		}
	}))
	foreign := root(t, other, spec("a", func(actor.Context) {}))
	if r.PID().Address == foreign.PID().Address {
		t.Fatal("two runtimes share an address")
	}
	rt.sys.Root.Send(actor.NewPID(foreign.PID().Address, "a"), "forged")
	rt.sys.Root.Send(r.PID(), "real")
	want(t, "message", got, "real")
}

func TestAPermanentActorThatSomeoneElseStopsComesBack(t *testing.T) {
	rt := run(t)
	up := make(chan struct{}, 4)
	p := parent(t, rt, spec("p", nil), nil)
	k := child(t, p, spec("k", func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Started); ok {
			up <- struct{}{}
		}
	}))
	within(t, "start", up)
	rt.sys.Root.Stop(k.PID())
	within(t, "the next incarnation", up)
	if last := rt.Tree("").Roots[0].Children[0].Last; !errors.Is(last, errNotStopped) {
		t.Fatal(last)
	}
	rt.sys.Root.Poison(k.PID())
	within(t, "the next incarnation", up)
	k.Stop()
	within(t, "end, which its supervisor wants", k.Done())
}

func TestATransientActorMayEndByItself(t *testing.T) {
	rt := run(t)
	ended := make(chan End, 1)
	p := parent(t, rt, spec("p", nil), func(ctx actor.Context) {
		if e, ok := ChildEnd(ctx); ok {
			ended <- e
		}
	})
	s := spec("k", func(ctx actor.Context) {
		if ctx.Message() == "done" {
			ctx.Stop(ctx.Self())
		}
	})
	s.Restart = Transient
	k := child(t, p, s)
	_ = k.Send("done")
	if e := within(t, "end", ended); e != (End{Path: "p/k", Name: "k", Kind: "k"}) {
		t.Fatalf("%+v", e)
	}
}

func TestGoexitInReceiveIsAFailure(t *testing.T) {
	for _, c := range []struct {
		when    string
		inline  bool
		restart Restart
	}{
		{"message", false, Permanent}, {"message", true, Permanent}, {"Started", false, Permanent},
		{"Stopping", false, Temporary}, {"Stopped", false, Temporary},
	} {
		t.Run(c.when, func(t *testing.T) {
			rt := run(t)
			n, up := 0, make(chan struct{}, 4)
			exit := func() { (&testing.T{}).SkipNow() } // what t.FailNow does: runtime.Goexit
			p := parent(t, rt, spec("p", nil), nil)
			k := child(t, p, Spec{Name: "k", Inline: c.inline, Restart: c.restart, New: func() actor.Actor {
				n++
				me := n
				return fn(func(ctx actor.Context) {
					switch ctx.Message().(type) {
					case *actor.Started:
						if c.when == "Started" && me == 1 {
							exit()
						}
						up <- struct{}{}
					case *actor.Stopping:
						if c.when == "Stopping" {
							exit()
						}
					case *actor.Stopped:
						if c.when == "Stopped" {
							exit()
						}
					case string:
						exit()
					}
				})
			}})
			within(t, "start", up)
			switch c.when {
			case "message":
				atRest(t, k)
				done := make(chan struct{})
				go func() { // Goexit ends this goroutine when the turn is inline
					defer close(done)
					if c.inline {
						_ = k.Offer("exit")
						t.Error("the turn did not run inline")
						return
					}
					_ = k.Send("exit")
				}()
				within(t, "the offering goroutine's end", done)
				within(t, "the next incarnation", up)
			case "Stopping", "Stopped":
				k.Stop()
				within(t, "end", k.Done())
				var pe *PanicError
				if !errors.As(k.c.x.cause, &pe) || !errors.Is(pe, errGoexit) {
					t.Fatal(k.c.x.cause)
				}
			}
			k.Stop()
			within(t, "end", k.Done())
			if len(rt.Tree("").Failures) == 0 {
				t.Fatal("nobody noticed")
			}
		})
	}
}
