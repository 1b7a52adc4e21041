package actors

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// simTimer is a timer of a simulation. f is nil once it was called or stopped.
type simTimer struct {
	s   *Simulation
	at  int64
	seq uint64
	pos int // in the heap; -1: not in it
	f   func()
}

func (s *Simulation) timer(d time.Duration, f func()) *simTimer {
	s.timerSeq++
	at := s.clock + max(int64(d), 0)
	if at < s.clock {
		at = never - 1
	}
	t := &simTimer{s: s, at: at, seq: s.timerSeq, f: f}
	s.timers.push(t)
	return t
}

// Stop implements stopper.
func (t *simTimer) Stop() bool {
	if t.f == nil {
		return false
	}
	t.f = nil
	if t.pos >= 0 {
		t.s.timers.remove(t.pos)
	}
	return true
}

// simTimers is a heap: the earliest first, and of those of one instant the one that was set first.
type simTimers []*simTimer

func (h simTimers) less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].seq < h[j].seq
}

func (h simTimers) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}

func (h *simTimers) push(t *simTimer) {
	t.pos = len(*h)
	*h = append(*h, t)
	h.up(t.pos)
}

func (h *simTimers) pop() *simTimer { return h.remove(0) }

func (h *simTimers) remove(i int) *simTimer {
	t := (*h)[i]
	last := len(*h) - 1
	if i != last {
		h.swap(i, last)
	}
	(*h)[last] = nil
	*h = (*h)[:last]
	if i < last {
		h.down(i)
		h.up(i)
	}
	t.pos = -1
	return t
}

func (h simTimers) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if !h.less(i, p) {
			return
		}
		h.swap(i, p)
		i = p
	}
}

func (h simTimers) down(i int) {
	for {
		least := i
		for _, k := range [2]int{2*i + 1, 2*i + 2} {
			if k < len(h) && h.less(k, least) {
				least = k
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}

// simWatch is a call that follows the end of a context.
type simWatch struct {
	ctx context.Context
	f   func()
}

// onDone calls f, as an event, after ctx is done. The end of a context is looked for between
// events: contexts call nobody on this goroutine.
func (s *Simulation) onDone(ctx context.Context, f func()) (stop func() bool) {
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	w := &simWatch{ctx, f}
	s.watches = append(s.watches, w)
	return func() bool {
		for i, o := range s.watches {
			if o == w {
				s.watches = append(s.watches[:i], s.watches[i+1:]...)
				return true
			}
		}
		return false
	}
}

func (s *Simulation) look() {
	kept := s.watches[:0]
	for _, w := range s.watches {
		if w.ctx.Err() == nil {
			kept = append(kept, w)
			continue
		}
		s.timer(0, w.f)
	}
	clear(s.watches[len(kept):])
	s.watches = kept
}

// Armed is a timer of an actor that is set.
type Armed struct {
	In      time.Duration
	Message any
}

// Armed lists the timers of the actor with that path that are set, the soonest first.
func (s *Simulation) Armed(path string) (out []Armed) {
	c := s.rt.find(path)
	for i := 0; c == nil && i < len(s.others); i++ {
		c = s.others[i].find(path)
	}
	if c == nil || c.x == nil {
		return nil
	}
	for t := c.x.timers; t != nil; t = t.next {
		if t.at != 0 {
			out = append(out, Armed{time.Duration(t.at - s.clock), t.msg})
		}
	}
	slices.SortStableFunc(out, func(a, b Armed) int { return cmp.Compare(a.In, b.In) })
	return out
}
