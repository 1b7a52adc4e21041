package actors

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAPaceIsQuickAfterShortTurnsOnly(t *testing.T) {
	var none *Pace
	if none.quick() || new(Pace).quick() || SlowPace.quick() {
		t.Error("an actor of which nothing is known, or no good, runs on a pump")
	}
	const short = shortTurn
	for _, c := range []struct {
		name  string
		turns func(p *Pace)
		left  int // short turns until it is quick
	}{
		{"one short", func(p *Pace) { p.took(short) }, 0},
		{"one long", func(p *Pace) { p.took(short + 1) }, waryTurns},
		{"two long", func(p *Pace) { p.took(short + 1); p.took(short + 1) }, waryTurns},
		{"one of twice the length", func(p *Pace) { p.took(2 * short) }, 2 * waryTurns},
		{"a longer one first", func(p *Pace) { p.took(2 * short); p.took(short + 1) }, 2 * waryTurns},
		{"one of a minute", func(p *Pace) { p.took(time.Minute) }, maxWaryTurns},
		{"long, then a short one", func(p *Pace) { p.took(short + 1); p.took(short) }, waryTurns - 1},
		{"relieved, and then it took long", func(p *Pace) { p.beWary(maxWaryTurns); p.took(short + 1) }, maxWaryTurns},
	} {
		p := new(Pace)
		c.turns(p)
		for range c.left {
			if p.quick() {
				t.Fatalf("%s: it is quick too soon", c.name)
			}
			p.took(short)
		}
		if !p.quick() {
			t.Errorf("%s: it is not quick after %d short turns", c.name, c.left)
		}
	}
}

// lent is a pump of a test: it leads what it is given, and runs what is left.
type lent struct {
	*led
	rt    *Runtime
	to    Ref[any] // is what users' code would be
	feed  chan string
	told  chan string // what the pump does
	fails chan *PanicError
}

// newLent has turns of any length run on the pump, which is relieved after that time.
func newLent(t *testing.T, after time.Duration) *lent {
	rt := runStuck(t, time.Millisecond)
	rt.lenders.after = after
	l := &lent{
		led: newLedIn(t, rt, Spec{Name: "to", Pace: &Pace{always: true}, Restart: Transient}), rt: rt,
		feed: make(chan string), told: make(chan string, 100), fails: make(chan *PanicError, 100),
	}
	l.to = l.hands[0]
	rt.PumpLender("reader", l.pump, func(pe *PanicError) { l.fails <- pe })
	want(t, "the pump", l.told, "begun")
	t.Cleanup(func() {
		close(l.feed)
		if len(l.fails) > 0 {
			t.Errorf("the pump failed: %v", <-l.fails)
		}
	})
	return l
}

func (l *lent) pump(p *Lender) {
	l.told <- "begun"
	for m := range l.feed {
		rest, _ := l.from.LeadRest(m)
		if rest != nil {
			l.told <- "left"
		}
		if !p.Run(rest) {
			l.told <- "relieved"
			return
		}
	}
}

// say gives the pump a message when the actor is idle, and tells whether their turns were on one goroutine.
func (l *lent) say(t *testing.T, m string) (same bool) {
	t.Helper()
	l.idle(t)
	l.feed <- m
	want(t, "turns", l.turns, "from", "to")
	from := within(t, "the goroutine", l.goids)
	return within(t, "the goroutine", l.goids) == from
}

// idle waits until the actor lives and has nothing to do.
func (l *lent) idle(t *testing.T) {
	t.Helper()
	c := l.to.c
	if !eventually(func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.is(Alive) && c.run == runIdle
	}) {
		t.Fatal("it does not come to rest")
	}
}

// hung gives the pump a message over which it is relieved.
func (l *lent) hung(t *testing.T) {
	t.Helper()
	l.idle(t)
	l.feed <- "hang"
	want(t, "turns", l.turns, "from", "to")
	want(t, "the pumps", l.told, "left", "begun")
	if !eventually(func() bool { return l.rt.Tree("").Pumps == 1 }) {
		t.Errorf("%d pumps, want the one that took over", l.rt.Tree("").Pumps)
	}
}

func TestALenderRunsWhatHasBeenQuick(t *testing.T) {
	l := newLent(t, time.Hour)
	for range 3 {
		if !l.say(t, "go") {
			t.Error("another goroutine ran a turn that was left")
		}
		want(t, "what was left", l.told, "left")
	}
	l.idle(t)
	l.to.c.pol.Pace.always = false
	l.to.c.pol.Pace.beWary(maxWaryTurns)
	if l.say(t, "go") || len(l.told) > 0 {
		t.Error("a turn that may be long was left to the pump")
	}
}

