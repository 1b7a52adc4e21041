package actors

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// run makes a runtime that must be empty at the end of the test.
func run(t *testing.T) *Runtime {
	t.Helper()
	rt := Live(Options{StuckAfter: 50 * time.Millisecond})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if s := rt.Close(ctx); len(s) > 0 {
			t.Errorf("left behind: %v", s)
		}
	})
	return rt
}

type fn func(ctx actor.Context)

func (f fn) Receive(ctx actor.Context) { f(ctx) }

func spec(name string, f func(ctx actor.Context)) Spec {
	return Spec{Name: name, New: func() actor.Actor { return fn(f) }}
}

func within[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(5 * time.Second):
		t.Fatalf("%s: did not happen", what)
		panic("unreachable")
	}
}

func TestAFailedActorComesBackAndKeepsItsQueue(t *testing.T) {
	rt := run(t)
	got := make(chan any, 10)
	n := 0
	r, err := Root[any](rt, Spec{Name: "a", New: func() actor.Actor {
		n++
		me := n
		return fn(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *actor.Started:
				got <- me
			case string:
				if m == "boom" {
					panic("boom")
				}
				got <- m
			}
		})
	}})
	if err != nil {
		t.Fatal(err)
	}
	within(t, "first start", got)
	for _, m := range []string{"boom", "x", "y"} {
		_ = r.Send(m)
	}
	for _, want := range []any{2, "x", "y"} {
		if v := within(t, "message", got); v != want {
			t.Fatalf("got %v, want %v", v, want)
		}
	}
	tree := rt.Tree("")
	if tree.Roots[0].Restarts != 1 || tree.Roots[0].Last == nil || len(tree.Roots[0].Last.Stack) == 0 {
		t.Fatalf("the tree does not show the failure: %+v", tree.Roots[0])
	}
}

func TestAStuckActorIsAbandonedAndItsParentToldAtOnce(t *testing.T) {
	rt := run(t)
	ended := make(chan End, 1)
	stuck := make(chan struct{})
	let := make(chan struct{})
	kid := make(chan Ref[any], 1)
	_, err := Root[any](rt, spec("p", func(ctx actor.Context) {
		switch ctx.Message().(type) {
		case *actor.Started:
			k, err := Spawn[any](ctx, Spec{Name: "k", Restart: Temporary, New: func() actor.Actor {
				return fn(func(ctx actor.Context) {
					if ctx.Message() == "hang" {
						close(stuck)
						<-let
					}
				})
			}})
			if err != nil {
				t.Error(err)
			}
			kid <- k
		case *actor.Terminated:
			e, _ := ChildEnd(ctx)
			ended <- e
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	k := within(t, "spawn", kid)
	_ = k.Send("hang")
	within(t, "hang", stuck)
	k.Stop()
	if e := within(t, "the end", ended); !errors.Is(e.Err, ErrAbandoned) {
		t.Fatalf("ended with %v", e.Err)
	}
	tree := rt.Tree("")
	if len(tree.Abandoned) != 1 || tree.Abandoned[0].Stack == "" {
		t.Fatalf("abandoned not listed: %+v", tree.Abandoned)
	}
	close(let)
}

func TestAnAskIsAnsweredWhenItsActorFails(t *testing.T) {
	rt := run(t)
	r, _ := Root[any](rt, spec("a", func(ctx actor.Context) {
		if _, ok := ctx.Message().(Reply[int]); ok {
			panic("no")
		}
	}))
	_, err := Ask(t.Context(), r, func(rep Reply[int]) any { return rep })
	var pe *PanicError
	if !errors.As(err, &pe) {
		t.Fatalf("err = %v", err)
	}
}

func TestTimersAndTasks(t *testing.T) {
	rt := run(t)
	got := make(chan any, 4)
	_, _ = Root[any](rt, spec("a", func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *actor.Started:
			NewTimer(ctx, "tick").After(time.Millisecond)
			StartTask(ctx, "work", func(context.Context) any { return "done" }, nil)
			StartTask(ctx, "bug", func(context.Context) any { panic("bug") }, func(e *PanicError) any { return e })
		case string:
			got <- m
		case *PanicError:
			got <- "panic"
		}
	}))
	seen := map[any]bool{}
	for range 3 {
		seen[within(t, "message", got)] = true
	}
	if len(seen) != 3 {
		t.Fatal(seen)
	}
}
