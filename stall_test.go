package troupe_test

import (
	"context"
	"slices"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/protocols/echo"
)

// A subscriber that never reads and a hundred handlers that never read, while connections come
// and go, must not slow what others do: the 99th percentile of opening a stream and having a byte
// echoed on it stays within one and a half times what it is without them. They come and go in one
// run, A-B-A; what a busy machine does to one round, another may mend.
func TestReadersThatNeverReadStallNobody(t *testing.T) {
	const most, rounds = 1.5, 4
	a, b, c := newNode(t), newNode(t), newNode(t)
	register(t, a, echo.Protocol, echo.Handler())
	const idle = "/test/idle/1.0.0"
	register(t, a, idle, troupe.StreamHandler(func(ctx context.Context, _ *troupe.Stream) { <-ctx.Done() }))
	connect(t, b, a)
	for round := 1; ; round++ {
		before := opens(t, b, a, c)
		ctx, cancel := context.WithCancel(t.Context())
		a.Subscribe(ctx, 16)
		for range 100 {
			fill(t, b, a, idle)
		}
		beside := opens(t, b, a, c)
		cancel()
		a.Disconnect(b.ID())
		wantConns(t, b, 0)
		connect(t, b, a)
		after := opens(t, b, a, c)
		ratio := float64(beside) / float64(max(before, after))
		t.Logf("p99 of an open: %v, %v beside readers that never read, %v again: %.2f x", before, beside, after, ratio)
		switch {
		case ratio <= most:
			return
		case round == rounds:
			t.Fatalf("more than %.1f times as slow in each of %d rounds", most, rounds)
		}
	}
}

// fill opens a stream and writes until nothing more is taken.
func fill(t *testing.T, from, to *troupe.System, protocol string) {
	t.Helper()
	s := open(t, from, to.ID(), protocol)
	_ = s.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	p := make([]byte, 64<<10)
	for {
		if _, err := s.Write(p); err != nil {
			return
		}
	}
}

// opens gives the 99th percentile of the time that from takes to open a stream and to get a byte
// back, while a third node comes and goes.
func opens(t *testing.T, from, to, third *troupe.System) time.Duration {
	t.Helper()
	ctx, cancel := context.WithCancel(bounded(t))
	over := make(chan struct{})
	go func() {
		defer close(over)
		for ctx.Err() == nil {
			_, _ = third.DialAddr(ctx, addr(to))
			third.Disconnect(to.ID())
		}
	}()
	took := make([]time.Duration, 1000)
	for i := range took {
		start := time.Now()
		if err := echoes(ctx, from, to, "x"); err != nil {
			t.Fatal(err)
		}
		took[i] = time.Since(start)
	}
	cancel()
	<-over
	slices.Sort(took)
	return took[len(took)*99/100]
}
