package actors

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestTheTreeShowsTheLivingAsTheyAre(t *testing.T) {
	rt, h := standStill(t)
	p := parent(t, rt, Spec{Name: "node", Kind: "root"}, nil)
	var k Ref[any]
	_ = p.Send(do(func(ctx actor.Context) {
		Publish(ctx, "peer", "x")
		Publish(ctx, "peer", "y")
		Publish(ctx, "gone", "z")
		Publish(ctx, "gone", "")
		Publish(ctx, "never", "")
		Publish(ctx, "addr", "a")
		k, _ = Spawn[any](ctx, Spec{Name: "k", Kind: "session", Mailbox: Mailbox{Data: 3}, New: func() actor.Actor {
			return fn(func(ctx actor.Context) {
				if ctx.Message() == "boom" {
					panic("boom")
				}
			})
		}})
		_, _ = Spawn[any](ctx, spec("l", func(actor.Context) {}))
	}))
	_ = root(t, rt, spec("other", func(actor.Context) {}))
	h.settle()
	_ = k.Send("boom")
	h.settle()
	h.pass(time.Second)
	_ = k.Control("c")
	h.pass0(3 * time.Second)
	for range 4 {
		_ = k.Send("d")
	}
	h.pass0(2 * time.Second)
	tree := rt.Tree("node")
	if len(tree.Roots) != 1 || !tree.At.Equal(h.now()) {
		t.Fatalf("%+v", tree)
	}
	n := tree.Roots[0]
	if n.Path != "node" || n.Name != "node" || n.Kind != "root" || n.Phase != "alive" || n.Age != 6*time.Second || n.Running != 0 ||
		!slices.Equal(n.Info, []KeyValue{{"peer", "y"}, {"addr", "a"}}) || len(n.Children) != 2 {
		t.Fatalf("%+v", n)
	}
	kid := n.Children[0]
	if kid.Path != "node/k" || kid.Name != "k" || kid.Kind != "session" || kid.Queued != 4 || kid.Refused != 1 ||
		kid.Oldest != 5*time.Second || kid.Restarts != 1 || kid.Failures != 1 {
		t.Fatalf("%+v", kid)
	}
	if l := kid.Last; l == nil || l.Value != "boom" || l.Path != "node/k" || l.Message != "string" || !strings.Contains(string(l.Stack), "TestTheTreeShows") || l.At.After(tree.At) {
		t.Fatalf("%+v", l)
	}
	if n.Children[1].Name != "l" {
		t.Fatal("not in the order of their spawns")
	}
	if all := rt.Tree(""); len(all.Roots) != 2 || all.Roots[1].Name != "other" {
		t.Fatalf("%+v", all.Roots)
	}
	if none := rt.Tree("nod"); len(none.Roots) != 0 || len(none.Failures) != 0 {
		t.Fatalf("%+v", none)
	}
	h.settle()
}

func TestADescriptionIsMadeForWhoLooks(t *testing.T) {
	rt, h := standStill(t)
	asked := 0
	s := spec("a", nil)
	s.Restart = Temporary
	s.New = func() actor.Actor {
		return fn(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				Publish(ctx, "later", "x")
				Describe(ctx, func() []KeyValue { asked++; return []KeyValue{{"peer", "y"}} })
			}
		})
	}
	r := root(t, rt, s)
	bad := root(t, rt, spec("bad", func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Started); ok {
			Describe(ctx, func() []KeyValue { panic("in a description") })
		}
	}))
	h.settle()
	if asked != 0 {
		t.Error("made for nobody")
	}
	want := []KeyValue{{"peer", "y"}, {"later", "x"}}
	if n := rt.Tree("a").Roots[0]; !slices.Equal(n.Info, want) || asked != 1 {
		t.Errorf("shows %v, asked %d times", n.Info, asked)
	}
	if n := rt.Tree("bad").Roots[0]; n.Info != nil || n.Phase != "alive" {
		t.Errorf("one that panics shows %+v", n)
	}
	if r.c.build != nil || bad.c.build == nil {
		t.Error("only an actor that may come back keeps what it was made from")
	}
	r.Stop()
	h.settle()
	if d := rt.Tree("a").Dead; len(d) != 1 || !slices.Equal(d[0].Info, want) || asked != 2 {
		t.Errorf("the dead show %+v, asked %d times", d, asked)
	}
}

// pass0 lets time pass while nobody gets a turn.
func (h *virtual) pass0(d time.Duration) {
	h.mu.Lock()
	h.ns += int64(d)
	h.mu.Unlock()
}

