package actors

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

type keyed struct {
	parcel
	key, v int
	bad    bool
}

func (k *keyed) CoalesceKey() any {
	if k.bad {
		return []int{1} // not comparable
	}
	return k.key
}

func TestOverflow(t *testing.T) {
	fill := func(t *testing.T, full Full) (*virtual, Ref[any], *[]any) {
		rt, h := standStill(t)
		var got []any
		s := spec("a", func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *keyed:
				m.receive(ctx)
				got = append(got, m.v)
			case *parcel:
				m.receive(ctx)
			}
		})
		s.Mailbox = Mailbox{Data: 3, Full: full}
		r := root(t, rt, s)
		h.settle()
		for i := range 3 {
			if err := r.Send(&keyed{key: i, v: i}); err != nil {
				t.Fatal(err)
			}
		}
		return h, r, &got
	}
	t.Run("refuse", func(t *testing.T) {
		h, r, got := fill(t, Refuse)
		p := &parcel{}
		if err := r.Send(p); !errors.Is(err, ErrMailboxFull) || p.fate() != nil {
			t.Fatal(err, p.fate())
		}
		if _, err := Ask(t.Context(), r, func(rep Reply[int]) any { return rep }); !errors.Is(err, ErrMailboxFull) {
			t.Fatal(err)
		}
		h.settle()
		if fmt.Sprint(*got) != "[0 1 2]" {
			t.Fatal(*got)
		}
	})
	t.Run("drop", func(t *testing.T) {
		_, r, _ := fill(t, Drop)
		p := &parcel{}
		if err := r.Send(p); err != nil || p.fate() != nil || !errors.Is(p.discarded[0], ErrMailboxFull) {
			t.Fatal(err, p.fate())
		}
	})
	t.Run("coalesce", func(t *testing.T) {
		h, r, got := fill(t, Coalesce)
		twin, stranger, plain := &keyed{key: 1, v: 11}, &keyed{key: 7, v: 7}, &parcel{}
		if err := r.Send(twin); err != nil {
			t.Fatal(err)
		}
		again := &keyed{key: 1, v: 12}
		if err := r.Send(again); err != nil || twin.fate() != nil || len(twin.discarded) != 1 {
			t.Fatal(err, twin.fate())
		}
		for _, m := range []any{stranger, plain} {
			if err := r.Send(m); !errors.Is(err, ErrMailboxFull) {
				t.Fatal(err)
			}
		}
		if r.c.data.n != 3 {
			t.Fatalf("%d messages where 3 fit", r.c.data.n)
		}
		h.settle()
		if fmt.Sprint(*got) != "[0 12 2]" || again.fate() != nil || stranger.fate() != nil || plain.fate() != nil {
			t.Fatal(*got, again.fate())
		}
	})
	t.Run("coalesce with a key that cannot be compared is the sender's failure, not a deadlock", func(t *testing.T) {
		rt, _ := standStill(t)
		s := spec("a", func(actor.Context) {})
		s.Mailbox = Mailbox{Data: 1, Full: Coalesce}
		r := root(t, rt, s)
		_ = r.Send(&keyed{bad: true})
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_ = r.Send(&keyed{bad: true})
		}()
		if !r.c.mu.TryLock() {
			t.Fatal("the mailbox is locked for ever")
		}
		r.c.mu.Unlock()
	})
	t.Run("stop", func(t *testing.T) {
		h, r, got := fill(t, StopActor)
		p := &parcel{}
		for range 1000 {
			_ = r.Send(&parcel{})
		}
		if err := r.Send(p); !errors.Is(err, ErrMailboxFull) || p.fate() != nil {
			t.Fatal(err)
		}
		if r.c.sys.len() != 1 {
			t.Fatalf("%d stops wait for an actor that is flooded", r.c.sys.len())
		}
		h.settle()
		if !r.Ended() || len(*got) != 0 {
			t.Fatal(*got)
		}
	})
	t.Run("poison is never refused", func(t *testing.T) {
		h, r, got := fill(t, Refuse)
		r.c.rt.sys.Root.Poison(r.PID())
		h.settle()
		if !r.Ended() || fmt.Sprint(*got) != "[0 1 2]" {
			t.Fatal(*got)
		}
	})
	t.Run("control", func(t *testing.T) {
		rt, h := standStill(t)
		s := spec("a", func(actor.Context) {})
		s.Mailbox.Control = 2
		r := root(t, rt, s)
		h.settle()
		ps := []*parcel{{}, {}, {}, {}}
		for i, p := range ps {
			if err := r.Control(p); (err != nil) != (i >= 2) {
				t.Fatal(i, err)
			}
		}
		h.settle()
		if !r.Ended() { // broken or under attack
			t.Fatal("it lives")
		}
		for _, p := range ps {
			if err := p.fate(); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("caps are cut to what a ring can hold", func(t *testing.T) {
		m := Mailbox{Data: 1 << 40, Control: 1 << 40}
		if m.data() != maxLane || m.control() != maxLane || (Mailbox{Data: -1}).data() != defaultData || (Mailbox{}).control() != defaultControl {
			t.Fatal(m.data(), m.control())
		}
	})
}

func TestControlOvertakesDataAndSystemOvertakesBoth(t *testing.T) {
	rt, h := standStill(t)
	var l trace
	r := parent(t, rt, spec("a", nil), func(ctx actor.Context) { l.life("a", ctx) })
	_ = r.Send("d1")
	_ = r.Send("d2")
	_ = r.Control("c1")
	_ = r.Control("c2")
	h.settle()
	if got, want := l.String(), "a:Started a:c1 a:c2 a:d1 a:d2"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func TestStopAfterLetsControlThroughAndNotData(t *testing.T) {
	rt, h := standStill(t)
	var l trace
	p := parent(t, rt, spec("p", nil), nil)
	var k Ref[any]
	_ = p.Send(do(func(ctx actor.Context) {
		k, _ = Spawn[any](ctx, spec("k", func(ctx actor.Context) { l.life("k", ctx) })) // permanent
	}))
	h.settle()
	_ = k.Send("data")
	_ = k.Control("control")
	k.StopAfter()
	_ = k.Control("late")
	h.settle()
	if got, want := l.String(), "k:Started k:control k:Stopping k:Stopped"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

// void is an envelope with nothing in it when it is opened.
type void struct{}

func (void) open(*cell) (any, bool) { return nil, false }

func TestMoreIsSaidOnlyOfAMessageThatFollows(t *testing.T) {
	rt, h := standStill(t)
	var got []bool
	r := root(t, rt, Spec{Name: "a", Inline: true, New: func() actor.Actor {
		return fn(func(ctx actor.Context) {
			if _, ok := ctx.Message().(int); ok {
				got = append(got, More(ctx))
			}
		})
	}})
	h.settle()
	_ = r.Send(1)
	_ = r.Control(2)
	_ = r.Control(3)
	h.settle()
	_ = r.Offer(4)
	_ = r.Send(5)
	_ = r.c.postData(void{})
	_ = r.Send(6)
	h.settle()
	if want := "[true true false false false false]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestOfferRunsTheTurnOfAnIdleActorHereAndKeepsTheOrder(t *testing.T) {
	rt, h := standStill(t)
	var got []int
	s := Spec{Name: "a", Inline: true, New: func() actor.Actor {
		return fn(func(ctx actor.Context) {
			if m, ok := ctx.Message().(int); ok {
				got = append(got, m)
				if m == 4 {
					_ = Self[any](ctx).Offer(5) // it is in a turn: this waits
					got = append(got, -4)
				}
			}
		})
	}}
	r := root(t, rt, s)
	_ = r.Offer(0) // before its first turn
	if len(got) != 0 {
		t.Fatal("ran before Started")
	}
	h.settle()
	_ = r.Offer(1)
	if fmt.Sprint(got) != "[0 1]" {
		t.Fatal(got)
	}
	_ = r.Send(2)
	_ = r.Offer(3) // behind the one that waits
	if fmt.Sprint(got) != "[0 1]" {
		t.Fatal(got)
	}
	h.settle()
	_ = r.Offer(4)
	h.settle()
	if fmt.Sprint(got) != "[0 1 2 3 4 -4 5]" {
		t.Fatal(got)
	}
	rt.inline = false
	_ = r.Offer(6)
	if len(got) != 7 {
		t.Fatal("ran inline in a runtime that does not")
	}
	h.settle()
	r.Stop()
	p := &parcel{}
	if err := r.Offer(p); err != nil || p.fate() == nil {
		t.Fatal("a message may still wait behind a stop", err)
	}
	h.settle()
	if err := r.Offer(&parcel{}); !errors.Is(err, ErrStopped) || p.fate() != nil {
		t.Fatal(err, p.fate())
	}
}

func TestOneSendersMessagesArriveInOrderWhicheverWayTheyCome(t *testing.T) {
	rt := run(t)
	const senders, each = 4, 2000
	var last [senders]int
	var n atomic.Int64
	done := make(chan struct{})
	r := root(t, rt, Spec{Name: "a", Inline: true, Mailbox: Mailbox{Data: 1 << 20}, New: func() actor.Actor {
		return fn(func(ctx actor.Context) {
			if m, ok := ctx.Message().([2]int); ok {
				if last[m[0]]++; last[m[0]] != m[1] {
					t.Errorf("sender %d: got %d after %d", m[0], m[1], last[m[0]]-1)
				}
				if n.Add(1) == senders*each {
					close(done)
				}
			}
		})
	}})
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(s)))
			for i := 1; i <= each; i++ {
				send := r.Send
				if rnd.IntN(2) == 0 {
					send = r.Offer
				}
				if err := send([2]int{s, i}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	within(t, "all of them", done)
}

func TestAPanicOfAMessagesOwnCodeIsContained(t *testing.T) {
	rt := run(t)
	r := parent(t, rt, spec("a", nil), nil)
	busy, let := make(chan struct{}), make(chan struct{})
	_ = r.Send(do(func(actor.Context) { close(busy); <-let }))
	within(t, "busy", busy)
	_ = r.Send(badDiscard{})
	after := &parcel{}
	_ = r.Send(after)
	OnEnd(r, func(error) { panic("in OnEnd") })
	rt.OnEvent(func(Event) { panic("in a listener") })
	r.Stop()
	close(let)
	within(t, "the stop goes on", r.Done())
	if err := after.fate(); err != nil {
		t.Fatal(err)
	}
	if n := len(rt.Tree("").Failures); n < 3 {
		t.Fatalf("%d panics on record", n)
	}
}

type badDiscard struct{}

func (badDiscard) Discard(error) { panic("in Discard") }

func TestFinishOrDiscardButNotBoth(t *testing.T) {
	rt, h := standStill(t)
	r := parent(t, rt, spec("a", nil), func(ctx actor.Context) {
		if m, ok := ctx.Message().(*parcel); ok {
			m.receive(ctx)
		}
	})
	good, bad := &parcel{}, &parcel{f: func(actor.Context) { panic("boom") }}
	_ = r.Send(good)
	_ = r.Send(bad)
	h.settle()
	if good.finished != 1 || good.fate() != nil || bad.finished != 0 || bad.received != 1 || bad.fate() != nil {
		t.Fatal(good.fate(), bad.fate())
	}
	var pe *PanicError
	if !errors.As(bad.discarded[0], &pe) || pe.Value != "boom" || pe.Path != "a" || pe.Message != "*actors.parcel" || len(pe.Stack) == 0 || pe.Error() == "" {
		t.Fatalf("%+v", bad.discarded)
	}
}

func TestASendAllocatesNothing(t *testing.T) {
	rt := run(t)
	back := make(chan struct{}, 1)
	r := root(t, rt, Spec{Name: "a", Inline: true, New: func() actor.Actor { return &echo{back} }})
	m := new(int)
	for name, send := range map[string]func(any) error{"Send": r.Send, "Control": r.Control, "Offer": r.Offer} {
		if n := testing.AllocsPerRun(1000, func() { _ = send(m); <-back }); n >= 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// ---- lane ----

func TestLaneAgainstAModel(t *testing.T) {
	type item struct {
		v  int
		at int64
	}
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		var l lane
		var model []item
		clock, reads, ops := int64(0), 0, 0
		now := func() int64 { reads++; return clock }
		for range 500 {
			clock += rnd.Int64N(10)
			ops++
			switch k := rnd.IntN(10); {
			case k < 5 || seed%2 == 0 && k < 6:
				v := rnd.IntN(50)
				l.push(v, now)
				model = append(model, item{v, clock})
			case k < 9 && len(model) > 0:
				if got := l.pop(now); got != model[0].v {
					t.Fatalf("seed %d: popped %v, want %v", seed, got, model[0].v)
				}
				model = model[1:]
			case k == 9 && rnd.IntN(20) == 0:
				all := l.takeAll()
				if len(all) != len(model) {
					t.Fatalf("seed %d: took %d of %d", seed, len(all), len(model))
				}
				for i, m := range model {
					if all[i] != m.v {
						t.Fatalf("seed %d: took %v", seed, all)
					}
				}
				model = nil
			case k == 9:
				key := rnd.IntN(50)
				old, ok := l.replace(key, func(o any) bool { return o == key })
				found := false
				for i := len(model) - 1; i >= 0 && !found; i-- {
					found = model[i].v == key
				}
				if ok != found || ok && old != key {
					t.Fatalf("seed %d: replaced %v, %v; want %v", seed, old, ok, found)
				}
			}
			if int(l.n) != len(model) {
				t.Fatalf("seed %d: %d queued, want %d", seed, l.n, len(model))
			}
			age := l.age(clock)
			if len(model) == 0 {
				if age != 0 || len(l.ring) > laneKeep {
					t.Fatalf("seed %d: an empty lane of age %d keeps %d places", seed, age, len(l.ring))
				}
			} else if exact := clock - model[0].at; age < exact {
				t.Fatalf("seed %d: age %d is less than the oldest's %d", seed, age, exact)
			}
		}
		if reads > ops {
			t.Fatalf("%d clock readings for %d operations", reads, ops)
		}
	}
}

func TestALaneHoldsOnToNothingThatWasTaken(t *testing.T) {
	var l lane
	now := func() int64 { return 0 }
	for i := range 10 {
		l.push(i, now)
	}
	for range 10 {
		l.pop(now)
	}
	for _, v := range l.ring {
		if v != nil {
			t.Fatal("a message is kept in memory after it was taken")
		}
	}
}

func TestTheAgeOfASteadyQueueStaysCloseToTheTruth(t *testing.T) {
	var l lane
	clock := int64(0)
	now := func() int64 { return clock }
	for range 100 { // a hundred are always waiting; each waits for 100 ticks
		l.push(0, now)
		clock++
	}
	worst := int64(0)
	for range 1000 {
		l.pop(now)
		l.push(0, now)
		clock++
		worst = max(worst, l.age(clock))
	}
	if worst > 300 {
		t.Fatalf("the age is overstated up to %d for messages that wait 100", worst)
	}
}
