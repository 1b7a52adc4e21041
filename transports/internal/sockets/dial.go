package sockets

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
)

// Dial runs dial on a pump of its own and tells done the outcome, once, even of a panic. A connection
// that done has panicked on is closed.
func Dial(rt *actors.Runtime, label string, dial func() (conduit.Conduit, error), done func(conduit.Conduit, error)) {
	dialOn(rt.Pump, rt, label, dial, done)
}

// DialErrand is Dial for a dial that runs nobody else's code and is over soon.
func DialErrand(rt *actors.Runtime, label string, dial func() (conduit.Conduit, error), done func(conduit.Conduit, error)) {
	dialOn(rt.Errand, rt, label, dial, done)
}

func dialOn(
	start func(string, func(), func(*actors.PanicError)), rt *actors.Runtime, label string,
	dial func() (conduit.Conduit, error), done func(conduit.Conduit, error),
) {
	var c conduit.Conduit // of a dial that has worked
	told := false
	start(label, func() {
		got, err := dial()
		if err == nil {
			c = got
		}
		told = true
		done(c, err)
	}, func(pe *actors.PanicError) {
		c.Abandon()
		if !told {
			rt.Pump(label, func() { done(conduit.Conduit{}, pe) }, ignore)
		}
	})
}

// Connect runs dial for at most a while, and no longer than ctx lasts. It says whose fault a failure is.
func Connect[C io.Closer](ctx context.Context, while time.Duration, dial func(context.Context) (C, error)) (C, fault.Origin, error) {
	var none C
	limit := time.Now().Add(while)
	theirs, ok := ctx.Deadline()
	callers := ok && theirs.Before(limit) // it is the caller's deadline that comes first
	within, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	c, err := dial(within)
	switch {
	case ctx.Err() != nil:
		if err == nil {
			_ = c.Close()
		}
		return none, fault.Local, fault.Canceled(ctx)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), err != nil && within.Err() != nil:
		if callers { // the poller's clock was faster than the context's
			return none, fault.Local, context.DeadlineExceeded
		}
		return none, fault.Remote, NoAnswer(while)
	case err != nil:
		return none, OriginOf(err), err
	}
	return c, 0, nil
}
