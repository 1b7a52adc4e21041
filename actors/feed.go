package actors

import (
	"context"
	"io"
	"sync"
)

// Feed hands values to one goroutine outside of the actor world without ever making the sender
// wait: it holds the newest values and counts those that it had to drop.
type Feed[T any] struct {
	mu     sync.Mutex
	ring   []T
	head   int
	n      int
	limit  int
	lost   uint64
	closed error
	wake   chan struct{}
	sim    *Simulation // nil: live
	woken  waiter      // instead of wake

	onClose []func() // mu; each is called once, at the first Close
}

// NewFeed makes a feed that holds at most limit values. rt is where its reader waits; nil stands
// for any live runtime.
func NewFeed[T any](rt *Runtime, limit int) *Feed[T] {
	f := &Feed[T]{limit: max(limit, 1), wake: make(chan struct{}, 1)}
	if rt != nil && rt.sim != nil {
		f.sim, f.woken = rt.sim, rt.sim.newWaiter()
	}
	return f
}

// Put adds v; the oldest value goes when the feed is full.
func (f *Feed[T]) Put(v T) {
	f.mu.Lock()
	if f.closed != nil {
		f.mu.Unlock()
		return
	}
	if f.ring == nil {
		f.ring = make([]T, f.limit)
	}
	if f.n == f.limit {
		f.head = (f.head + 1) % f.limit
		f.n--
		f.lost++
	}
	f.ring[(f.head+f.n)%f.limit] = v
	f.n++
	f.mu.Unlock()
	f.signal()
}

func (f *Feed[T]) signal() {
	if f.sim != nil {
		f.woken.wake()
		return
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Next waits for a value. lost is how many values were dropped right before it. After Close the
// rest is still handed out, then the error of Close.
func (f *Feed[T]) Next(ctx context.Context) (v T, lost uint64, err error) {
	for {
		f.mu.Lock()
		if f.n > 0 {
			var zero T
			v, f.ring[f.head] = f.ring[f.head], zero
			f.head = (f.head + 1) % f.limit
			f.n--
			lost, f.lost = f.lost, 0
			again := f.n > 0
			f.mu.Unlock()
			if again {
				f.signal()
			}
			return v, lost, nil
		}
		closed := f.closed
		f.mu.Unlock()
		if closed != nil {
			f.signal()
			return v, 0, closed
		}
		if f.sim != nil {
			ready := func() bool { return f.n > 0 || f.closed != nil }
			if err := f.sim.waitFor(ctx, f.woken, ready); err != nil {
				return v, 0, err
			}
			continue
		}
		select { // order-free: a value and a cancelled context that come together may go either way
		case <-f.wake:
		case <-ctx.Done():
			return v, 0, context.Cause(ctx)
		}
	}
}

// Find waits for a value that want says yes to, and drops those before it.
func (f *Feed[T]) Find(ctx context.Context, want func(T) bool) (T, error) {
	for {
		v, _, err := f.Next(ctx)
		if err != nil || want(v) {
			return v, err
		}
	}
}

// Len is the number of values that wait.
func (f *Feed[T]) Len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// Close ends the feed with err; nil stands for io.EOF.
func (f *Feed[T]) Close(err error) {
	if err == nil {
		err = io.EOF
	}
	f.mu.Lock()
	if f.closed == nil {
		f.closed = err
	}
	then := f.onClose
	f.onClose = nil
	f.mu.Unlock()
	f.signal()
	for _, g := range then {
		g()
	}
}

// atClose calls g when the feed is closed, at once if it is.
func (f *Feed[T]) atClose(g func()) {
	f.mu.Lock()
	closed := f.closed != nil
	if !closed {
		f.onClose = append(f.onClose, g)
	}
	f.mu.Unlock()
	if closed {
		g()
	}
}