func TestTheTreeShowsHowLongATurnHasTaken(t *testing.T) {
	rt, h := standStill(t)
	r := parent(t, rt, spec("a", nil), nil)
	_ = r.Send(do(func(actor.Context) {
		h.pass0(time.Second)
		if n := rt.Tree("").Roots[0]; n.Running != time.Second {
			t.Errorf("%+v", n)
		}
	}))
	h.settle()
}

func TestTheDeadAndTheFailuresAreRememberedNewestFirst(t *testing.T) {
	rt, h := standStill(t)
	verdicts := 0
	rt.OnEvent(func(e Event) {
		if e.Kind == EventVerdict {
			verdicts++
		}
	})
	p := parent(t, rt, spec("p", nil), nil)
	const n = graves + 10
	_ = p.Send(do(func(ctx actor.Context) {
		for i := range n {
			k, err := Spawn[any](ctx, temporary(fmt.Sprint(i), func(ctx actor.Context) {
				if ctx.Message() == "boom" {
					panic(i)
				}
			}))
			if err != nil {
				t.Error(err)
			}
			_ = k.Send("boom")
			h.settle()
		}
	}))
	h.settle()
	h.settle()
	tree := rt.Tree("")
	if len(tree.Dead) != graves || len(tree.Failures) != failures || verdicts != n {
		t.Fatalf("%d dead, %d failures, %d verdicts", len(tree.Dead), len(tree.Failures), verdicts)
	}
	for i, g := range tree.Dead {
		if want := fmt.Sprint("p/", n-1-i); g.Path != want || g.Err == nil || g.Kind == "" || g.At.IsZero() {
			t.Fatalf("grave %d: %+v, want %s", i, g, want)
		}
	}
	for i, f := range tree.Failures {
		if f.Value != n-1-i {
			t.Fatalf("failure %d is %v", i, f.Value)
		}
	}
	if len(rt.Tree("p").Dead) != graves || len(rt.Tree("q").Dead) != 0 {
		t.Fatal("the filter does not hold for the dead")
	}
}

func TestASnapshotMayBeTakenAtAnyTime(t *testing.T) {
	rt := run(t)
	p := parent(t, rt, Spec{Name: "p", Children: Strategy{Intensity: 1 << 30, Backoff: 1, MaxBackoff: 1}}, nil)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				for _, r := range rt.Tree("").Roots {
					if r.Path == "" || r.Phase == "" {
						t.Errorf("%+v", r)
					}
				}
			}
		}
	})
	for i := range 200 {
		in(t, p, func(ctx actor.Context) {
			k, err := Spawn[any](ctx, temporary("", func(ctx actor.Context) {
				Publish(ctx, "i", fmt.Sprint(i))
				StartTask(ctx, "t", func(ctx context.Context) any { <-ctx.Done(); return nil }, nil)
			}))
			if err != nil {
				t.Error(err)
			}
			_ = k.Send("x")
			if i%2 == 0 {
				k.Stop()
			} else {
				rt.Kill(k.Path(), "test")
			}
		})
		r := root(t, rt, spec("r", func(actor.Context) {}))
		r.Stop()
		within(t, "end", r.Done())
	}
	close(stop)
	wg.Wait()
}

func TestEventsTellAnActorsStory(t *testing.T) {
	rt, h := standStill(t)
	var l trace
	cancel := rt.OnEvent(func(e Event) {
		l.add("%d:%s:%s:%v:%v", e.Kind, e.Path, e.Actor, e.Action, e.Err != nil)
	})
	p := parent(t, rt, Spec{Name: "p", Children: Strategy{Intensity: 1, Exceeded: StopChild}}, nil)
	_ = p.Send(do(func(ctx actor.Context) {
		_, _ = Spawn[any](ctx, Spec{Name: "k", Kind: "kind", New: func() actor.Actor { return fn(func(actor.Context) {}) }})
	}))
	h.settle()
	rt.Kill("p/k", "one")
	h.settle()
	rt.Kill("p/k", "two")
	h.settle()
	want := "1:p/k:kind:none:true 2:p/k:kind:restart:true 1:p/k:kind:none:true 2:p/k:kind:stop:true 3:p/k:kind:none:true"
	if got := l.String(); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	cancel()
	cancel()
	p.Stop()
	h.settle()
	if l.String() != want {
		t.Fatal("told after cancel")
	}
	if rt.Kill("p/k", "gone") || rt.Kill("nobody", "") || rt.Kill("p/k/l/m", "") {
		t.Fatal("killed nobody")
	}
}
