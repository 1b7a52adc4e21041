package actors

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestCloseNamesThoseThatDoNotEnd(t *testing.T) {
	rt := Live(Options{StuckAfter: time.Hour})
	let, stuck := make(chan struct{}), make(chan struct{}, 3)
	hang := do(func(actor.Context) { stuck <- struct{}{}; <-let })
	a := parent(t, rt, spec("a", nil), nil)
	k := child(t, a, Spec{Name: "k", New: func() actor.Actor {
		return fn(func(ctx actor.Context) {
			if m, ok := ctx.Message().(do); ok {
				m(ctx)
			}
		})
	}})
	_ = child(t, a, spec("fine", func(actor.Context) {}))
	b := parent(t, rt, spec("b", nil), nil) // hangs itself, and has a child that cannot end yet
	_ = child(t, b, spec("k", func(actor.Context) {}))
	_ = k.Send(hang)
	_ = b.Send(hang)
	rt.Pump("reader", func() { stuck <- struct{}{}; <-let }, nil)
	for range 3 {
		within(t, "hang", stuck)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if got, want := fmt.Sprint(rt.Close(ctx)), "[a/k b reader]"; got != want {
		t.Fatalf("stragglers %s, want %s", got, want)
	}
	if _, err := Root[any](rt, spec("late", func(actor.Context) {})); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	close(let)
	closeClean(t, rt) // a second time, and now they are gone
}

func TestCloseRootEndsOneNodeOfSeveral(t *testing.T) {
	rt := run(t)
	one, two := parent(t, rt, spec("one", nil), nil), parent(t, rt, spec("two", nil), nil)
	_ = child(t, one, spec("k", func(actor.Context) {}))
	let, running := make(chan struct{}), make(chan struct{})
	in(t, one, func(ctx actor.Context) {
		StartTask(ctx, "deaf", func(context.Context) any { close(running); <-let; return nil }, nil)
	})
	within(t, "start", running)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if got := fmt.Sprint(rt.CloseRoot(ctx, "one")); got != "[one/deaf]" {
		t.Fatal(got)
	}
	close(let)
	if got := rt.CloseRoot(t.Context(), "one"); len(got) > 0 {
		t.Fatal(got)
	}
	if !one.Ended() || two.Ended() {
		t.Fatal("the wrong one")
	}
	if got := rt.CloseRoot(t.Context(), "nobody"); len(got) > 0 {
		t.Fatal(got)
	}
}

func TestRootsHaveNamesOfTheirOwn(t *testing.T) {
	rt := run(t)
	r := root(t, rt, spec("a", func(actor.Context) {}))
	if _, err := Root[any](rt, spec("a", func(actor.Context) {})); !errors.Is(err, ErrNameTaken) {
		t.Fatal(err)
	}
	if _, err := Root[any](rt, Spec{Name: "b"}); err == nil {
		t.Fatal("a Spec without New was spawned")
	}
	if n := len(rt.Tree("").Roots); n != 1 {
		t.Fatalf("%d roots", n)
	}
	r.Stop()
	within(t, "end", r.Done())
	again := root(t, rt, spec("a", func(actor.Context) {}))
	if again.Same(r) || !again.Same(Cast[any](again)) || again.IsZero() || again.PID() == r.PID() {
		t.Fatal("the dead and the living are taken for one")
	}
	if k := root(t, rt, Spec{New: func() actor.Actor { return fn(func(actor.Context) {}) }}); !strings.HasPrefix(k.Path(), "actor-") {
		t.Fatal(k.Path())
	}
}

func TestTheClockAndTheDiceAreTheRuntimes(t *testing.T) {
	rt := run(t)
	b := make([]byte, 8)
	if n, err := rt.Rand().Read(b); n != 8 || err != nil {
		t.Fatal(n, err)
	}
	if f := rt.Float(); f < 0 || f >= 1 {
		t.Fatal(f)
	}
	if d := time.Since(rt.Now()); d < 0 || d > time.Minute {
		t.Fatal(d)
	}
	if rt.System() == nil {
		t.Fatal("no system")
	}
}

// A thousand actors that are born, work, fail and end leave no goroutine, no registry entry and
// nothing in any list of the runtime.
func TestChurnLeavesNothing(t *testing.T) {
	rt := Live(Options{StuckAfter: 10 * patience})
	before := runtime.NumGoroutine()
	p := parent(t, rt, spec("p", nil), nil)
	var all sync.WaitGroup
	for round := range 10 {
		all.Add(100)
		in(t, p, func(ctx actor.Context) {
			for i := range 100 {
				s := temporary("", nil)
				s.New = func() actor.Actor {
					return fn(func(ctx actor.Context) {
						switch m := ctx.Message().(type) {
						case *actor.Started:
							NewTimer(ctx, "x").After(time.Hour)
							StartTask(ctx, "t", func(ctx context.Context) any { <-ctx.Done(); return nil }, nil)
							_, _ = Spawn[any](ctx, temporary("g", func(actor.Context) {}))
							_ = ctx.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
						case *actor.Stopped:
							all.Done()
						case int:
							if m%2 == 0 {
								panic(m)
							}
							Self[any](ctx).Stop()
						}
					})
				}
				k, err := Spawn[any](ctx, s)
				if err != nil {
					t.Error(err)
				}
				_ = k.Send(i + round)
				OnEnd(k, func(error) {})
				k.Done()
			}
		})
		done := make(chan struct{})
		go func() { all.Wait(); close(done) }()
		within(t, "all have ended", done)
	}
	if !eventually(func() bool { return len(p.c.childrenInOrder()) == 0 && len(rt.Tree("").Strays) == 0 }) {
		t.Fatal("the parent keeps children")
	}
	p.c.mu.Lock()
	if p.c.x.kids.many != nil {
		t.Error("the map of a crowd is kept")
	}
	p.c.mu.Unlock()
	n := 0
	for i := range rt.sys.ProcessRegistry.LocalPIDs.LocalPIDs {
		rt.sys.ProcessRegistry.LocalPIDs.LocalPIDs[i].IterCb(func(id string, _ any) { n++ })
	}
	if n > 3 { // the dead letter's, the event stream's, and p
		t.Errorf("%d names in the registry", n)
	}
	if watched(rt) > 0 {
		t.Error("the reaper keeps the dead")
	}
	closeClean(t, rt)
	if !eventually(func() bool { return runtime.NumGoroutine() <= before }) {
		t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, strings.Join(leftGoroutines(), "\n\n"))
	}
}

