package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// simCount is an actor that counts, asks itself for more by a timer, and answers.
type simCount struct {
	n    int
	tick *Timer
}

type (
	simAsk  struct{ Reply Reply[int] }
	simTick struct{}
	simAdd  struct{ by int }
)

func (a *simCount) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		a.tick = NewTimer(ctx, simTick{})
		a.tick.After(time.Second)
	case simTick:
		a.n++
		a.tick.After(time.Second)
	case *simAdd:
		a.n += m.by
	case *simAsk:
		m.Reply.Answer(a.n)
	}
}

func simRoot(t *testing.T, s *Simulation, name string, a actor.Actor) Ref[any] {
	t.Helper()
	r, err := Root[any](s.Runtime(), Spec{Name: name, New: func() actor.Actor { return a }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func simClose(t *testing.T, s *Simulation) {
	t.Helper()
	if left := s.Runtime().Close(t.Context()); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestSimulationJumpsToTheNextTimer(t *testing.T) {
	s := Simulated(1, SimOptions{})
	r := simRoot(t, s, "count", &simCount{})
	began := time.Now()
	s.Run(24 * time.Hour)
	if s.Elapsed() != 24*time.Hour {
		t.Errorf("%v have passed", s.Elapsed())
	}
	n, err := Ask(t.Context(), r, func(r Reply[int]) any { return &simAsk{r} })
	if err != nil || n != 24*3600 {
		t.Errorf("%d ticks in a day: %v", n, err)
	}
	t.Logf("a day of ticks took %v", time.Since(began))
	simClose(t, s)
}

// order is the order in which ten actors got their one message each.
func simOrder(t *testing.T, seed uint64) (order string, hash uint64) {
	s := Simulated(seed, SimOptions{})
	for i := range 10 {
		simRoot(t, s, fmt.Sprint(i), actorFunc(func(ctx actor.Context) {
			if m, ok := ctx.Message().(string); ok {
				order += m
			}
		}))
	}
	for _, r := range slices.Clone(s.rt.roots) {
		_ = Ref[any]{c: r}.Send(r.name)
	}
	s.Run(time.Second)
	simClose(t, s)
	return order, s.TraceHash()
}

type actorFunc func(actor.Context)

func (f actorFunc) Receive(ctx actor.Context) { f(ctx) }

func TestSimulationDrawsTheOrderFromTheSeed(t *testing.T) {
	orders := map[string]bool{}
	for seed := range uint64(50) {
		a, ha := simOrder(t, seed)
		b, hb := simOrder(t, seed)
		if a != b || ha != hb {
			t.Fatalf("seed %d: %s and %s", seed, a, b)
		}
		orders[a] = true
	}
	if len(orders) < 45 {
		t.Errorf("50 seeds give %d orders", len(orders))
	}
}

// What decides an order without being asked for by the runtime shows as different hashes.
func TestSimulationDetectsWhatTheSeedDoesNotDecide(t *testing.T) {
	planted := map[string]func(send func(string)){
		"map iteration": func(send func(string)) {
			m := map[string]int{}
			for i := range 20 {
				m[fmt.Sprint(i)] = i
			}
			for k := range m {
				send(k)
			}
		},
		"time.Now": func(send func(string)) {
			for i := range 20 {
				if time.Now().Nanosecond()/100%2 == 0 {
					send(fmt.Sprint(i))
				}
			}
		},
	}
	for name, bug := range planted {
		t.Run(name, func(t *testing.T) {
			run := func() uint64 {
				s := Simulated(7, SimOptions{})
				refs := map[string]Ref[any]{}
				for i := range 20 {
					name := fmt.Sprint(i)
					refs[name] = simRoot(t, s, name, actorFunc(func(actor.Context) {}))
				}
				simRoot(t, s, "bug", actorFunc(func(ctx actor.Context) {
					if _, ok := ctx.Message().(*actor.Started); ok {
						bug(func(to string) { _ = refs[to].Send(to) })
					}
				}))
				s.Run(time.Second)
				simClose(t, s)
				return s.TraceHash()
			}
			first := run()
			for range 20 {
				if run() != first {
					return
				}
			}
			t.Error("twenty runs gave one hash")
		})
	}
}

func TestSimulatedTasksTakeTurnsAndWait(t *testing.T) {
	run := func() string {
		s := Simulated(3, SimOptions{})
		pipe := s.rt.NewPipe(func(n int) Chunk { return make(testChunk, 0, n).ptr() }, 1, nil)
		var log []string
		s.Go("reader", func() {
			var b [4]byte
			for {
				n, err := pipe.Read(b[:])
				if err != nil {
					log = append(log, err.Error())
					return
				}
				log = append(log, fmt.Sprintf("%v %s", s.Elapsed(), b[:n]))
			}
		})
		for i := range 3 {
			s.Go("writer", func() {
				s.Sleep(time.Duration(i) * time.Second)
				pipe.Put([]byte(fmt.Sprint(i)))
			})
		}
		s.Run(time.Minute)
		pipe.End(errors.New("over"))
		s.Run(0)
		simClose(t, s)
		return strings.Join(log, ",")
	}
	if got, want := run(), "0s 0,1s 1,2s 2,over"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

type testChunk []byte

func (c testChunk) ptr() *chunkPtr { return &chunkPtr{b: c} }
func (c *chunkPtr) Bytes() []byte  { return c.b }
func (c *chunkPtr) Release()       {}
func (c *chunkPtr) Append(p []byte) int {
	n := min(len(p), cap(c.b)-len(c.b))
	c.b = append(c.b, p[:n]...)
	return n
}

type chunkPtr struct{ b []byte }

func TestSimulatedDeadlinesAreOfVirtualTime(t *testing.T) {
	s := Simulated(1, SimOptions{})
	r := simRoot(t, s, "mute", actorFunc(func(actor.Context) {}))
	ctx, cancel := s.rt.WithTimeout(t.Context(), time.Hour/2)
	defer cancel()
	_, err := Ask(ctx, r, func(r Reply[int]) any { return &simAsk{r} })
	if !errors.Is(err, context.DeadlineExceeded) || s.Elapsed() != time.Hour/2 {
		t.Errorf("after %v: %v", s.Elapsed(), err)
	}
	simClose(t, s)
}

func TestSimulationThatCannotGoOnSaysWhy(t *testing.T) {
	for name, row := range map[string]struct {
		do   func(t *testing.T, s *Simulation)
		want string
	}{
		"nothing comes": {func(t *testing.T, s *Simulation) {
			r := simRoot(t, s, "mute", actorFunc(func(actor.Context) {}))
			_, _ = Ask(t.Context(), r, func(r Reply[int]) any { return &simAsk{r} })
		}, "has not come within"},
		"a loop": {func(t *testing.T, s *Simulation) {
			var self Ref[any]
			self = simRoot(t, s, "round", actorFunc(func(actor.Context) { _ = self.Send("again") }))
			s.Run(time.Second)
		}, "loop"},
	} {
		t.Run(name, func(t *testing.T) {
			var got *StallError
			s := Simulated(1, SimOptions{MaxSteps: 10000, OnStall: func(e *StallError) { got = e; panic(e) }})
			func() {
				defer func() { _ = recover() }()
				row.do(t, s)
			}()
			if got == nil || !strings.Contains(got.Error(), row.want) {
				t.Errorf("got %v, want %q", got, row.want)
			}
			s.close()
		})
	}
}

// An actor that makes a call that waits would stop the world: it fails instead, and says so.
func TestSimulatedActorMustNotWait(t *testing.T) {
	s := Simulated(1, SimOptions{})
	count := simRoot(t, s, "count", &simCount{})
	simRoot(t, s, "waits", actorFunc(func(ctx actor.Context) {
		if ctx.Message() == "go" {
			_, _ = Ask(context.Background(), count, func(r Reply[int]) any { return &simAsk{r} })
		}
	}))
	_ = Ref[any]{c: s.rt.roots[1]}.Send("go")
	s.Run(time.Minute)
	f := s.rt.Tree("").Failures
	if len(f) != 1 || !strings.Contains(f[0].Error(), "nothing else can happen meanwhile") {
		t.Errorf("failures: %v", f)
	}
	simClose(t, s)
}

func TestSimulationEndsItsWaitingTasks(t *testing.T) {
	s := Simulated(1, SimOptions{})
	deferred := 0
	for range 3 {
		s.Go("for ever", func() {
			defer func() { deferred++ }()
			s.newWaiter().wait(-1)
		})
	}
	s.Run(time.Second)
	ctx, cancel := s.rt.WithTimeout(t.Context(), time.Second)
	defer cancel()
	s.rt.Close(ctx)
	if deferred != 3 {
		t.Errorf("%d of 3 have ended", deferred)
	}
}

func TestSimulatedFeedWaits(t *testing.T) {
	s := Simulated(1, SimOptions{})
	hub := Hub[int]{Runtime: s.rt}
	f := hub.Subscribe(t.Context(), 4)
	s.At(s.Now().Add(time.Minute), func() { hub.Emit(7) })
	if v, _, err := f.Next(t.Context()); v != 7 || err != nil || s.Elapsed() != time.Minute {
		t.Errorf("%d, %v after %v", v, err, s.Elapsed())
	}
	ctx, cancel := s.rt.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	g := hub.Subscribe(ctx, 4)
	if _, _, err := g.Next(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	simClose(t, s)
}

func TestSimulatedActorIsRefusedWhatRunsInRealTime(t *testing.T) {
	for name, do := range map[string]func(actor.Context){
		"RequestFuture":     func(ctx actor.Context) { ctx.RequestFuture(ctx.Self(), "x", time.Second) },
		"SetReceiveTimeout": func(ctx actor.Context) { ctx.SetReceiveTimeout(time.Second) },
		"ReenterAfter":      func(ctx actor.Context) { ctx.ReenterAfter(nil, nil) },
	} {
		s := Simulated(1, SimOptions{})
		r := simRoot(t, s, "old", actorFunc(func(ctx actor.Context) {
			if ctx.Message() == "go" {
				do(ctx)
			}
		}))
		_ = r.Send("go")
		s.Run(time.Second)
		if f := s.rt.Tree("").Failures; len(f) != 1 || !strings.Contains(f[0].Error(), name) {
			t.Errorf("%s: %v", name, f)
		}
		simClose(t, s)
	}
}
