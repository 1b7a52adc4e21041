package actors

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestATasksEnd(t *testing.T) {
	for name, c := range map[string]struct {
		f       func(context.Context) any
		onPanic func(*PanicError) any
		want    string // message, "failure: ..." or "nothing"
	}{
		"a message":                   {func(context.Context) any { return "done" }, nil, "done"},
		"no message":                  {func(context.Context) any { return nil }, nil, "nothing"},
		"a panic fails its owner":     {func(context.Context) any { panic("boom") }, nil, "failure: panic in a/t on task: boom"},
		"a panic may be a message":    {func(context.Context) any { panic("boom") }, func(e *PanicError) any { return fmt.Sprint(e.Value) }, "boom"},
		"a panic may be ignored":      {func(context.Context) any { panic("boom") }, func(*PanicError) any { return nil }, "nothing"},
		"Goexit is a panic":           {func(context.Context) any { runtime.Goexit(); return 1 }, func(e *PanicError) any { return e.Error() }, "panic in a/t on task: runtime.Goexit was called in a task"},
		"a panic in onPanic is as if": {func(context.Context) any { panic("boom") }, func(*PanicError) any { panic("again") }, "nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			rt := run(t)
			got := make(chan string, 4)
			r := parent(t, rt, spec("a", nil), func(ctx actor.Context) {
				if m, ok := ctx.Message().(string); ok {
					got <- m
				}
			})
			rt.OnEvent(func(e Event) {
				if e.Kind == EventVerdict {
					got <- "failure: " + e.Err.Error()
				}
			})
			var task *Task
			in(t, r, func(ctx actor.Context) { task = StartTask(ctx, "t", c.f, c.onPanic) })
			if c.want != "nothing" {
				want(t, "the outcome", got, c.want)
				return
			}
			if !eventually(func() bool { rt.mu.Lock(); defer rt.mu.Unlock(); return task.over }) {
				t.Fatal("the task does not end")
			}
			in(t, r, func(actor.Context) {})
			if len(got) > 0 {
				t.Fatal(<-got)
			}
		})
	}
}

func TestATasksResultIsForTheIncarnationThatStartedIt(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(rt *Runtime, r Ref[any])
		want error
	}{
		"restarted": {func(rt *Runtime, r Ref[any]) { rt.Kill("a", "test") }, nil},
		"stopped":   {func(_ *Runtime, r Ref[any]) { r.Stop() }, ErrStopped},
	} {
		t.Run(name, func(t *testing.T) {
			rt := run(t)
			n, up := 0, make(chan int, 4)
			r := root(t, rt, Spec{Name: "a", New: func() actor.Actor {
				n++
				me := n
				return fn(func(ctx actor.Context) {
					switch m := ctx.Message().(type) {
					case *actor.Started:
						up <- me
					case do:
						m(ctx)
					case *parcel:
						t.Error("the wrong incarnation got it")
					}
				})
			}})
			want(t, "start", up, 1)
			result := &parcel{gone: make(chan error, 1)}
			cause, let := make(chan error, 1), make(chan struct{})
			in(t, r, func(ctx actor.Context) {
				StartTask(ctx, "t", func(ctx context.Context) any {
					<-ctx.Done()
					cause <- context.Cause(ctx)
					<-let
					return result
				}, nil)
			})
			c.end(rt, r)
			within(t, "it is cancelled with its owner", cause)
			if c.want == nil {
				want(t, "the next incarnation", up, 2)
			} else {
				within(t, "end", r.Done())
			}
			if s := rt.TreeWithStacks("").Strays; len(s) != 1 || s[0].Path != "a/t" || s[0].Phase != "stray" || !strings.Contains(s[0].Stack, "ATasksResult") {
				t.Fatalf("strays: %+v", s)
			}
			close(let)
			err := within(t, "its result is given back", result.gone)
			if c.want != nil && !errors.Is(err, c.want) || c.want == nil && !errors.Is(err, ErrRestarting) {
				t.Fatal(err)
			}
			if err := result.fate(); err != nil {
				t.Fatal(err)
			}
			if !eventually(func() bool { return len(rt.Tree("").Strays) == 0 }) {
				t.Fatal("it is over and still a stray")
			}
		})
	}
}