func TestIdleActorsHaveNoGoroutine(t *testing.T) {
	rt := Live(Options{Workers: 4})
	defer closeClean(t, rt)
	before := runtime.NumGoroutine()
	var up sync.WaitGroup
	up.Add(1000)
	for range 1000 {
		root(t, rt, spec("", func(actor.Context) { up.Done() }).once())
	}
	up.Wait()
	if !eventually(func() bool { return runtime.NumGoroutine() <= before+4 }) {
		t.Fatalf("%d goroutines more", runtime.NumGoroutine()-before)
	}
}

// once makes the function see Started only.
func (s Spec) once() Spec {
	build := s.New
	s.New = func() actor.Actor {
		a := build()
		return fn(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				a.Receive(ctx)
			}
		})
	}
	return s
}

func TestTheDeadAreFreedThoughTheirRefsAreKept(t *testing.T) {
	rt := run(t)
	freed := make(chan struct{})
	func() {
		big := new([1 << 20]byte)
		runtime.AddCleanup(big, func(struct{}) { close(freed) }, struct{}{})
		r := parent(t, rt, spec("keeper", nil), nil)
		k := child(t, r, Spec{Name: "k", Restart: Temporary, New: func() actor.Actor {
			return fn(func(actor.Context) { big[0]++ })
		}})
		k.Stop()
		within(t, "end", k.Done())
		t.Cleanup(func() { _ = k.Send("to the dead") }) // keeps the Ref
	}()
	if !eventually(func() bool {
		runtime.GC()
		select {
		case <-freed:
			return true
		default:
			return false
		}
	}) {
		t.Fatal("a Ref keeps the state of a dead actor")
	}
}
