package transporttest

import (
	"runtime"
	"testing"

	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// BenchmarkMuxed writes pieces of size bytes on one stream of a Muxed connection of tr to itself: all of
// them one after another, or each when the one before has come.
func BenchmarkMuxed(b *testing.B, tr conduit.Transport, at ma.Multiaddr, size int, each bool) {
	want, done := size, make(chan struct{}, 1)
	if !each {
		want *= b.N
	}
	x, y := Pair(b, tr, at)
	defer x.Abandon()
	defer y.Abandon()
	x.Muxed.Bind(&MuxedSink{})
	y.Muxed.Bind(&MuxedSink{OnAccepted: func(s conduit.MuxedStream) { s.Bind(&Counter{From: s, Want: want, Done: done}, 2) }})
	s, err := x.Muxed.OpenStream()
	if err != nil {
		b.Fatal(err)
	}
	carry(b, NewStreamWriter(s).Write, size, each, done)
}

// BenchmarkIdleConnection tells what one end of a connection that is bound and says nothing takes. Run it
// with -benchtime 500x.
func BenchmarkIdleConnection(b *testing.B, from, to conduit.Transport, at ma.Multiaddr) {
	l, acc := Listen(b, to, at)
	n := 0
	cost(b, func() {
		ours, err := Dial(b.Context(), from, l.Addr())
		if err != nil {
			b.Fatal(err)
		}
		ours.Muxed.Bind(&MuxedSink{})
		theirs := acc.Next(b, n)
		theirs.Muxed.Bind(&MuxedSink{})
		n++
		b.Cleanup(func() { ours.Abandon(); theirs.Abandon() })
	})
	_ = l.Close()
}

// BenchmarkIdleStream tells what one end of a stream takes that is bound and that a byte went each way of.
// It needs a transport with as many streams as there are rounds: run it with -benchtime 500x.
func BenchmarkIdleStream(b *testing.B, tr conduit.Transport, at ma.Multiaddr) {
	x, y := Pair(b, tr, at)
	defer x.Abandon()
	defer y.Abandon()
	opened := make(chan conduit.MuxedStream, 1)
	x.Muxed.Bind(&MuxedSink{})
	y.Muxed.Bind(&MuxedSink{OnAccepted: func(s conduit.MuxedStream) { opened <- s }})
	cost(b, func() {
		s, err := x.Muxed.OpenStream()
		if err != nil {
			b.Fatal(err)
		}
		ours := NewCounter(s, 1)
		s.Bind(ours, 2)
		_, _ = s.TryWrite([]byte("!"))
		r := <-opened
		theirs := NewCounter(r, 1)
		r.Bind(theirs, 2)
		<-theirs.Done
		_, _ = r.TryWrite([]byte("!"))
		<-ours.Done
	})
}

// cost is what one of the ends of something more takes, goroutines of libraries included. Both ends are in
// this process.
func cost(b *testing.B, more func()) {
	b.Helper()
	used := func() (bytes float64, goroutines int) {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapInuse + m.StackInuse), runtime.NumGoroutine()
	}
	more() // what the first one takes for all
	bytes, goroutines := used()
	b.ResetTimer()
	for range b.N {
		more()
	}
	b.StopTimer()
	bytesAfter, goroutinesAfter := used()
	ends := 2 * float64(b.N)
	b.ReportMetric((bytesAfter-bytes)/ends/1e3, "KB/end")
	b.ReportMetric(float64(goroutinesAfter-goroutines)/ends, "goroutines/end")
}