func TestATasksPanicAfterItsOwnersEndIsOnRecord(t *testing.T) {
	rt := run(t)
	r := parent(t, rt, spec("a", nil), nil)
	in(t, r, func(ctx actor.Context) {
		StartTask(ctx, "t", func(ctx context.Context) any { <-ctx.Done(); panic("too late") }, nil)
	})
	failed := events(rt, EventFailed)
	r.Stop()
	if e := within(t, "the panic", failed); e.Path != "a/t" || !strings.Contains(e.Err.Error(), "too late") {
		t.Fatalf("%+v", e)
	}
}

func TestATaskStartedWhileStoppingIsCancelledFromTheStart(t *testing.T) {
	for _, when := range []string{"Stopping", "Stopped", "Restarting"} {
		t.Run(when, func(t *testing.T) {
			rt := run(t)
			cause, up := make(chan error, 1), make(chan struct{}, 2)
			r := root(t, rt, spec("a", func(ctx actor.Context) {
				switch m := ctx.Message().(type) {
				case *actor.Started:
					up <- struct{}{}
				case string:
					panic(m)
				}
				if fmt.Sprintf("%T", ctx.Message()) == "*actor."+when {
					StartTask(ctx, "t", func(ctx context.Context) any {
						<-ctx.Done()
						cause <- context.Cause(ctx)
						return nil
					}, nil)
					NewTimer(ctx, "x").After(time.Hour)
				}
			}))
			within(t, "start", up)
			if when == "Restarting" {
				_ = r.Send("boom")
			} else {
				r.Stop()
			}
			if err := within(t, "cancel", cause); !errors.Is(err, ErrStopped) {
				t.Fatal(err)
			}
			if r.c.x.timers != nil {
				t.Fatal("a timer of a stopping actor is armed")
			}
		})
	}
}

func TestCancelEndsATasksContextOnly(t *testing.T) {
	rt := run(t)
	got := make(chan string, 1)
	r := parent(t, rt, spec("a", nil), func(ctx actor.Context) {
		if m, ok := ctx.Message().(string); ok {
			got <- m
		}
	})
	in(t, r, func(ctx actor.Context) {
		task := StartTask(ctx, "t", func(ctx context.Context) any { <-ctx.Done(); return "cancelled" }, nil)
		if n := rt.Tree("").Roots[0].Children; len(n) != 1 || n[0].Kind != "task" || n[0].Phase != "running" {
			t.Errorf("%+v", n)
		}
		task.Cancel()
		(*Task)(nil).Cancel()
	})
	want(t, "its message", got, "cancelled")
	if !eventually(func() bool { return len(rt.Tree("").Roots[0].Children) == 0 }) {
		t.Errorf("%+v", rt.Tree("").Roots[0].Children)
	}
}

func TestAThousandTasksOfOneActorAllAnswer(t *testing.T) {
	rt := run(t)
	n, done := 0, make(chan struct{})
	r := parent(t, rt, spec("a", nil), func(ctx actor.Context) {
		if _, ok := ctx.Message().(int); ok {
			if n++; n == 1000 {
				close(done)
			}
		}
	})
	in(t, r, func(ctx actor.Context) {
		for i := range 1000 {
			StartTask(ctx, "t", func(context.Context) any { return i }, nil)
		}
	})
	within(t, "all answers", done)
	if !eventually(func() bool { return len(rt.Tree("").Roots[0].Children) == 0 }) {
		t.Fatal("tasks that are over are kept")
	}
}

