package actors

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"
)

// never is later than any timer.
const never = math.MaxInt64

var (
	errTimePassed  = errors.New("actors: the time has passed")
	errNothingLeft = errors.New("actors: nothing is left to do")
)

// StallError says that a simulation cannot go on, or that what is waited for cannot come.
type StallError struct {
	Why string
	// State is who waits for what, one to a line.
	State string
}

func (e *StallError) Error() string { return "the simulation stalls: " + e.Why + "\n" + e.State }

func (s *Simulation) stall(why string) {
	s.o.OnStall(&StallError{Why: why, State: s.State()})
	panic("actors: SimOptions.OnStall has returned")
}

// coroutine is a goroutine that runs only while it has the turn.
type coroutine struct {
	s       *Simulation
	f       func()
	resume  chan struct{} // nil: not started
	over    bool
	waiting *simWaiter
}

// hand gives the turn to co until it gives it back: it waits, or it has ended.
func (s *Simulation) hand(co *coroutine) {
	if i := slices.Index(s.parked, co); i >= 0 {
		s.parked = slices.Delete(s.parked, i, i+1)
	}
	s.cur = co
	if co.resume == nil {
		co.resume = make(chan struct{})
		go co.run()
	} else {
		co.resume <- struct{}{}
	}
	<-s.back
	s.cur = nil
}

func (co *coroutine) run() {
	defer func() {
		co.over = true
		co.s.back <- struct{}{}
	}()
	co.f()
}

// park gives the turn away until somebody makes the coroutine ready again.
func (co *coroutine) park() {
	s := co.s
	if s.over {
		runtime.Goexit()
	}
	s.parked = append(s.parked, co)
	s.back <- struct{}{}
	<-co.resume
	if s.over {
		runtime.Goexit()
	}
}

type simWaiter struct {
	s      *Simulation
	signal bool
	co     *coroutine // waits
}

func (w *simWaiter) wake() {
	w.signal = true
	if co := w.co; co != nil {
		w.co = nil
		w.s.ready = append(w.s.ready, simEvent{co: co})
	}
}

func (w *simWaiter) wait(d time.Duration) bool {
	s := w.s
	switch {
	case w.signal:
	case s.cur == nil:
		end := int64(never)
		if d >= 0 {
			end = s.clock + int64(d)
		} else if limit := s.clock + int64(s.o.MaxWait); limit > 0 {
			end = limit
		}
		if err := s.drive(func() bool { return w.signal }, end); err != nil {
			if d < 0 {
				s.stall(fmt.Sprintf("what a call waits for has not come within %v", s.o.MaxWait))
			}
			return false
		}
	default:
		co := s.cur
		var t *simTimer
		if d >= 0 {
			t = s.timer(d, func() {
				if w.co == co {
					w.co = nil
					s.ready = append(s.ready, simEvent{co: co})
				}
			})
		}
		w.co, co.waiting = co, w
		co.park()
		co.waiting = nil
		if t != nil {
			t.Stop()
		}
	}
	woken := w.signal
	w.signal = false
	return woken
}

// await waits until over holds, which is looked at after each event. It gives up when ctx is done
// or when nothing is left to do.
func (s *Simulation) await(ctx context.Context, over func() bool) {
	done := func() bool { return over() || ctx.Err() != nil }
	if s.cur == nil {
		_ = s.drive(done, never)
		return
	}
	for !done() {
		s.Sleep(time.Millisecond)
	}
}

// waitFor waits until ready holds, which w tells of, or until ctx is done.
func (s *Simulation) waitFor(ctx context.Context, w waiter, ready func() bool) error {
	stop := s.onDone(ctx, w.wake)
	defer stop()
	for !ready() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w.wait(-1)
	}
	return nil
}

// State says what is ready, which timer is next, which tasks wait, and which actors have messages
// or have failed.
func (s *Simulation) State() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, virtual time %v, %d events so far, %d ready", s.seed, s.Elapsed(), s.Steps(), len(s.ready))
	if len(s.timers) > 0 {
		fmt.Fprintf(&b, ", next of %d timers in %v", len(s.timers), time.Duration(s.timers[0].at-s.clock))
	}
	fmt.Fprintf(&b, "\n%d tasks wait\n", len(s.parked))
	var walk func(nodes []Node)
	walk = func(nodes []Node) {
		for _, n := range nodes {
			if n.Queued > 0 || n.Phase != Alive.String() || n.Kind == "task" {
				fmt.Fprintf(&b, "%s: %s, %s, %d messages wait\n", n.Path, n.Kind, n.Phase, n.Queued)
			}
			walk(n.Children)
		}
	}
	for _, rt := range append([]*Runtime{s.rt}, s.others...) {
		t := rt.Tree("")
		walk(t.Roots)
		for _, f := range t.Failures {
			fmt.Fprintf(&b, "failed: %v\n", f)
		}
	}
	return b.String()
}

// watchdog ends the process when one event takes too long: it waits for something that cannot come
// while the simulation stands still, and Go has no way to interrupt it.
func (s *Simulation) watchdog() (stop func()) {
	last := s.steps.Load()
	var t *time.Timer
	t = time.AfterFunc(s.o.Patience, func() {
		if now := s.steps.Load(); now != last {
			last = now
			t.Reset(s.o.Patience)
			return
		}
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		panic(fmt.Sprintf("actors: the simulation with seed %d stands still for %v: an actor, a task or a callback waits for something that is no part of it (a channel, a lock, a socket, time.Sleep). See the doc of Simulation. All goroutines:\n%s\n",
			s.seed, s.o.Patience, stacks))
	})
	return func() { t.Stop() }
}
