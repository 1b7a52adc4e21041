package actors

import (
	"io"
	"slices"
	"sync"
	"testing"
	"time"
)

// virtual is a host whose time stands still and whose turns run when the test says so, on the
// test's goroutine: for what depends on time.
type virtual struct {
	mu     sync.Mutex
	ns     int64
	queue  []*cell
	timers []*virtualTimer
	rnd    float64

	single bool     // tasks, which must not block, run between turns
	jobs   []func() // those that wait, if so
}

type virtualTimer struct {
	h    *virtual
	at   int64
	f    func()
	gone bool
}

func (t *virtualTimer) Stop() bool {
	t.h.mu.Lock()
	defer t.h.mu.Unlock()
	was := !t.gone
	t.gone = true
	return was
}

func (h *virtual) schedule(c *cell) {
	h.mu.Lock()
	h.queue = append(h.queue, c)
	h.mu.Unlock()
}

func (h *virtual) now() time.Time { return time.Unix(0, h.nano()) }
func (h *virtual) nano() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ns
}

func (h *virtual) afterFunc(d time.Duration, f func()) stopper {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := &virtualTimer{h: h, at: h.ns + int64(d), f: f}
	h.timers = append(h.timers, t)
	return t
}

func (h *virtual) goWarm(f func()) { h.goRun(f) }
func (h *virtual) goRun(f func()) {
	if h.single {
		h.jobs = append(h.jobs, f)
		return
	}
	go f()
}

func (h *virtual) newWaiter() waiter { return make(liveWaiter, 1) }
func (h *virtual) rand() io.Reader   { return nil }
func (h *virtual) float() float64    { return h.rnd }
func (h *virtual) close()            {}

// settle runs turns until all actors are idle.
func (h *virtual) settle() {
	for {
		for len(h.jobs) > 0 {
			f := h.jobs[0]
			h.jobs = h.jobs[1:]
			f()
		}
		h.mu.Lock()
		if len(h.queue) == 0 {
			h.mu.Unlock()
			return
		}
		c := h.queue[0]
		h.queue = h.queue[1:]
		h.mu.Unlock()
		for c.turn(turnBatch, nil) {
		}
	}
}

// pass lets d pass, timer by timer.
func (h *virtual) pass(d time.Duration) {
	h.settle()
	end := h.nano() + int64(d)
	for {
		h.mu.Lock()
		h.timers = slices.DeleteFunc(h.timers, func(t *virtualTimer) bool { return t.gone })
		slices.SortStableFunc(h.timers, func(a, b *virtualTimer) int { return int(a.at - b.at) })
		if len(h.timers) == 0 || h.timers[0].at > end {
			h.ns = end
			h.mu.Unlock()
			return
		}
		t := h.timers[0]
		t.gone = true
		h.ns = max(h.ns, t.at)
		h.mu.Unlock()
		t.f()
		h.settle()
	}
}

// armed is the number of timers that are going to fire.
func (h *virtual) armed() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.timers {
		if !t.gone {
			n++
		}
	}
	return n
}

// standStill makes a runtime in virtual time, which starts at one hour.
func standStill(t testing.TB) (*Runtime, *virtual) {
	h := &virtual{ns: int64(time.Hour), rnd: 0.999999999}
	rt := newRuntime(h, true, Options{})
	t.Cleanup(func() {
		rt.mu.Lock()
		roots := slices.Clone(rt.roots)
		rt.mu.Unlock()
		for _, r := range roots {
			r.stopNow()
		}
		h.pass(time.Minute)
		closeClean(t, rt)
	})
	return rt, h
}
