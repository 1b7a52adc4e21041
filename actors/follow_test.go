package actors

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// TestAFollowerStartsWhereItsParentRan: a child with Follow begins when the parent's turn is over, on the
// same goroutine, and so does the parent when the child's end is told.
func TestAFollowerStartsWhereItsParentRan(t *testing.T) {
	rt := run(t)
	var where trace // "who what"
	goids := make(chan int64, 4)
	over := make(chan struct{})
	s := spec("parent", func(ctx actor.Context) {
		switch ctx.Message().(type) {
		case *actor.Started:
			s := temporary("child", func(ctx actor.Context) {
				if _, ok := ctx.Message().(*actor.Started); ok {
					where.add("child")
					goids <- goid()
					Stop(ctx)
				}
			})
			s.Follow = true
			if _, err := Spawn[any](ctx, s); err != nil {
				t.Error(err)
			}
			where.add("parent")
			goids <- goid()
		case *actor.Terminated:
			where.add("end")
			goids <- goid()
			close(over)
		}
	})
	root(t, rt, s)
	within(t, "the end of the child", over)
	if got := where.String(); got != "parent child end" {
		t.Errorf("order: %s", got)
	}
	first := <-goids
	for range 2 {
		if g := <-goids; g != first {
			t.Error("another goroutine ran a turn that follows")
		}
	}
}

// TestFollowersThatFindNoPlaceAreRunElsewhere, and so is one whose parent's goroutine exits.
func TestFollowersThatFindNoPlaceAreRunElsewhere(t *testing.T) {
	for _, exit := range []bool{false, true} {
		rt := run(t)
		started := make(chan string, 2)
		r := parent(t, rt, spec("parent", nil), nil)
		_ = r.Send(do(func(ctx actor.Context) {
			for _, name := range []string{"a", "b"} {
				s := temporary(name, func(ctx actor.Context) {
					if _, ok := ctx.Message().(*actor.Started); ok {
						started <- name
					}
				})
				s.Follow = true
				if _, err := Spawn[any](ctx, s); err != nil {
					t.Error(err)
				}
			}
			if exit {
				runtime.Goexit()
			}
		}))
		if a, b := within(t, "one", started), within(t, "the other", started); a == b {
			t.Errorf("%s started twice", a)
		}
	}
}

// TestAFollowerTakesMessagesBeforeItBegins: an Offer to it waits as for any actor that is queued.
func TestAFollowerTakesMessagesBeforeItBegins(t *testing.T) {
	rt := run(t)
	got := make(chan any, 1)
	r := parent(t, rt, spec("parent", nil), nil)
	in(t, r, func(ctx actor.Context) {
		s := temporary("child", func(ctx actor.Context) {
			if m, ok := ctx.Message().(string); ok {
				got <- m
			}
		})
		s.Follow, s.Inline = true, true
		c, err := Spawn[any](ctx, s)
		if err != nil {
			t.Error(err)
		}
		_ = c.Offer("early")
		select {
		case <-got:
			t.Error("the child ran in its parent's turn")
		default:
		}
	})
	if m := within(t, "the message", got); m != "early" {
		t.Errorf("got %v", m)
	}
}

// TestAnInlineActorsEndIsRunByWhoeverOffers: no worker is woken for it.
func TestAnInlineActorsEndIsRunByWhoeverOffers(t *testing.T) {
	rt := run(t)
	s := temporary("r", func(ctx actor.Context) {
		if _, ok := ctx.Message().(string); ok {
			Stop(ctx)
		}
	})
	s.Inline = true
	r := root(t, rt, s)
	if !eventually(func() bool { return r.c.is(Alive) && r.c.UserMessageCount() == 0 && idle(r.c) }) {
		t.Fatal("it does not start")
	}
	_ = r.Offer("stop")
	if !r.Ended() {
		t.Error("it goes on after the turn in which it was stopped")
	}
}

func idle(c *cell) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.run == runIdle
}

func TestStopLaterStopsWhoDoesNotEndInTime(t *testing.T) {
	rt, h := standStill(t)
	var l trace
	later := func(name string) Ref[any] {
		s := spec(name, nil)
		s.Restart = Temporary
		r := parent(t, rt, s, func(ctx actor.Context) { l.life(name, ctx) })
		_ = r.Send(do(StopLater))
		_ = r.Send(do(StopLater)) // once is enough
		h.settle()
		return r
	}
	a, b, c := later("a"), later("b"), later("c")
	h.pass(Grace / 2)
	b.StopAfter()
	h.settle()
	if a.Ended() || !b.Ended() || c.Ended() {
		t.Fatal("somebody was stopped too early, or not by who asked")
	}
	h.pass(Grace/2 - time.Nanosecond)
	if a.Ended() {
		t.Fatal("stopped too early")
	}
	h.pass(time.Nanosecond)
	if !a.Ended() || !c.Ended() {
		t.Fatal("not stopped in time")
	}
	if watched(rt) > 0 {
		t.Fatal("the reaper keeps the dead")
	}
	h.pass(time.Minute)
	if n := h.armed(); n != 0 {
		t.Fatalf("%d timers are left", n)
	}
}

