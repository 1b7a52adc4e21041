package simnet

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/internal/buf"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// sched is a Scheduler of its own: one queue, and an order of what is due together from the seed.
type sched struct {
	now    time.Time
	rnd    *rand.Rand
	queue  []*event
	turns  int
	inside bool
}

type event struct {
	at time.Time
	f  func()
}

func newSched(seed uint64) *sched {
	return &sched{now: epoch, rnd: rand.New(rand.NewPCG(seed, 1))}
}

func (s *sched) Now() time.Time { return s.now }
func (s *sched) Uint64() uint64 { return s.rnd.Uint64() }
func (s *sched) At(t time.Time, f func()) (stop func()) {
	if t.Before(s.now) {
		t = s.now
	}
	e := &event{t, f}
	s.queue = append(s.queue, e)
	return func() {
		for i, o := range s.queue {
			if o == e {
				s.queue = append(s.queue[:i], s.queue[i+1:]...)
				return
			}
		}
	}
}

// step runs one of those that are due next, if they are due by end.
func (s *sched) step(end time.Time) bool {
	if len(s.queue) == 0 {
		return false
	}
	first := s.queue[0].at
	for _, e := range s.queue {
		if e.at.Before(first) {
			first = e.at
		}
	}
	if first.After(end) {
		return false
	}
	var due []int
	for i, e := range s.queue {
		if e.at.Equal(first) {
			due = append(due, i)
		}
	}
	i := due[0]
	if len(due) > 1 {
		i = due[s.rnd.IntN(len(due))]
	}
	e := s.queue[i]
	s.queue = append(s.queue[:i], s.queue[i+1:]...)
	s.now = first
	s.turns++
	if s.inside {
		panic("a turn inside of a turn")
	}
	s.inside = true
	defer func() { s.inside = false }()
	e.f()
	return true
}

// run lets d pass.
func (s *sched) run(d time.Duration) {
	end := s.now.Add(d)
	for s.step(end) {
	}
	s.now = end
}

// settle runs until nothing is left to do.
func (s *sched) settle(t testing.TB) {
	t.Helper()
	for i := 0; s.step(epoch.Add(1000 * time.Hour)); i++ {
		if i > 5_000_000 {
			t.Fatal("there is always something left to do")
		}
	}
}

// elapsed is the time since the start.
func (s *sched) elapsed() time.Duration { return s.now.Sub(epoch) }

// noLeak fails the test if buffers are left over when it ends.
func noLeak(t testing.TB) {
	t.Helper()
	before := buf.Live()
	t.Cleanup(func() {
		if n := buf.Live() - before; n != 0 {
			t.Errorf("%d buffers were not released", n)
		}
	})
}
