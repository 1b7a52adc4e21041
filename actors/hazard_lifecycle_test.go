package actors

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

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
				var grandchild Ref[any]
				recv := func(ctx actor.Context) {
					me, name := ctx.Message(), ""
					switch m := me.(type) {
					case *actor.Started:
						name = "Started"
						if c.message == "Started" && inc.Load() == 0 {
							armed.Store(true) // the first start
						}
						var err error
						if grandchild, err = Spawn[any](ctx, spec("grandchild", func(actor.Context) {})); err != nil {
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
							ctx.Stop(grandchild.PID())
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
