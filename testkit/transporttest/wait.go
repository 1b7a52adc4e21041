package transporttest

import (
	"bytes"
	"context"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
)

// patience is how long a wait may take before the test fails.
var patience = 20 * time.Second

// board is a condition variable with a time limit: state changes under its lock, and whoever
// waits looks again after each change.
type board struct {
	mu      sync.Mutex
	changed chan struct{}
}

// set changes the state.
func (b *board) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// wait looks until ok.
func (b *board) wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !b.await(ok) {
		t.Fatalf("%s: did not happen within %s", what, patience)
	}
}

// await is wait for goroutines that may not end the test.
func (b *board) await(ok func() bool) bool {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		b.mu.Lock()
		if ok() {
			b.mu.Unlock()
			return true
		}
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		again := b.changed
		b.mu.Unlock()
		select { // order-free: a change that comes with the limit may be missed, the test is lost anyway
		case <-again:
		case <-limit.C:
			return false
		}
	}
}

// Runtime makes a runtime, and fails the test if a goroutine of it, any other goroutine or a
// buffer is left over in the end. What the test itself starts must be cleaned up by then.
func Runtime(t testing.TB) *actors.Runtime {
	t.Helper()
	bufs, before := buf.Live(), Goroutines()
	rt := actors.Live(actors.Options{})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if left := rt.Close(ctx); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		Settle(t, "goroutines", before, Goroutines)
		if n := buf.Live(); n != bufs {
			t.Errorf("%d buffers were not released", n-bufs)
		}
	})
	return rt
}

// together runs f(0) to f(n-1) at the same time and waits for all.
func together(t *testing.T, n int, f func(i int)) {
	t.Helper()
	rt := actors.Live(actors.Options{})
	for i := range n {
		rt.Pump("test", func() { f(i) }, func(pe *actors.PanicError) { t.Error(pe) })
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	if left := rt.Close(ctx); len(left) > 0 {
		t.Fatalf("still running: %v", left)
	}
}

// Goroutines counts goroutines, the garbage collector's and its like not among them.
func Goroutines() int {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return bytes.Count(stacks, []byte("\n\n")) + 1
}

// Settle waits until count is back at most at want: a goroutine is still there for a moment
// after the last thing that it does.
func Settle(t testing.TB, what string, want int, count func() int) {
	t.Helper()
	until := time.Now().Add(patience)
	for count() > want {
		if time.Now().After(until) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d %s, %d before\n%s", count(), what, want, stacks[:runtime.Stack(stacks, true)])
		}
		<-time.After(time.Millisecond)
	}
}

// FailingAccepts wraps a listener's accept: it fails with errs, one after another, before it accepts.
func FailingAccepts[C net.Conn](accept func() (C, error), errs ...error) func() (C, error) {
	return func() (C, error) {
		if len(errs) == 0 {
			return accept()
		}
		err := errs[0]
		errs = errs[1:]
		var none C
		return none, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)}
	}
}
