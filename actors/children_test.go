package actors

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// An actor's children are kept once, by the kit; proto.actor, which stops them, learns of them when
// it has to.
func TestAnActorWaitsForItsChildrenHoweverTheyWereSpawned(t *testing.T) {
	for _, n := range []int{1, 3, 100} {
		for _, how := range []string{"stop", "restart"} {
			t.Run(fmt.Sprintf("%s with %d", how, n), func(t *testing.T) {
				rt := run(t)
				var mu sync.Mutex
				var ends []string
				note := func(name string) {
					mu.Lock()
					defer mu.Unlock()
					ends = append(ends, name)
				}
				seen := func(name string) func(actor.Context) {
					return func(ctx actor.Context) {
						if _, ok := ctx.Message().(*actor.Stopped); ok {
							note(name)
						}
					}
				}
				again := make(chan struct{}, 1)
				started := 0
				r := parent(t, rt, spec("p", nil), func(ctx actor.Context) {
					switch ctx.Message().(type) {
					case *actor.Started:
						if started++; started == 2 {
							note("p")
							again <- struct{}{}
						}
					case *actor.Stopped:
						note("p")
					}
				})
				var want []string
				in(t, r, func(ctx actor.Context) {
					for i := range n {
						name := fmt.Sprintf("k%d", i)
						want = append(want, name)
						if _, err := Spawn[any](ctx, spec(name, seen(name))); err != nil {
							t.Error(err)
						}
					}
					if got := len(ctx.Children()); got != 0 {
						t.Errorf("proto.actor has a set of %d", got)
					}
					want = append(want, "stock")
					if _, err := ctx.SpawnNamed(actor.PropsFromFunc(seen("stock")), "stock"); err != nil {
						t.Error(err)
					}
					if _, err := Spawn[any](ctx, spec("k0", seen("twin"))); err != ErrNameTaken {
						t.Errorf("a second k0: %v", err)
					}
				})
				if how == "stop" {
					r.Stop()
					within(t, "the end", r.Done())
				} else {
					_ = r.Send(do(func(actor.Context) { panic("boom") }))
					within(t, "the next incarnation", again)
				}
				mu.Lock()
				defer mu.Unlock()
				if last := ends[len(ends)-1]; last != "p" {
					t.Fatalf("%s ended after its parent", last)
				}
				got := slices.Clone(ends[:len(ends)-1])
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Fatalf("ended: %v, want %v", got, want)
				}
			})
		}
	}
}
