package actors

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// SimOptions of a simulation. The zero value works.
type SimOptions struct {
	// Start is the virtual time at the beginning. Default: noon of 1 January 2030, UTC.
	Start time.Time
	// MaxWait is how much virtual time a waiting call may let pass before the simulation counts
	// as stalled. Default 1 hour. Run and calls with deadlines are not bound by it.
	MaxWait time.Duration
	// MaxSteps is how many events may happen in one instant before the simulation counts as
	// caught in a loop. Default 5 million.
	MaxSteps int
	// Patience is how much real time one event may take before the simulation is given up: code
	// that waits for something outside of it would wait for ever. Default 30 s.
	Patience time.Duration
	// TraceLast is how many entries of the trace are kept to be read. The hash covers all.
	// Default 4096.
	TraceLast int
	// OnStall is told why a waiting call can never return, and must not return itself (it is
	// t.Fatal). Default: panic with a *StallError.
	OnStall func(*StallError)
}

func (o SimOptions) withDefaults() SimOptions {
	if o.Start.IsZero() {
		o.Start = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	}
	if o.MaxWait <= 0 {
		o.MaxWait = time.Hour
	}
	if o.MaxSteps <= 0 {
		o.MaxSteps = 5_000_000
	}
	if o.Patience <= 0 {
		o.Patience = 30 * time.Second
	}
	if o.TraceLast <= 0 {
		o.TraceLast = 4096
	}
	if o.OnStall == nil {
		o.OnStall = func(e *StallError) { panic(e) }
	}
	return o
}

// Simulation is a runtime in which nothing happens at the same time: every turn of an actor, every
// timer, every piece of a task between two waits and every event of the world is one event of one
// queue. Which of those that are ready comes next is drawn from the seed; when none is ready, time
// jumps to the next timer. The same program with the same seed does the same things in the same
// order.
//
// One goroutine drives it: whoever calls Run, RunUntil, or any call of the node's that waits, makes
// events happen until it is served. Blocking work (tasks, blocking handlers) runs on goroutines of
// its own that are handed the turn one at a time. Such code may wait only for what is part of the
// simulation: a stream, a call of the node's, Sleep. Something else (a channel, a lock, a socket,
// time.Sleep) stops everything, which is noticed after SimOptions.Patience.
type Simulation struct {
	rt     *Runtime
	others []*Runtime
	o      SimOptions
	seed   uint64

	clock  int64 // virtual nanoseconds since the start
	order  *rand.Rand
	random *rand.ChaCha8
	floats *rand.Rand

	ready    []simEvent
	timers   simTimers
	timerSeq uint64
	watches  []*simWatch
	instant  int // events at this instant

	cur     *coroutine // whose turn it is; nil: the driver's
	inEvent bool       // an event runs on the driver's goroutine
	driving atomic.Bool
	back    chan struct{} // a coroutine gives the turn back
	parked  []*coroutine  // that wait
	over    bool

	steps  atomic.Uint64
	traced simTrace
}

// Simulated makes a simulation whose order of events, and all of whose randomness, come from seed.
func Simulated(seed uint64, o SimOptions) *Simulation {
	s := &Simulation{o: o.withDefaults(), seed: seed, back: make(chan struct{})}
	s.order = rand.New(rand.NewPCG(seed, 1))
	s.floats = rand.New(rand.NewPCG(seed, 2))
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	s.random = rand.NewChaCha8(key)
	s.traced.init(s.o.TraceLast)
	s.rt = newRuntime(s, false, Options{})
	s.rt.sim = s
	return s
}

// Runtime is where nodes live.
func (s *Simulation) Runtime() *Runtime { return s.rt }

// Another makes one more runtime of the same simulation, whose wall clock is off by skew: a machine
// with a wrong clock. It costs an actor system of its own (about 3 MB). Close it as well.
func (s *Simulation) Another(skew time.Duration) *Runtime {
	rt := newRuntime(&simMachine{s, skew}, false, Options{})
	rt.sim = s
	s.others = append(s.others, rt)
	return rt
}

// simMachine is the host of a runtime with a clock of its own.
type simMachine struct {
	*Simulation
	skew time.Duration
}

func (m *simMachine) now() time.Time { return m.Simulation.now().Add(m.skew) }
func (m *simMachine) close()         {}

// Simulation is what drives the runtime; nil for a live one.
func (rt *Runtime) Simulation() *Simulation { return rt.sim }

// Seed is the seed.
func (s *Simulation) Seed() uint64 { return s.seed }

// Now is the virtual time.
func (s *Simulation) Now() time.Time { return s.now() }

// Elapsed is the virtual time since the start.
func (s *Simulation) Elapsed() time.Duration { return time.Duration(s.clock) }

// Steps is the number of events so far.
func (s *Simulation) Steps() uint64 { return s.steps.Load() }

// Uint64 is randomness for the simulated world, drawn from the seed.
func (s *Simulation) Uint64() uint64 { return s.floats.Uint64() }

// At runs f once at t, or as soon as possible if t has passed, as an event of its own. f must not
// wait. stop prevents a call that has not begun.
func (s *Simulation) At(t time.Time, f func()) (stop func()) {
	x := s.timer(t.Sub(s.now()), func() { s.rt.guard("world", nil, f) })
	return func() { x.Stop() }
}

