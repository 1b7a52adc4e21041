package actors

import (
	"context"
	"fmt"
	"sync"
)

// ask is a question that waits for its answer. It hangs on the actor that has to answer it, so
// that it is answered when that actor fails or ends. Links are guarded by the owner's mu.
type ask struct {
	mu         sync.Mutex
	owner      *cell
	answered   bool
	moving     bool // on its way from one owner to the next: nobody else may touch the links
	givenUp    bool // answered means that who asked does not wait any more
	onGivenUp  func()
	fail       func(error)
	prev, next *ask
}

// Reply is the right to answer one question, once. The zero Reply answers nobody. It travels
// inside a message; whoever passes the question on to another actor calls MoveTo.
type Reply[T any] struct{ a *typedAsk[T] }

type typedAsk[T any] struct {
	ask
	deliver func(T, error)
}

// take claims the right to answer and unhooks the question from its owner.
func (a *ask) take() bool {
	a.mu.Lock()
	if a.answered {
		a.mu.Unlock()
		return false
	}
	a.answered = true
	owner := a.owner
	a.owner = nil
	a.mu.Unlock()
	if owner != nil {
		owner.mu.Lock()
		a.unlink(owner)
		owner.mu.Unlock()
	}
	return true
}

// giveUp is take by who asked.
func (a *ask) giveUp() bool {
	if !a.take() {
		return false
	}
	a.mu.Lock()
	a.givenUp = true
	told := a.onGivenUp
	a.onGivenUp = nil
	a.mu.Unlock()
	if told != nil {
		told()
	}
	return true
}

// unlink is called with owner.mu held; it is a no-op for a list that was taken as a whole.
func (a *ask) unlink(owner *cell) {
	if owner.x == nil {
		return
	}
	switch {
	case a.prev != nil:
		a.prev.next = a.next
	case owner.x.asks == a:
		owner.x.asks = a.next
	default:
		return
	}
	if a.next != nil {
		a.next.prev = a.prev
	}
	a.prev, a.next = nil, nil
}

