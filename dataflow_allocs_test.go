//go:build !race

package troupe_test

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/internal/buf"
)

// What the data path allocates, as docs/dataflow.md states it: both sides together, one stream over
// TCP, Noise and yamux, in writes of 64 KiB. It is counted, not timed. TROUPE_LONG makes it 1 GiB,
// which takes some seconds, in place of 64 MiB. Where bytes are copied is asked in dataflow_test.go.
// Under the race detector sync.Pool drops buffers at random, so this is not asked there.

// pour is one way to send bytes and one to receive them.
type pour struct {
	name string
	// sink is a handler that takes all, and tells how much when the remote ends.
	sink func(got chan<- int64) troupe.Handler
	// send opens a stream for it and sends n bytes and the end.
	send func(ctx context.Context, from, to *troupe.System, n int64) error
	most float64 // allocations for each MiB
}

var pours = []pour{
	{"function handlers", functionSink, functionSend, 12},
	{"actor handlers", actorSink, actorSend, 12},
}

const pourProtocol = "/test/pour/1.0.0"

func functionSend(ctx context.Context, from, to *troupe.System, n int64) error {
	s, err := from.Open(ctx, to.ID(), pourProtocol)
	if err != nil {
		return err
	}
	p := make([]byte, pourWrite)
	for ; n > 0; n -= pourWrite {
		if _, err := s.Write(p); err != nil {
			return err
		}
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, s)
	return err
}

func actorSend(ctx context.Context, from, to *troupe.System, n int64) error {
	body := buf.Get(pourWrite)
	defer body.Release()
	ended := make(chan error, 1)
	write := func(s *troupe.StreamRef) {
		for n > 0 {
			n -= pourWrite
			body.Retain() // it is given away again and again, and nobody writes to it
			if s.Write(body) != troupe.Accepted {
				return
			}
		}
		s.CloseWrite()
	}
	h := troupe.ActorHandler(func() actor.Actor {
		return receiver(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *troupe.StreamOpened:
				write(m.Stream)
			case *troupe.StreamWritable:
				write(m.Stream)
			case *troupe.StreamEnded:
				ended <- m.Err
			}
		})
	})
	if _, err := from.OpenWith(ctx, to.ID(), troupe.OpenOptions{Handler: h}, pourProtocol); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return errors.New("no end")
	}
}

// A pool that is empty, a list that grows, a socket that is full at last: there is always something,
// and more of it on a busy machine, so the best of some rounds counts. One allocation more for each
// write, which is 16 for each MiB, is too much in every round.
func TestDataFlowAllocatesNextToNothing(t *testing.T) {
	size, rounds := int64(64<<20), 5
	if os.Getenv("TROUPE_LONG") != "" {
		size, rounds = 1<<30, 2
	}
	for _, p := range pours {
		t.Run(p.name, func(t *testing.T) {
			a, b := newNode(t), newNode(t)
			got := make(chan int64, 1)
			register(t, b, pourProtocol, p.sink(got))
			connect(t, a, b)
			run := func(n int64) {
				if err := p.send(bounded(t), a, b, n); err != nil {
					t.Fatal(err)
				}
				if k := <-got; k != n {
					t.Fatalf("%d bytes arrived of %d", k, n)
				}
			}
			run(64 << 20) // fills the pools, and both have identified each other by its end
			for round := 1; ; round++ {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				run(size)
				runtime.ReadMemStats(&after)
				mib := float64(size) / (1 << 20)
				each := float64(after.Mallocs-before.Mallocs) / mib
				t.Logf("%.1f allocations of %.0f bytes for each MiB", each, float64(after.TotalAlloc-before.TotalAlloc)/mib)
				if each <= p.most {
					return
				}
				if round == rounds {
					t.Fatalf("more than %.0f allocations for each MiB in each of %d rounds", p.most, rounds)
				}
			}
		})
	}
}
