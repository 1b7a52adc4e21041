package actors

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// clockwork is an actor with a timer that notes when it fired.
func clockwork(t *testing.T) (h *virtual, rt *Runtime, r Ref[any], tm *Timer, fired *[]time.Duration) {
	rt, h = standStill(t)
	fired = new([]time.Duration)
	start := h.ns
	r = parent(t, rt, spec("a", nil), func(ctx actor.Context) {
		if ctx.Message() == "tick" {
			*fired = append(*fired, time.Duration(h.ns-start))
		}
	})
	_ = r.Send(do(func(ctx actor.Context) { tm = NewTimer(ctx, "tick") }))
	h.settle()
	return h, rt, r, tm, fired
}

func TestATimerFiresOnceAtTheLastTimeThatWasSet(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		set  func(*Timer, *virtual)
		want string
	}{
		"after":              {func(tm *Timer, _ *virtual) { tm.After(s) }, "[1s]"},
		"at":                 {func(tm *Timer, h *virtual) { tm.Set(h.now().Add(2 * s)) }, "[2s]"},
		"in the past":        {func(tm *Timer, h *virtual) { tm.Set(h.now().Add(-s)) }, "[0s]"},
		"the zero time":      {func(tm *Timer, h *virtual) { tm.After(s); tm.Set(time.Time{}) }, "[]"},
		"later":              {func(tm *Timer, _ *virtual) { tm.After(s); tm.After(3 * s) }, "[3s]"},
		"earlier":            {func(tm *Timer, _ *virtual) { tm.After(3 * s); tm.After(s) }, "[1s]"},
		"to and fro":         {func(tm *Timer, _ *virtual) { tm.After(3 * s); tm.After(s); tm.After(2 * s) }, "[2s]"},
		"stopped":            {func(tm *Timer, _ *virtual) { tm.After(s); tm.Stop() }, "[]"},
		"stopped and set":    {func(tm *Timer, _ *virtual) { tm.After(s); tm.Stop(); tm.After(2 * s) }, "[2s]"},
		"as late as it gets": {func(tm *Timer, _ *virtual) { tm.After(math.MaxInt64) }, "[]"},
		"as early":           {func(tm *Timer, _ *virtual) { tm.After(math.MinInt64) }, "[0s]"},
	} {
		t.Run(name, func(t *testing.T) {
			h, _, r, tm, fired := clockwork(t)
			_ = r.Send(do(func(actor.Context) { c.set(tm, h) }))
			h.pass(time.Minute)
			if got := fmt.Sprint(*fired); got != c.want {
				t.Fatalf("fired at %s, want %s", got, c.want)
			}
			if set := c.want == "[]" && name == "as late as it gets"; tm.IsSet() != set {
				t.Fatal("IsSet:", tm.IsSet())
			}
		})
	}
}

func TestMovingATimerLaterCostsNoTimer(t *testing.T) {
	h, _, r, tm, fired := clockwork(t)
	_ = r.Send(do(func(actor.Context) {
		for i := range 10_000 {
			tm.After(time.Second + time.Duration(i)*time.Millisecond)
			if i%3 == 1 {
				tm.Stop()
			}
		}
	}))
	h.settle()
	if h.armed() != 1 || len(h.timers) != 1 {
		t.Fatalf("%d timers were armed", len(h.timers))
	}
	h.pass(time.Minute)
	if fmt.Sprint(*fired) != fmt.Sprint([]time.Duration{10_999 * time.Millisecond}) {
		t.Fatal(*fired)
	}
}

func TestATimerThatIsQueuedTwiceFiresOnce(t *testing.T) {
	h, _, r, tm, fired := clockwork(t)
	_ = r.Send(do(func(actor.Context) {
		tm.After(0)
		h.mu.Lock()
		ring := h.timers[0]
		h.mu.Unlock()
		ring.f() // it has gone off: a message waits
		tm.After(-1)
		h.mu.Lock()
		ring = h.timers[1]
		h.mu.Unlock()
		ring.f()
	}))
	h.settle()
	if len(*fired) != 1 {
		t.Fatalf("fired %d times", len(*fired))
	}
	// And what waits twice may still be moved.
	_ = r.Send(do(func(actor.Context) { tm.After(time.Second) }))
	h.pass(time.Minute)
	if len(*fired) != 2 {
		t.Fatalf("fired %d times", len(*fired))
	}
}

func TestATimerEndsWithItsIncarnation(t *testing.T) {
	for name, end := range map[string]func(rt *Runtime, r Ref[any]){
		"failure": func(rt *Runtime, _ Ref[any]) { rt.Kill("a", "test") },
		"stop":    func(_ *Runtime, r Ref[any]) { r.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			h, rt, r, tm, fired := clockwork(t)
			_ = r.Send(do(func(ctx actor.Context) {
				tm.After(time.Hour)
				NewTimer(ctx, "tick").After(time.Hour)
				NewTimer(ctx, "tick") // never set: nothing to give back
			}))
			h.settle()
			if h.armed() != 2 {
				t.Fatal(h.armed())
			}
			end(rt, r)
			h.pass(time.Second)
			if n := h.armed(); n != 0 {
				t.Fatalf("%d timers hold on to the dead", n)
			}
			tm.After(time.Second) // a bug of the user's, without consequence
			h.pass(2 * time.Hour)
			if len(*fired) != 0 {
				t.Fatal(*fired)
			}
		})
	}
}

func TestTimersThatAreDroppedAreNotKept(t *testing.T) {
	h, _, r, _, fired := clockwork(t)
	_ = r.Send(do(func(ctx actor.Context) {
		for range 100 {
			NewTimer(ctx, "tick").After(time.Second)
			NewTimer(ctx, "never")
		}
	}))
	h.pass(time.Minute)
	if len(*fired) != 100 || r.c.x.timers != nil {
		t.Fatalf("%d fired", len(*fired))
	}
}

func TestATimerAgainstAModel(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		h, _, r, tm, fired := clockwork(t)
		var want []time.Duration
		at, now := time.Duration(-1), time.Duration(0)
		step := func(d time.Duration) {
			h.pass(d)
			if now += d; at >= 0 && at <= now {
				want = append(want, at)
				at = -1
			}
		}
		for range 250 {
			switch rnd.IntN(4) {
			case 0, 1:
				d := time.Duration(rnd.IntN(100))
				_ = r.Send(do(func(actor.Context) { tm.After(d) }))
				at = now + d
				step(0)
			case 2:
				_ = r.Send(do(func(actor.Context) { tm.Stop() }))
				h.settle()
				at = -1
			case 3:
				step(time.Duration(rnd.IntN(80)))
			}
		}
		if fmt.Sprint(*fired) != fmt.Sprint(want) {
			t.Fatalf("seed %d: fired at %v, want %v", seed, *fired, want)
		}
	}
}
