package script

import (
	"sync"
	"time"
)

// Driver makes things happen. A simulated world is one.
type Driver interface {
	Now() time.Time
	// RunUntil lets things happen until cond holds; it reports false if limit has passed before.
	RunUntil(cond func() bool, limit time.Duration) bool
}

// waker is a Driver that wants to know when a peer has seen something.
type waker interface{ Wake() }

// Live drives peers in real time, or in the virtual time of testing/synctest. One may drive many
// peers. The condition of a RunUntil is looked at whenever one of them has seen something.
func Live() Driver { return &live{} }

type live struct {
	mu      sync.Mutex
	changed chan struct{}
}

func (*live) Now() time.Time { return time.Now() }

func (l *live) RunUntil(cond func() bool, limit time.Duration) bool {
	late := time.NewTimer(limit)
	defer late.Stop()
	for {
		again := l.next()
		if cond() {
			return true
		}
		select { // order-free: cond decides
		case <-again:
		case <-late.C:
			return cond()
		}
	}
}

func (l *live) next() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// Wake makes RunUntil look again.
func (l *live) Wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}