// hang puts the question on c, from where it gets an answer if c ends. Of two calls at once one
// has its way.
func (a *ask) hang(c *cell) error {
	a.mu.Lock()
	if a.answered || a.moving {
		a.mu.Unlock()
		return nil
	}
	old := a.owner
	a.owner, a.moving = nil, true
	a.mu.Unlock()
	if old != nil {
		old.mu.Lock()
		a.unlink(old)
		old.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.moving = false
	if a.answered {
		return nil
	}
	if err := c.closedErr(); err != nil {
		return err
	}
	a.owner = c
	x := c.ext()
	a.prev, a.next = nil, x.asks
	if x.asks != nil {
		x.asks.prev = a
	}
	x.asks = a
	return nil
}

// takeAsks is called with mu held. The list it gives out belongs to the caller.
func (x *extras) takeAsks() []*ask {
	var out []*ask
	for a := x.asks; a != nil; {
		next := a.next
		a.prev, a.next = nil, nil
		out = append(out, a)
		a = next
	}
	x.asks = nil
	return out
}

func (rt *Runtime) failAsks(asks []*ask, why error) {
	for _, a := range asks {
		if a.take() {
			rt.guard("ask", a, func() { a.fail(why) })
		}
	}
}

// Answer gives the answer. Later answers are ignored.
func (r Reply[T]) Answer(v T) {
	if r.a != nil && r.a.take() {
		r.a.deliver(v, nil)
	}
}

// Fail answers with an error.
func (r Reply[T]) Fail(err error) {
	if r.a != nil && r.a.take() {
		var zero T
		r.a.deliver(zero, err)
	}
}

// IsZero says that nobody waits for the answer.
func (r Reply[T]) IsZero() bool { return r.a == nil }

// Gone says that the question was answered already, or given up by who asked.
func (r Reply[T]) Gone() bool {
	if r.a == nil {
		return true
	}
	r.a.mu.Lock()
	defer r.a.mu.Unlock()
	return r.a.answered
}

// OnGivenUp has f called, once, if who asked stops waiting before there is an answer: by them, on
// their goroutine, or right here if they have gone already. f must not block; it may send a
// message. A later f replaces an earlier one.
func (r Reply[T]) OnGivenUp(f func()) {
	if r.a == nil {
		return
	}
	r.a.mu.Lock()
	gone := r.a.givenUp
	if !gone {
		r.a.onGivenUp = f
	}
	r.a.mu.Unlock()
	if gone {
		f()
	}
}

// MoveTo makes the actor behind to responsible for the answer: it is failed when that actor
// fails or ends.
func MoveTo[T, M any](r Reply[T], to Ref[M]) {
	if r.a == nil {
		return
	}
	c := to.at()
	if c == nil {
		r.Fail(ErrStopped)
		return
	}
	if err := r.a.hang(c); err != nil {
		r.Fail(err)
	}
}

// NewReply makes a question whose answer, error or lack of a living answerer is told to deliver,
// once, on whichever goroutine that happens; deliver must not block. The actor behind to is
// responsible for the answer.
func NewReply[T, M any](to Ref[M], deliver func(T, error)) Reply[T] {
	a := &typedAsk[T]{deliver: deliver}
	a.fail = func(err error) {
		var zero T
		deliver(zero, err)
	}
	r := Reply[T]{a}
	MoveTo(r, to)
	return r
}

// Ask asks an actor from outside of the actor world and waits for the answer until ctx is done.
// make builds the message around the reply. It must not be called in an actor's turn. The
// message goes to the data lane: a full mailbox is an answer.
func Ask[T, M any](ctx context.Context, to Ref[M], make func(Reply[T]) M) (T, error) {
	return askOn(ctx, to, make, to.Send)
}

// AskInline is Ask of an actor that is made for being asked so (Spec.Inline): if it has nothing to
// do, the caller's goroutine runs its turn.
func AskInline[T, M any](ctx context.Context, to Ref[M], make func(Reply[T]) M) (T, error) {
	return askOn(ctx, to, make, to.Offer)
}

// AskControl is Ask on the control lane, for the node's own questions.
func AskControl[T, M any](ctx context.Context, to Ref[M], make func(Reply[T]) M) (T, error) {
	return askOn(ctx, to, make, to.Control)
}

type answer[T any] struct {
	v   T
	err error
}

func askOn[T, M any](ctx context.Context, to Ref[M], makeMsg func(Reply[T]) M, send func(M) error) (T, error) {
	if c := to.at(); c != nil && c.rt.sim != nil {
		return askSimulated(ctx, c.rt.sim, to, makeMsg, send)
	}
	ch := make(chan answer[T], 1)
	r := NewReply(to, func(v T, err error) { ch <- answer[T]{v, err} })
	if !r.Gone() {
		if err := send(makeMsg(r)); err != nil {
			r.Fail(err)
		}
	}
	select { // order-free: an answer and a cancelled context that come together may go either way
	case a := <-ch:
		return a.v, a.err
	case <-ctx.Done():
		if r.a.giveUp() {
			var zero T
			return zero, fmt.Errorf("waiting for %s: %w", to.Path(), context.Cause(ctx))
		}
		a := <-ch // the answer won the race
		return a.v, a.err
	}
}

// askSimulated is askOn where waiting makes things happen.
func askSimulated[T, M any](ctx context.Context, sim *Simulation, to Ref[M], makeMsg func(Reply[T]) M, send func(M) error) (T, error) {
	var got *answer[T]
	w := sim.newWaiter()
	r := NewReply(to, func(v T, err error) {
		got = &answer[T]{v, err}
		w.wake()
	})
	if !r.Gone() {
		if err := send(makeMsg(r)); err != nil {
			r.Fail(err)
		}
	}
	if err := sim.waitFor(ctx, w, func() bool { return got != nil }); err != nil && r.a.giveUp() {
		var zero T
		return zero, fmt.Errorf("waiting for %s: %w", to.Path(), err)
	}
	return got.v, got.err
}
