package mux

import "time"

// fifo holds streams that wait equally long for something, in order of time. Leaving early is
// free: an entry that no longer waits is skipped when its turn comes.
type fifo struct{ q []waiting }

type waiting struct {
	e  *entry
	at time.Time
}

// compactAt is the length from which a queue whose front has moved far is copied down.
const compactAt = 64

func (f *fifo) push(e *entry, at time.Time) { f.q = append(f.q, waiting{e, at}) }

// skip drops those in front that have left.
func (f *fifo) skip() {
	n := 0
	for n < len(f.q) && f.q[n].e.waits != f {
		n++
	}
	if f.q = f.q[n:]; len(f.q) == 0 {
		f.q = nil
	} else if cap(f.q) > compactAt && len(f.q) < cap(f.q)/4 {
		f.q = append([]waiting(nil), f.q...)
	}
}

func (f *fifo) deadline() (time.Time, bool) {
	f.skip()
	if len(f.q) == 0 {
		return time.Time{}, false
	}
	return f.q[0].at, true
}

// due takes the first entry whose time has come; nil when there is none.
func (f *fifo) due(now time.Time) *entry {
	f.skip()
	if len(f.q) == 0 || now.Before(f.q[0].at) {
		return nil
	}
	e := f.q[0].e
	e.waits = nil
	f.q = f.q[1:]
	return e
}
