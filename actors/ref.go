package actors

import (
	"github.com/asynkron/protoactor-go/actor"
)

// Ref is a typed reference to an actor: M is the sealed interface of the messages that it
// understands, so that a wrong message does not compile. The zero Ref refers to nobody: sends
// fail with ErrStopped. A Ref outlives restarts of its actor.
type Ref[M any] struct{ c *cell }

// Send queues m as data. The error says why m will never be received; m's Discard has been
// called then.
func (r Ref[M]) Send(m M) error {
	if r.c == nil {
		discard(m, ErrStopped)
		return ErrStopped
	}
	err := r.c.postData(m)
	if err != nil {
		discard(m, err)
	}
	return err
}

// Control queues m on the lane that is never full for an honest sender: for what the node
// itself says, not for what a remote can cause at will.
func (r Ref[M]) Control(m M) error {
	if r.c == nil {
		discard(m, ErrStopped)
		return ErrStopped
	}
	err := r.c.postControl(m)
	if err != nil {
		discard(m, err)
	}
	return err
}

// Offer is Send for goroutines outside of the actor world (pumps, blocking readers and writers):
// if the actor is idle and its Spec says Inline, its turn runs right here, before Offer returns.
// An actor's turn may Offer to an inline actor too, which must not Offer in turn: depth one.
func (r Ref[M]) Offer(m M) error {
	if r.c == nil {
		discard(m, ErrStopped)
		return ErrStopped
	}
	err := r.c.offer(m)
	if err != nil {
		discard(m, err)
	}
	return err
}

// PID is proto.actor's reference to the same actor; nil for the zero Ref.
func (r Ref[M]) PID() *actor.PID {
	if r.c == nil {
		return nil
	}
	return r.c.self
}

// Path is the actor's place in the tree.
func (r Ref[M]) Path() string {
	if r.c == nil {
		return ""
	}
	return r.c.path()
}

// IsZero says that the Ref refers to nobody.
func (r Ref[M]) IsZero() bool { return r.c == nil }

// Ended says that the actor has ended or was abandoned and will never receive anything again.
func (r Ref[M]) Ended() bool {
	return r.c == nil || Phase(r.c.phase.Load()) >= Ended
}

// Stop ends the actor, whatever its Restart says. For its supervisor, or for whoever made a
// root.
func (r Ref[M]) Stop() {
	if r.c != nil {
		r.c.command()
	}
}

// StopAfter ends the actor once it has handled the control messages that wait for it.
func (r Ref[M]) StopAfter() {
	if r.c != nil {
		_ = r.c.postControl(&actor.PoisonPill{})
	}
}

// Done is closed when the actor has ended or was abandoned.
func (r Ref[M]) Done() <-chan struct{} {
	d := make(chan struct{})
	if r.c == nil {
		close(d)
		return d
	}
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	if r.c.dead {
		close(d)
		return d
	}
	x := r.c.ext()
	x.done = append(x.done, d)
	return d
}

// Same says that both refer to one actor.
func (r Ref[M]) Same(o Ref[M]) bool { return r.c == o.c }

// Self is the reference of the actor whose turn this is. M must be its message type.
func Self[M any](ctx actor.Context) Ref[M] { return Ref[M]{cellOf(ctx)} }

// Cast gives the same actor's reference for another message set, which must be part of what the
// actor understands. For the places where references are handed out.
func Cast[N, M any](r Ref[M]) Ref[N] { return Ref[N](r) }

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
	if c == nil || c.x == nil || !c.x.ending.set {
		return End{}, false
	}
	child := c.x.ending.c
	child.mu.Lock()
	defer child.mu.Unlock()
	e = End{Path: child.path(), Name: child.name, Kind: child.pol.Kind}
	if child.x != nil {
		e.Err = child.x.cause
	}
	return e, true
}

// EndedRef says whether the *actor.Terminated in hand is about r.
func EndedRef[M any](ctx actor.Context, r Ref[M]) bool {
	t, ok := ctx.Message().(*actor.Terminated)
	return ok && r.c != nil && (t.Who == r.c.self || t.Who.Equal(r.c.self))
}
