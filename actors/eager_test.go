package actors

import (
	"errors"
	"runtime"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// TestAnEagerActorHasStartedWhenSpawnReturns, and a panic in its first turn is its own failure.
func TestAnEagerActorHasStartedWhenSpawnReturns(t *testing.T) {
	for name, how := range map[string]func(){
		"returns": nil,
		"panics":  func() { panic("in the first turn") },
	} {
		rt := run(t)
		ends, started := make(chan End, 1), make(chan bool, 1)
		root(t, rt, spec("parent", func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Started:
				told := false
				s := temporary("child", func(ctx actor.Context) {
					if _, ok := ctx.Message().(*actor.Started); ok {
						told = true
						if how != nil {
							how()
						}
						ctx.Stop(ctx.Self())
					}
				})
				s.Eager = true
				if _, err := Spawn[any](ctx, s); err != nil {
					t.Error(err)
				}
				started <- told
			case *actor.Terminated:
				if e, ok := ChildEnd(ctx); ok {
					ends <- e
				}
			}
		}))
		if !within(t, "the spawn", started) {
			t.Error("Spawn returned before the child was told Started")
		}
		var pe *PanicError
		if e := within(t, "the end of the child", ends); errors.As(e.Err, &pe) != (how != nil) {
			t.Errorf("%s: the child ended with %v", name, e.Err)
		}
	}
}

// TestAnEagerActorThatExitsTakesNobodyHostage: runtime.Goexit in the first turn ends the turn of whoever
// spawns as well, who fails as after a panic and can be waited for.
func TestAnEagerActorThatExitsTakesNobodyHostage(t *testing.T) {
	rt := run(t)
	ends := make(chan End, 1)
	top := parent(t, rt, spec("top", func(actor.Context) {}), func(ctx actor.Context) {
		if e, ok := ChildEnd(ctx); ok {
			ends <- e
		}
	})
	child(t, top, temporary("middle", func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Started); !ok {
			return
		}
		s := temporary("leaf", func(actor.Context) { runtime.Goexit() })
		s.Eager = true
		_, _ = Spawn[any](ctx, s)
	}))
	if e := within(t, "the end of who has spawned it", ends); !errors.Is(e.Err, errGoexit) {
		t.Errorf("it ended with %v", e.Err)
	}
}
