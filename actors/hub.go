package actors

import (
	"context"
	"io"
	"sync"
)

// Hub spreads values to any number of feeds. The sender never waits for any of them.
type Hub[T any] struct {
	// Runtime is where the readers wait. Default: any live one.
	Runtime *Runtime
	// Tap, if set, gets every value before the feeds do, on the goroutine of who emits it. It must not
	// block.
	Tap func(T)

	mu    sync.Mutex
	feeds []*Feed[T]
	over  error
}

// Emit puts v into every feed.
func (h *Hub[T]) Emit(v T) {
	if h.Tap != nil {
		h.Tap(v)
	}
	h.mu.Lock()
	feeds := h.feeds // replaced as a whole, never changed in place
	h.mu.Unlock()
	for _, f := range feeds {
		f.Put(v)
	}
}

// Subscribe adds a feed of at most limit values, until ctx is done or the feed is closed.
func (h *Hub[T]) Subscribe(ctx context.Context, limit int) *Feed[T] {
	f := NewFeed[T](h.Runtime, limit)
	h.mu.Lock()
	if h.over != nil {
		f.Close(h.over)
		h.mu.Unlock()
		return f
	}
	h.feeds = append(h.feeds[:len(h.feeds):len(h.feeds)], f)
	h.mu.Unlock()
	f.atClose(func() { h.remove(f) })
	follow := context.AfterFunc
	if h.Runtime != nil {
		follow = h.Runtime.OnDone
	}
	stop := follow(ctx, func() { f.Close(context.Cause(ctx)) })
	f.atClose(func() { stop() })
	return f
}

func (h *Hub[T]) remove(f *Feed[T]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := make([]*Feed[T], 0, len(h.feeds))
	for _, o := range h.feeds {
		if o != f {
			kept = append(kept, o)
		}
	}
	h.feeds = kept
}

// Close ends every feed with err, and those that are added later; nil stands for io.EOF.
func (h *Hub[T]) Close(err error) {
	if err == nil {
		err = io.EOF
	}
	h.mu.Lock()
	feeds := h.feeds
	h.feeds, h.over = nil, err
	h.mu.Unlock()
	for _, f := range feeds {
		f.Close(err)
	}
}