// Post runs f, which must not wait, as an event of its own.
func (s *Simulation) Post(f func()) { s.timer(0, f) }

// Go runs f, which may wait, as a task of the world.
func (s *Simulation) Go(name string, f func()) {
	s.rt.Pump(name, f, nil)
}

// Sleep lets virtual time pass.
func (s *Simulation) Sleep(d time.Duration) { s.newWaiter().wait(max(d, 0)) }

// Run makes everything happen that happens in the next d of virtual time.
func (s *Simulation) Run(d time.Duration) {
	s.RunUntil(func() bool { return false }, d)
}

// RunUntil makes things happen until cond, which is looked at after each event, or until limit has
// passed. It reports whether cond came to hold.
func (s *Simulation) RunUntil(cond func() bool, limit time.Duration) bool {
	if s.cur != nil {
		for end := s.clock + int64(limit); !cond(); s.Sleep(min(time.Millisecond, time.Duration(end-s.clock))) {
			if s.clock >= end {
				return false
			}
		}
		return true
	}
	return s.drive(cond, s.clock+int64(limit)) == nil
}

// host

func (s *Simulation) schedule(c *cell) { s.ready = append(s.ready, simEvent{cell: c}) }
func (s *Simulation) now() time.Time   { return s.o.Start.Add(time.Duration(s.clock)) }
func (s *Simulation) nano() int64      { return s.clock }
func (s *Simulation) rand() io.Reader  { return s.random }
func (s *Simulation) float() float64   { return s.floats.Float64() }

func (s *Simulation) afterFunc(d time.Duration, f func()) stopper { return s.timer(d, f) }

func (s *Simulation) goWarm(f func()) { s.goRun(f) }

func (s *Simulation) goRun(f func()) {
	s.ready = append(s.ready, simEvent{co: &coroutine{s: s, f: f}})
}

func (s *Simulation) newWaiter() waiter { return &simWaiter{s: s} }

// close ends the coroutines that still wait. Their deferred calls run.
func (s *Simulation) close() {
	if s.over || s.cur != nil {
		return
	}
	s.over = true
	for len(s.parked) > 0 {
		s.hand(s.parked[0])
	}
	for _, t := range s.timers {
		t.f, t.pos = nil, -1
	}
	s.ready, s.timers, s.watches = nil, nil, nil
}

// simEvent is one of: a turn of an actor, a due timer, a piece of a coroutine.
type simEvent struct {
	cell  *cell
	timer *simTimer
	co    *coroutine
}

// simWorker stands where a live turn has its goroutine.
var simWorker = &worker{}

// step makes one event happen. It reports false when nothing is ready and no timer is due by end.
func (s *Simulation) step(end int64) bool {
	if len(s.watches) > 0 {
		s.look()
	}
	if len(s.ready) == 0 {
		if len(s.timers) == 0 || s.timers[0].at > end {
			return false
		}
		if at := s.timers[0].at; at > s.clock {
			s.clock, s.instant = at, 0
		}
	}
	for len(s.timers) > 0 && s.timers[0].at <= s.clock {
		s.ready = append(s.ready, simEvent{timer: s.timers.pop()})
	}
	n := len(s.ready)
	i := 0
	if n > 1 {
		i = s.order.IntN(n)
	}
	e := s.ready[i]
	s.ready[i] = s.ready[n-1]
	s.ready[n-1] = simEvent{}
	s.ready = s.ready[:n-1]
	s.steps.Add(1)
	if s.instant++; s.instant > s.o.MaxSteps {
		s.stall(fmt.Sprintf("%d events have happened in one instant: something goes round in a loop", s.instant))
	}
	switch {
	case e.cell != nil:
		s.inEvent = true
		more := e.cell.turn(1, simWorker)
		s.inEvent = false
		if more {
			s.schedule(e.cell)
		}
	case e.timer != nil:
		if e.timer.f != nil {
			f := e.timer.f
			e.timer.f = nil
			s.inEvent = true
			f()
			s.inEvent = false
		}
	default:
		s.hand(e.co)
	}
	return true
}

// drive makes events happen on the caller's goroutine until cond holds (nil) or end has passed or
// nothing is left to do.
func (s *Simulation) drive(cond func() bool, end int64) error {
	if s.inEvent {
		panic("actors: a call that waits was made in an actor's turn or in a callback: nothing else can happen meanwhile. Send a message with a Reply, or do it in a task")
	}
	if !s.driving.CompareAndSwap(false, true) {
		panic("actors: two goroutines drive one simulation: run the second with Simulation.Go")
	}
	defer func() {
		s.inEvent = false // a test may end in the middle of an event
		s.driving.Store(false)
	}()
	dog := s.watchdog()
	defer dog()
	for !cond() {
		if s.step(end) {
			continue
		}
		if end != never {
			s.clock, s.instant = max(s.clock, end), 0
			if cond() {
				return nil
			}
			return errTimePassed
		}
		return errNothingLeft
	}
	return nil
}

// Pending is how many timers are set.
func (s *Simulation) Pending() int { return len(s.timers) }
