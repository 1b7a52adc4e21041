package websocket

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// idleCost is what one idle conduit costs on average, of both ends of n connections on which a message has
// gone each way.
func idleCost(tb testing.TB, cfg Config, at ma.Multiaddr, n int) (bytes, goroutines float64) {
	tb.Helper()
	tr := New(transporttest.Runtime(tb), cfg)
	acc := &transporttest.Acceptor{}
	l, err := tr.Listen(at, acc)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	ends := make([]conduit.Conduit, 0, 2*n)
	tb.Cleanup(func() {
		for _, c := range ends {
			c.Abandon()
		}
	})
	connect := func(i int) {
		c, err := transporttest.Dial(tb.Context(), tr, l.Addr())
		if err != nil {
			tb.Fatal(err)
		}
		in := acc.Next(tb, i)
		ends = append(ends, c, in)
		one, other := transporttest.NewCounter(c.Raw, 100), transporttest.NewCounter(in.Raw, 100)
		c.Raw.Bind(one, 1)
		in.Raw.Bind(other, 1)
		for _, end := range []conduit.Conduit{c, in} {
			if n, err := end.Raw.TryWrite(make([]byte, 100)); n != 100 || err != nil {
				tb.Fatal(n, err)
			}
		}
		<-one.Done
		<-other.Done
	}
	alone := transporttest.Goroutines()
	connect(0) // pools, and what is made once
	transporttest.Settle(tb, "goroutines", alone+2, transporttest.Goroutines)
	bufs, before, was := buf.Live(), transporttest.Goroutines(), inUse()
	for i := range n {
		connect(1 + i)
	}
	transporttest.Settle(tb, "goroutines", before+2*n, transporttest.Goroutines)
	transporttest.Settle(tb, "buffers", int(bufs), func() int { return int(buf.Live()) })
	return float64(inUse()-was) / float64(2*n), float64(transporttest.Goroutines()-before) / float64(2*n)
}

// inUse is the heap and the stacks, after what is not needed any more is gone.
func inUse() int64 {
	for range 3 { // pools forget in two rounds
		debug.FreeOSMemory()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func TestAnIdleConnectionIsOneGoroutineWithoutABuffer(t *testing.T) {
	for _, c := range idleKinds(t) {
		t.Run(c.name, func(t *testing.T) {
			if _, goroutines := idleCost(t, c.cfg, c.at, 20); goroutines != 1 {
				t.Errorf("%v goroutines", goroutines)
			}
		})
	}
}

type idleKind struct {
	name string
	cfg  Config
	at   ma.Multiaddr
	most float64 // bytes of one conduit
}

func idleKinds(tb testing.TB) []idleKind {
	tb.Helper()
	return []idleKind{{"ws", Config{}, anyPort, 10 << 10}, {"wss", secured(tb), anyPortS, 20 << 10}}
}

// BenchmarkIdle reports what an idle conduit costs, its goroutine's stack included.
func BenchmarkIdle(b *testing.B) {
	for _, c := range idleKinds(b) {
		b.Run(c.name, func(b *testing.B) {
			bytes, goroutines := idleCost(b, c.cfg, c.at, 200)
			b.ReportMetric(bytes, "B/conduit")
			b.ReportMetric(goroutines, "goroutines/conduit")
		})
	}
}
