package actors

import (
	"io"
	"time"
)

// host is what differs between a live and a simulated runtime: who runs turns, what time it is,
// and where randomness comes from. Everything above it is the same code.
type host interface {
	// schedule runs c.turn until it reports that nothing is left. Whoever helps c along (Ref.Help) may
	// be first: turn does nothing then.
	schedule(c *cell)
	// now is the wall clock with a monotonic reading; nano counts from the runtime's start.
	now() time.Time
	nano() int64
	// afterFunc runs f after d, not on the caller's goroutine or turn.
	afterFunc(d time.Duration, f func()) stopper
	// goRun runs f, which may block, beside the caller.
	goRun(f func())
	// goWarm is goRun on a goroutine whose stack has grown already, if there is one.
	goWarm(f func())
	// newWaiter makes a place where such an f can wait.
	newWaiter() waiter
	rand() io.Reader
	// float is in [0, 1), for jitter.
	float() float64
	close()
}

type stopper interface{ Stop() bool }

// waiter lets one goroutine wait for another. wake is remembered once: a wait that follows it
// returns at once.
type waiter interface {
	wake()
	// wait returns false when d passed first. d < 0 waits without end.
	wait(d time.Duration) bool
}