// A stop that meets tasks which are just ending must neither lose a result nor keep a task.
func TestAStopAmongTasksThatAreEnding(t *testing.T) {
	rt := run(t)
	for range 300 {
		var results []*parcel
		r := parent(t, rt, spec("", nil), func(ctx actor.Context) {
			if p, ok := ctx.Message().(*parcel); ok {
				p.receive(ctx)
			}
		})
		in(t, r, func(ctx actor.Context) {
			for range 8 {
				p := &parcel{}
				results = append(results, p)
				StartTask(ctx, "t", func(context.Context) any { return p }, nil)
			}
		})
		r.Stop()
		within(t, "end", r.Done())
		if !eventually(func() bool {
			for _, p := range results {
				if p.fate() != nil {
					return false
				}
			}
			rt.mu.Lock()
			defer rt.mu.Unlock()
			return len(rt.strays) == 0
		}) {
			t.Fatalf("a result is lost, or %d strays stay", len(rt.strays))
		}
	}
}

func TestAPumpsPanicGoesToItsOwner(t *testing.T) {
	rt := run(t)
	got := make(chan *PanicError, 3)
	failed := events(rt, EventFailed)
	rt.Pump("parser", func() { panic("hostile byte") }, func(e *PanicError) { got <- e })
	if e := within(t, "panic", got); e.Path != "parser" || e.Value != "hostile byte" || len(e.Stack) == 0 {
		t.Fatalf("%+v", e)
	}
	rt.Pump("exit", runtime.Goexit, func(e *PanicError) { got <- e })
	if e := within(t, "exit", got); !errors.Is(e, errTaskGoexit) {
		t.Fatalf("%+v", e)
	}
	rt.Pump("nobody", func() { panic("nobody listens") }, nil)
	rt.Pump("worse", func() { panic("first") }, func(*PanicError) { panic("in onPanic") })
	for range 5 {
		within(t, "panic on record", failed)
	}
	rt.Pump("fine", func() {}, func(*PanicError) { t.Error("nothing happened") })
	if !eventually(func() bool { return rt.Tree("").Pumps == 0 }) {
		t.Fatal("pumps that are over are counted")
	}
}

// TestAnErrandIsRunByAWorkerThatIsIdle, whose stack has grown, and which goes on as a worker.
func TestAnErrandIsRunByAWorkerThatIsIdle(t *testing.T) {
	rt := run(t)
	l := rt.host.(*live)
	idle := func() (n int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.idle)
	}
	on := make(chan int64, 4)
	r := root(t, rt, spec("r", func(ctx actor.Context) {
		if _, ok := ctx.Message().(string); ok {
			on <- goid()
		}
	}))
	atRest(t, r)
	if !eventually(func() bool { return idle() == 1 }) {
		t.Fatalf("%d workers are idle", idle())
	}
	rt.Errand("first", func() { on <- goid() }, nil)
	first := within(t, "an errand", on)
	for range 3 {
		if !eventually(func() bool { return idle() == 1 }) {
			t.Fatalf("%d workers are idle", idle())
		}
		rt.Errand("again", func() { on <- goid() }, nil)
		if g := within(t, "an errand", on); g != first {
			t.Error("it was run by another goroutine")
		}
		if !eventually(func() bool { return idle() == 1 }) {
			t.Fatalf("%d workers are idle", idle())
		}
		_ = r.Send("a turn")
		if g := within(t, "a turn", on); g != first {
			t.Error("a turn was run by another goroutine")
		}
	}
	got := make(chan *PanicError, 1)
	rt.Errand("exit", runtime.Goexit, func(e *PanicError) { got <- e })
	if e := within(t, "exit", got); !errors.Is(e, errTaskGoexit) {
		t.Errorf("%+v", e)
	}
	rt.Errand("panic", func() { panic("hostile byte") }, func(e *PanicError) { got <- e })
	if e := within(t, "panic", got); e.Value != "hostile byte" {
		t.Errorf("%+v", e)
	}
}

func TestAfterFunc(t *testing.T) {
	rt := run(t)
	ran := make(chan struct{})
	rt.AfterFunc(0, func() { close(ran) })
	within(t, "the call", ran)
	if stop := rt.AfterFunc(time.Hour, func() { t.Error("stopped, but ran") }); !stop() {
		t.Fatal("could not be stopped")
	}
	failed := events(rt, EventFailed)
	rt.AfterFunc(0, func() { panic("in a timer") })
	within(t, "the panic is contained", failed)
}
