package actors

import (
	"errors"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// TestAnEagerActorHasStartedWhenSpawnReturns, and a panic in its first turn is its own failure.
func TestAnEagerActorHasStartedWhenSpawnReturns(t *testing.T) {
	for _, fails := range []bool{false, true} {
		rt := run(t)
		ends, started := make(chan End, 1), make(chan bool, 1)
		root(t, rt, spec("parent", func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Started:
				told := false
				s := temporary("child", func(ctx actor.Context) {
					if _, ok := ctx.Message().(*actor.Started); ok {
						told = true
						if fails {
							panic("in the first turn")
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
		if e := within(t, "the end of the child", ends); errors.As(e.Err, &pe) != fails {
			t.Errorf("fails %v: the child ended with %v", fails, e.Err)
		}
	}
}
