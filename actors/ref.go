package actors

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// Ref is a typed reference to an actor: M is the sealed interface of the messages that it
// understands, so that a wrong message does not compile. The zero Ref refers to nobody: sends
// fail with ErrStopped. A Ref outlives restarts of its actor.
type Ref[M any] struct {
	c    *cell
	slot *Slot // instead of c
}

// Slot is a place in the tree rather than an actor: a Ref to it reaches whoever lives there now.
// It lets actors that need each other be wired before any of them runs, and outlives restarts of
// their supervisors. An actor takes its place by Spec.Slot.
type Slot struct{ cur atomic.Pointer[cell] }

// SlotRef is the reference to whoever lives in s. M must be its message type.
func SlotRef[M any](s *Slot) Ref[M] { return Ref[M]{slot: s} }

// at is the actor behind the reference right now, nil for nobody.
func (r Ref[M]) at() *cell {
	if r.slot != nil {
		return r.slot.cur.Load()
	}
	return r.c
}

// give hands m to c in one of its ways, or discards it.
func give(c *cell, m any, way func(*cell, any) error) error {
	err := ErrStopped
	if c != nil {
		err = way(c, m)
	}
	return given(m, err)
}

func given(m any, err error) error {
	if err != nil {
		discard(m, err)
	}
	return err
}

// Send queues m as data. The error says why m will never be received; m's Discard has been
// called then.
func (r Ref[M]) Send(m M) error {
	return give(r.at(), m, (*cell).postData)
}

// Control queues m on the lane that is never full for an honest sender: for what the node
// itself says, not for what a remote can cause at will.
func (r Ref[M]) Control(m M) error {
	return give(r.at(), m, (*cell).postControl)
}

// Offer is Send for goroutines outside of the actor world (pumps, blocking readers and writers):
// if the actor is idle and its Spec says Inline, its turn runs right here, before Offer returns.
// An actor's turn may Offer to an inline actor too; turns nest then, so these must not be many.
func (r Ref[M]) Offer(m M) error {
	return give(r.at(), m, func(c *cell, m any) error { return c.offer(m, nil) })
}

// Lead is Offer for a pump, whose goroutine goes on to run one Inline actor that the turn has handed
// something to: see Hand and Spec.Follow.
func (r Ref[M]) Lead(m M) error {
	return give(r.at(), m, func(c *cell, m any) error {
		_, err := c.lead(m, false)
		return err
	})
}

// LeadRest is Lead for a Lender, which is to Run what is left, unless that is nil, or to Post it. What
// runs users' code is left when turns have been short: see Spec.Pace.
func (r Ref[M]) LeadRest(m M) (rest Rest, err error) {
	err = ErrStopped
	if c := r.at(); c != nil {
		var left *cell
		if left, err = c.lead(m, true); left != nil {
			rest = left
		}
	}
	return rest, given(m, err)
}

// Hand is Control for the turn of by: if to is Inline and idle, the goroutine of that turn runs to when
// it is through, where that can be, and no worker is woken.
func Hand[M, B any](to Ref[M], m M, by Ref[B]) error {
	return give(to.at(), m, func(c *cell, m any) error { return c.hand(m, by.at()) })
}

// Help is for a goroutine outside of the actor world that is about to wait for what an Inline actor
// will do: if the actor waits for a worker, its turn runs right here.
func (r Ref[M]) Help() {
	c := r.at()
	if c == nil || !c.pol.Inline || !c.rt.inline {
		return
	}
	c.mu.Lock()
	queued := c.run == runQueued
	c.mu.Unlock()
	if queued && c.turn(turnBatch, nil) {
		c.rt.host.schedule(c)
	}
}

// PID is proto.actor's reference to the same actor; nil for the zero Ref.
func (r Ref[M]) PID() *actor.PID {
	if c := r.at(); c != nil {
		return c.self
	}
	return nil
}

// Path is the actor's place in the tree.
func (r Ref[M]) Path() string {
	if c := r.at(); c != nil {
		return c.path()
	}
	return ""
}

// IsZero says that the Ref refers to nobody.
func (r Ref[M]) IsZero() bool { return r.at() == nil }

// Ended says that the actor has ended or was abandoned and will never receive anything again.
func (r Ref[M]) Ended() bool {
	c := r.at()
	return c == nil || c.at() >= Ended
}

// Stop ends the actor, whatever its Restart says. For its supervisor, or for whoever made a
// root.
func (r Ref[M]) Stop() {
	if c := r.at(); c != nil {
		c.stopNow()
	}
}

// StopAfter ends the actor once it has handled the control messages that wait for it. One that stays
// inside of one message for Grace is stopped as by Stop.
func (r Ref[M]) StopAfter() {
	c := r.at()
	if c == nil {
		return
	}
	if s := (&stopAfter{c}); c.postControl(s) != nil {
		s.Discard(nil)
		return
	}
	c.mu.Lock()
	if !c.dead {
		c.rt.reaper.watch(c, &c.rt.reaper.turns)
	}
	c.mu.Unlock()
}

// Done is closed when the actor has ended or was abandoned.
func (r Ref[M]) Done() <-chan struct{} {
	c := r.at()
	if c == nil {
		return closedChan
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return closedChan
	}
	x := c.seldom()
	if x.done == nil {
		x.done = make(chan struct{})
	}
	return x.done
}

var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Same says that both refer to one actor.
func (r Ref[M]) Same(o Ref[M]) bool { return r.at() == o.at() }

// Self is the reference of the actor whose turn this is. M must be its message type.
func Self[M any](ctx actor.Context) Ref[M] { return Ref[M]{c: cellOf(ctx)} }

// Cast gives the same actor's reference for another message set, which must be part of what the
// actor understands. For the places where references are handed out.
func Cast[N, M any](r Ref[M]) Ref[N] { return Ref[N](r) }

// More says that another message waited behind the one in hand when that was taken. Its turn follows,
// unless the actor fails or is stopped first: what can wait for it costs less there, with what that
// one adds to it.
func More(ctx actor.Context) bool {
	c := cellOf(ctx)
	return c != nil && c.more
}

// RuntimeOf is the runtime of the actor whose turn this is.
func RuntimeOf(ctx actor.Context) *Runtime {
	if c := cellOf(ctx); c != nil {
		return c.rt
	}
	return nil
}

// End is how a child ended.
type End struct {
	Path string
	Name string
	Kind string
	// Err is nil after an orderly stop, a *PanicError after a failure, ErrAbandoned for an
	// actor that is stuck.
	Err error
}

// ChildEnd gives the details of the *actor.Terminated in hand: ok when it is about a child.
func ChildEnd(ctx actor.Context) (e End, ok bool) {
	c := cellOf(ctx)
	if c == nil {
		return End{}, false
	}
	c.mu.Lock()
	var child *cell
	if c.x != nil {
		child = c.x.ending
	}
	c.mu.Unlock()
	if child == nil {
		return End{}, false
	}
	child.mu.Lock()
	defer child.mu.Unlock()
	e = End{Path: child.path(), Name: child.name, Kind: child.pol.Kind}
	if r := child.seen(); r != nil {
		e.Err = r.cause
	}
	return e, true
}

// EndedRef says whether the *actor.Terminated in hand is about r, and not about an earlier actor
// of that name.
func EndedRef[M any](ctx actor.Context, r Ref[M]) bool {
	t, ok := ctx.Message().(*actor.Terminated)
	c := r.at()
	return ok && c != nil && (t.Who == c.self || t.Who.Equal(c.self) && c.at() >= Ended)
}