// TestAStuckActorIsAbandonedAfterItsGrace: the time to look at its stop begins when it is stopped.
func TestAStuckActorIsAbandonedAfterItsGrace(t *testing.T) {
	rt := runStuck(t, 20*time.Millisecond)
	stuck, free, ended := make(chan struct{}), make(chan struct{}), make(chan End, 1)
	p := parent(t, rt, spec("p", nil), func(ctx actor.Context) {
		if e, ok := ChildEnd(ctx); ok {
			ended <- e
		}
	})
	in(t, p, func(ctx actor.Context) {
		r, err := Spawn[any](ctx, temporary("k", func(ctx actor.Context) {
			if _, ok := ctx.Message().(string); ok {
				StopLater(ctx)
				close(stuck)
				<-free
			}
		}))
		if err != nil {
			t.Error(err)
		}
		_ = r.Send("hang")
	})
	within(t, "the hang", stuck)
	if e := within(t, "the end", ended); e.Err != ErrAbandoned {
		t.Errorf("it ended with %v", e.Err)
	}
	close(free)
}

// TestStopAfterWaitsForATurnAndNotForAMessage: who waits for a worker gets to hear what was sent before,
// however long that takes; who is inside of a message for too long does not.
func TestStopAfterWaitsForATurnAndNotForAMessage(t *testing.T) {
	rt := run(t)
	stuck, free := make(chan struct{}), make(chan struct{})
	heard := make(chan any, 4)
	s := temporary("r", func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case string:
			if m == "hang" {
				close(stuck)
				<-free
			}
			heard <- m
		case *actor.Stopping:
			heard <- m
		}
	})
	r := root(t, rt, s)
	_ = r.Send("hang")
	within(t, "the hang", stuck)
	_ = r.Control("too late")
	r.StopAfter()
	if !eventually(func() bool { r.c.mu.Lock(); defer r.c.mu.Unlock(); return r.c.asked }) {
		t.Fatal("nobody stops it")
	}
	close(free)
	within(t, "the message", heard)
	if m, ok := within(t, "the stop", heard).(*actor.Stopping); !ok {
		t.Errorf("it got %v first", m)
	}

	rt2, h := standStill(t)
	q := parent(t, rt2, spec("q", nil), nil)
	h.settle()
	q.c.checkTurn(watch{c: q.c}) // it was waiting for a worker
	q.c.mu.Lock()
	asked, again := q.c.asked, q.c.x != nil && q.c.x.watch != nil
	q.c.mu.Unlock()
	if asked || !again {
		t.Error("one that waits for its turn was stopped, or forgotten")
	}
}

// TestStopAfterWaitsForEveryMessageOfATurn: three messages of 60 ms each are not one of 180 ms.
func TestStopAfterWaitsForEveryMessageOfATurn(t *testing.T) {
	rt, h := standStill(t)
	var c *cell
	var seen watch
	look := func() watch {
		c.mu.Lock()
		defer c.mu.Unlock()
		return watch{c: c, turn: c.turnNow(), taken: c.taken}
	}
	asked := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.asked
	}
	r := parent(t, rt, spec("r", nil), nil)
	c = r.c
	h.settle()
	heard := 0
	for range 3 {
		_ = r.Control(do(func(actor.Context) {
			if heard++; heard > 1 {
				c.checkTurn(seen)
			}
			if asked() {
				t.Errorf("stopped in message %d", heard)
			}
			seen = look()
		}))
	}
	_ = r.Control(do(func(actor.Context) {
		if now := look(); now.turn != seen.turn {
			t.Fatal("not the same turn: the test proves nothing")
		}
		c.checkTurn(look())
		if !asked() {
			t.Error("one that stays inside of a message is not stopped")
		}
	}))
	h.settle()
	if heard != 3 {
		t.Errorf("%d messages were heard", heard)
	}
}

// led is an Inline actor that hands each message on, and the goroutines on which it and two others run.
type led struct {
	turns chan string // "who", in order
	goids chan int64
	from  Ref[any]
	hands []Ref[any]
	hang  chan struct{} // is closed to have one that hangs come back
}

func newLed(t *testing.T, to ...Spec) *led { return newLedIn(t, run(t), to...) }

