package actors

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

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
			exit := runtime.Goexit // what t.FailNow does
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
				if !errors.As(k.c.seen().cause, &pe) || !errors.Is(pe, errGoexit) {
					t.Fatal(k.c.seen().cause)
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

func TestTheRegistryIsSmallAndFindsEveryActor(t *testing.T) {
	rt := run(t)
	reg := rt.sys.ProcessRegistry
	if n := cap(reg.LocalPIDs.LocalPIDs); n != registryMaps {
		t.Errorf("%d maps, want %d", n, registryMaps)
	}
	var refs []Ref[any]
	for i := range 1000 {
		refs = append(refs, root(t, rt, spec(fmt.Sprint("a", i), nil)))
	}
	for _, r := range refs {
		if _, ok := reg.GetLocal(r.PID().Id); !ok {
			t.Fatalf("%s is not there", r.Path())
		}
	}
	for _, r := range refs {
		r.Stop()
		within(t, "end", r.Done())
		if _, ok := reg.GetLocal(r.PID().Id); ok {
			t.Fatalf("%s is still there", r.Path())
		}
	}
}
