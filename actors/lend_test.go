package actors

import (
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAPaceIsQuickAfterShortTurnsOnly(t *testing.T) {
	var none *Pace
	if none.quick() || new(Pace).quick() {
		t.Error("an actor of which nothing is known runs on a pump")
	}
	const short, long = shortTurn, shortTurn + 1
	for _, c := range []struct {
		name  string
		turns func(p *Pace)
		left  int32 // short turns until it is quick
	}{
		{"one short", func(p *Pace) { p.took(short) }, 0},
		{"one long", func(p *Pace) { p.took(long) }, waryTurns},
		{"two long", func(p *Pace) { p.took(long); p.took(long) }, waryTurns},
		{"long, then a short one", func(p *Pace) { p.took(long); p.took(short) }, waryTurns - 1},
		{"relieved", func(p *Pace) { p.took(short); p.beWary() }, veryWaryTurns},
		{"relieved, and then it took long", func(p *Pace) { p.took(short); p.beWary(); p.took(long) }, veryWaryTurns},
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

func newLent(t *testing.T) *lent {
	rt := runStuck(t, time.Millisecond)
	l := &lent{
		led: newLedIn(t, rt, Spec{Name: "to", Pace: new(Pace), Restart: Transient}), rt: rt,
		feed: make(chan string), told: make(chan string, 100), fails: make(chan *PanicError, 100),
	}
	l.to = l.hands[0]
	rt.PumpLender("reader", l.pump, func(pe *PanicError) { l.fails <- pe })
	want(t, "the pump", l.told, "begun")
	l.quick(t)
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

// say gives the pump a message, and tells whether its turns were on one goroutine.
func (l *lent) say(t *testing.T, m string) (same bool) {
	t.Helper()
	l.feed <- m
	want(t, "turns", l.turns, "from", "to")
	from := within(t, "the goroutine", l.goids)
	return within(t, "the goroutine", l.goids) == from
}

// quick makes the actor one whose turns are known to be short, and waits until it is idle.
func (l *lent) quick(t *testing.T) {
	t.Helper()
	c := l.to.c
	if !eventually(func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.is(Alive) && c.run == runIdle
	}) {
		t.Fatal("it does not come to rest")
	}
	c.pol.Pace.known.Store(true)
	c.pol.Pace.wary.Store(0)
}

func TestALenderRunsWhatHasBeenQuick(t *testing.T) {
	l := newLent(t)
	for range 3 {
		if !l.say(t, "go") {
			t.Error("another goroutine ran a turn that was left")
		}
		want(t, "what was left", l.told, "left")
		l.quick(t)
	}
	l.to.c.pol.Pace.beWary()
	if l.say(t, "go") || len(l.told) > 0 {
		t.Error("a turn that may be long was left to the pump")
	}
}

// TestAnotherGoroutineIsThePumpWhileATurnHangs: what comes behind it is handled, nothing of that runs on a
// pump until it has been short for long, and the one that comes back does nothing more.
func TestAnotherGoroutineIsThePumpWhileATurnHangs(t *testing.T) {
	l := newLent(t)
	l.feed <- "hang"
	want(t, "turns", l.turns, "from", "to")
	want(t, "the pumps", l.told, "left", "begun")
	if !eventually(func() bool { return l.rt.Tree("").Pumps == 1 }) {
		t.Errorf("%d pumps, want the one that took over", l.rt.Tree("").Pumps)
	}
	l.feed <- "go"
	want(t, "a turn beside the one that hangs", l.turns, "from")
	if l.to.c.pol.Pace.quick() {
		t.Error("a turn that hangs is taken for a short one")
	}
	close(l.hang)
	want(t, "the turn behind", l.turns, "to")
	want(t, "the goroutine that was relieved", l.told, "relieved")
}

// TestATurnThatEndsThePumpsGoroutineDoesNotEndThePump, nor what was left.
func TestATurnThatEndsThePumpsGoroutineDoesNotEndThePump(t *testing.T) {
	l := newLent(t)
	for range 3 {
		l.say(t, "exit")
		want(t, "the pumps", l.told, "left", "begun")
		l.quick(t)
	}
	if !l.say(t, "go") {
		t.Error("the pump does not lend any more")
	}
}

func TestAPanicInWhatIsLeftIsTheActorsOwn(t *testing.T) {
	l := newLent(t)
	failed := events(l.rt, EventFailed)
	l.say(t, "panic")
	if e := within(t, "the failure", failed); e.Path != "to" {
		t.Errorf("it is that of %s", e.Path)
	}
	l.say(t, "go")
}

// TestWhatIsLeftOutlivesTheGoroutineThatLed: it ends in the turn that it leads.
func TestWhatIsLeftOutlivesTheGoroutineThatLed(t *testing.T) {
	l := newLent(t)
	var ended sync.WaitGroup
	ended.Go(func() {
		_, _ = l.from.LeadRest("exit first")
		t.Error("it came back")
	})
	ended.Wait()
	want(t, "turns", l.turns, "from", "to")
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
	l := newLent(t)
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
	l := newLent(t)
	l.feed <- "hang"
	want(t, "turns", l.turns, "from", "to")
	want(t, "the pumps", l.told, "left", "begun")
	l.to.Stop()
	within(t, "that it is given up", l.to.Done())
	lost := l.rt.TreeWithStacks("to").Abandoned
	if len(lost) != 1 || !strings.Contains(lost[0].Stack, "(*Lender).Run") {
		t.Errorf("abandoned: %+v", lost)
	}
	if !eventually(func() bool { return l.rt.Tree("").Pumps == 1 }) {
		t.Errorf("%d pumps, want the one that took over", l.rt.Tree("").Pumps)
	}
	close(l.hang)
	want(t, "the goroutine that was relieved", l.told, "relieved")
}
