package book

import (
	"container/heap"
	"time"
)

const (
	// sweepEvery is how often expired entries are removed. Nothing depends on it: who asks gets
	// no expired address anyway.
	sweepEvery = 10 * time.Second
	// sweepMost is how many peers one HandleTimeout looks at. It stops an attacker who lets a
	// hundred thousand addresses expire in the same instant from holding up a turn.
	sweepMost = 256
)

// Deadline is when HandleTimeout is due.
func (b *Book) Deadline() (time.Time, bool) {
	if len(b.due) == 0 {
		return time.Time{}, false
	}
	at := b.due[0].wake
	if next := b.swept.Add(sweepEvery); at.Before(next) {
		at = next
	}
	return at, true
}

// HandleTimeout forgets what has expired, a bounded amount at a time.
func (b *Book) HandleTimeout(now time.Time) {
	for range sweepMost {
		if len(b.due) == 0 || now.Before(b.due[0].wake) {
			b.swept = now
			return
		}
		p := b.due[0]
		p.drop(func(e entry) bool { return !e.live(now) })
		p.measure()
		if len(p.addrs) == 0 && !p.connected && !now.Before(p.keep) {
			b.remove(p)
			continue
		}
		b.update(p)
	}
	b.swept = now.Add(-sweepEvery) // there is more: again at once
}

// wakes is a heap of peers by the time of their next expiry.
type wakes []*peer

func (w wakes) Len() int { return len(w) }

func (w wakes) Less(i, j int) bool {
	if w[i].wake.Equal(w[j].wake) {
		return w[i].used < w[j].used
	}
	return w[i].wake.Before(w[j].wake)
}

func (w wakes) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].pos, w[j].pos = i+1, j+1
}

// Push and Pop are container/heap's.
func (w *wakes) Push(x any) {
	p := x.(*peer)
	p.pos = len(*w) + 1
	*w = append(*w, p)
}

func (w *wakes) Pop() any {
	old := *w
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*w = old[:len(old)-1]
	p.pos = 0
	return p
}

func (w *wakes) update(p *peer) {
	switch {
	case p.wake.IsZero():
		w.remove(p)
	case p.pos == 0:
		heap.Push(w, p)
	default:
		heap.Fix(w, p.pos-1)
	}
}

func (w *wakes) remove(p *peer) {
	if p.pos != 0 {
		heap.Remove(w, p.pos-1)
	}
}
