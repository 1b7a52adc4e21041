package actors

import (
	"context"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// A root that is killed and closed at once: its Stop meets a restart in every state.
func TestAStopThatMeetsARestartOfAnOrderedSupervisorIsNotLost(t *testing.T) {
	leaf := func(name string) Spec {
		return Spec{Name: name, New: func() actor.Actor { return fn(func(actor.Context) {}) }}
	}
	for i := range 200 {
		rt := Live(Options{})
		_, err := Root[any](rt, Supervisor("root", Strategy{}, func() []Spec {
			return []Spec{
				Supervisor("a", Strategy{}, func() []Spec { return []Spec{leaf("x"), leaf("y")} }),
				Supervisor("b", Strategy{Scope: RestForOne}, func() []Spec { return []Spec{leaf("x"), leaf("y")} }),
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		rt.Kill("root", "test")
		for range i {
			_ = rt.Now() // the stop comes a little later each time
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if s := rt.Close(ctx); len(s) > 0 {
			t.Fatalf("round %d: %v did not end: %+v", i, s, rt.Tree("").Roots)
		}
		cancel()
	}
}