// TestAnotherGoroutineIsThePumpWhileATurnHangs: what comes behind it is handled, its kind is not quick for
// long, and the goroutine that comes back does nothing more.
func TestAnotherGoroutineIsThePumpWhileATurnHangs(t *testing.T) {
	l := newLent(t, time.Millisecond)
	l.hung(t)
	l.feed <- "go"
	want(t, "a turn beside the one that hangs", l.turns, "from")
	if n := l.to.c.pol.Pace.wary.Load(); n != maxWaryTurns {
		t.Errorf("it is quick after %d turns", n)
	}
	close(l.hang)
	want(t, "the turn behind", l.turns, "to")
	want(t, "the goroutine that was relieved", l.told, "relieved")
}

// TestATurnThatEndsThePumpsGoroutineDoesNotEndThePump, nor what was left.
func TestATurnThatEndsThePumpsGoroutineDoesNotEndThePump(t *testing.T) {
	l := newLent(t, time.Hour)
	for range 3 {
		l.say(t, "exit")
		want(t, "the pumps", l.told, "left", "begun")
	}
	if !l.say(t, "go") {
		t.Error("the pump does not lend any more")
	}
}

func TestAPanicInWhatIsLeftIsTheActorsOwn(t *testing.T) {
	l := newLent(t, time.Hour)
	failed := events(l.rt, EventFailed)
	l.say(t, "panic")
	if e := within(t, "the failure", failed); e.Path != "to" {
		t.Errorf("it is that of %s", e.Path)
	}
	l.say(t, "go")
}

// TestWhatIsLeftOutlivesTheGoroutineThatLed: it ends in the turn that it leads.
func TestWhatIsLeftOutlivesTheGoroutineThatLed(t *testing.T) {
	l := newLent(t, time.Hour)
	l.idle(t)
	var ended sync.WaitGroup
	ended.Go(func() {
		_, _ = l.from.LeadRest("exit first")
		t.Error("it came back")
	})
	ended.Wait()
	want(t, "turns", l.turns, "from", "to")
}

// TestAPanicOfAPumpThatWasRelievedGoesToItsOwner: only that its goroutine is ended is no fault then.
func TestAPanicOfAPumpThatWasRelievedGoesToItsOwner(t *testing.T) {
	rt := run(t)
	got := make(chan *PanicError, 2)
	for _, f := range []func(){runtime.Goexit, func() { panic("a bug of the kit") }} {
		rt.start(&pump{name: "reader", left: true}, rt.host.goRun, f, func(pe *PanicError) { got <- pe })
	}
	if pe := within(t, "the panic", got); pe.Value != "a bug of the kit" {
		t.Errorf("it is told of %v", pe)
	}
}

type posted struct{ n int }

func (p *posted) Post() { p.n++ }

// TestWhatIsNotOfTheKitIsPosted, and so is what is left to somebody who cannot lend.
func TestWhatIsNotOfTheKitIsPosted(t *testing.T) {
	rt := run(t)
	over := make(chan *posted, 1)
	rt.PumpLender("reader", func(l *Lender) {
		p := new(posted)
		if !l.Run(p) || !l.Run(nil) {
			t.Error("it is no pump any more")
		}
		over <- p
	}, nil)
	if p := within(t, "the pump", over); p.n != 1 {
		t.Errorf("posted %d times", p.n)
	}
	l := newLent(t, time.Hour)
	l.idle(t)
	rest, err := l.from.LeadRest("go")
	if rest == nil || err != nil {
		t.Fatalf("left %v: %v", rest, err)
	}
	want(t, "a turn", l.turns, "from")
	rest.Post()
	want(t, "what was posted", l.turns, "to")
}

// TestAStuckTurnOnAPumpIsNamed, with its stack, and the pump is none that is waited for.
func TestAStuckTurnOnAPumpIsNamed(t *testing.T) {
	l := newLent(t, time.Millisecond)
	l.hung(t)
	l.to.Stop()
	within(t, "that it is given up", l.to.Done())
	lost := l.rt.TreeWithStacks("to").Abandoned
	if len(lost) != 1 || !strings.Contains(lost[0].Stack, "(*Lender).Run") {
		t.Errorf("abandoned: %+v", lost)
	}
	close(l.hang)
	want(t, "the goroutine that was relieved", l.told, "relieved")
}
