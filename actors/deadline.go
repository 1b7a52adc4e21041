package actors

import (
	"context"
	"time"
)

// WithTimeout is context.WithTimeout by the runtime's clock, for calls from outside of the actor
// world: in a simulated runtime it is virtual time that passes.
func (rt *Runtime) WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	at := rt.host.now().Add(d)
	if t, ok := parent.Deadline(); ok && t.Before(at) {
		at = t
	}
	t := rt.host.afterFunc(d, func() { cancel(context.DeadlineExceeded) })
	return deadlined{ctx, at}, func() {
		t.Stop()
		cancel(context.Canceled)
	}
}

// deadlined shows the deadline that a timer of the runtime keeps.
type deadlined struct {
	context.Context
	at time.Time
}

func (d deadlined) Deadline() (time.Time, bool) { return d.at, true }

func (d deadlined) Err() error {
	if err := d.Context.Err(); err != nil {
		if context.Cause(d.Context) == context.DeadlineExceeded { //nolint:errorlint // our own cause, not wrapped
			return context.DeadlineExceeded
		}
		return err
	}
	return nil
}

// OnDone calls f, which must not block, once ctx is done; stop prevents a call that has not
// begun.
func (rt *Runtime) OnDone(ctx context.Context, f func()) (stop func() bool) {
	call := func() { rt.guard("OnDone", ctx, f) }
	if rt.sim != nil {
		return rt.sim.onDone(ctx, call)
	}
	return context.AfterFunc(ctx, call)
}