func newLedIn(t *testing.T, rt *Runtime, to ...Spec) *led {
	l := &led{turns: make(chan string, 100), goids: make(chan int64, 100), hang: make(chan struct{})}
	for _, s := range to {
		name := s.Name
		s.New = func() actor.Actor {
			return fn(func(ctx actor.Context) {
				switch m := ctx.Message().(type) {
				case string:
					l.turn(name)
					switch m {
					case "panic":
						panic("as told")
					case "exit":
						runtime.Goexit()
					case "hang":
						<-l.hang
					}
				}
			})
		}
		r := root(t, rt, s)
		atRest(t, r)
		l.hands = append(l.hands, r)
	}
	s := spec("from", func(ctx actor.Context) {
		if m, ok := ctx.Message().(string); ok {
			l.turn("from")
			for _, r := range l.hands {
				_ = Hand(r, any(m), l.from)
			}
			if m == "exit first" {
				runtime.Goexit()
			}
		}
	})
	s.Inline = true
	l.from = root(t, rt, s)
	atRest(t, l.from)
	return l
}

func (l *led) turn(who string) {
	l.turns <- who
	l.goids <- goid()
}

// here says of the next turn whether it was on this goroutine.
func (l *led) here(t *testing.T, who string) bool {
	t.Helper()
	if got := within(t, "a turn of "+who, l.turns); got != who {
		t.Fatalf("it was the turn of %s, want %s", got, who)
	}
	return <-l.goids == goid()
}

func inline(name string) Spec { return Spec{Name: name, Inline: true, Restart: Transient} }

// TestWhoLeadsRunsABuiltInActorThatIsHandedSomething, behind the turn in which that happened.
func TestWhoLeadsRunsABuiltInActorThatIsHandedSomething(t *testing.T) {
	l := newLed(t, inline("to"))
	for range 3 {
		if err := l.from.Lead("go"); err != nil {
			t.Fatal(err)
		}
		if len(l.turns) != 2 || !l.here(t, "from") || !l.here(t, "to") {
			t.Error("a turn was not run before Lead returned, or not here")
		}
	}
	_ = l.from.Offer("go") // from a goroutine that has no time
	if !l.here(t, "from") || l.here(t, "to") {
		t.Error("Offer ran more than the turn")
	}
}

// TestWhoLeadsRunsNobodyElse: what users have written may hang.
func TestWhoLeadsRunsNobodyElse(t *testing.T) {
	l := newLed(t, Spec{Name: "to"})
	_ = l.from.Lead("go")
	if !l.here(t, "from") || l.here(t, "to") {
		t.Error("Lead ran an actor that is not Inline")
	}
}

func TestOneThatIsHandedSomethingIsEnough(t *testing.T) {
	l := newLed(t, inline("a"), inline("b"))
	_ = l.from.Lead("go")
	if !l.here(t, "from") {
		t.Error("the turn was not here")
	}
	a, b := within(t, "one", l.turns), within(t, "the other", l.turns)
	if a == b {
		t.Errorf("%s had two turns", a)
	}
}

// TestAPanicOfOneThatIsLedIsItsOwn: whoever leads goes on, and so does the actor.
func TestAPanicOfOneThatIsLedIsItsOwn(t *testing.T) {
	l := newLed(t, inline("to"))
	for _, m := range []string{"panic", "go"} {
		if err := l.from.Lead(m); err != nil {
			t.Fatal(err)
		}
		if !l.here(t, "from") {
			t.Error("the turn was not here")
		}
		l.here(t, "to") // while it restarts, a worker may be faster
	}
}

// TestAGoroutineThatIsEndedWhileItLeadsLosesNobody: what it was to run is run elsewhere.
func TestAGoroutineThatIsEndedWhileItLeadsLosesNobody(t *testing.T) {
	l := newLed(t, inline("to"))
	var ended sync.WaitGroup
	ended.Go(func() {
		_ = l.from.Lead("exit")
		t.Error("Lead came back")
	})
	ended.Wait()
	l.here(t, "from")
	l.here(t, "to")
	_ = l.from.Lead("go")
	l.here(t, "from")
	l.here(t, "to")
}

func TestWhatIsHandedToNobodyIsDiscarded(t *testing.T) {
	rt := run(t)
	r := root(t, rt, temporary("r", nil))
	r.Stop()
	if !eventually(r.Ended) {
		t.Fatal("it does not end")
	}
	d := &discarded{}
	if err := Hand(r, any(d), r); err == nil || d.why == nil {
		t.Errorf("handed: %v, discarded: %v", err, d.why)
	}
	d = &discarded{}
	if err := r.Lead(d); err == nil || d.why == nil {
		t.Errorf("led: %v, discarded: %v", err, d.why)
	}
}

type discarded struct{ why error }

func (d *discarded) Discard(why error) { d.why = why }
