package webtransport

import (
	"runtime"
	"testing"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

func benchStream(b *testing.B, p []byte, want int) {
	rt := transporttest.Runtime(b)
	cfg := Config{Key: transporttest.Key(1)}
	x, y := transporttest.Pair(b, New(rt, cfg), anyPort)
	defer x.Abandon()
	defer y.Abandon()
	mx, my := &transporttest.MuxedSink{}, &transporttest.MuxedSink{}
	opened := make(chan conduit.MuxedStream, 1)
	my.OnAccepted = func(s conduit.MuxedStream) { opened <- s }
	x.Muxed.Bind(mx)
	y.Muxed.Bind(my)
	s, err := x.Muxed.OpenStream()
	if err != nil {
		b.Fatal(err)
	}
	w := newWriter()
	s.Bind(w, 1)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	b.ResetTimer()
	var r *transporttest.Counter
	for range b.N {
		for rest := p; len(rest) > 0; {
			n, err := s.TryWrite(rest)
			if err != nil {
				b.Fatal(err)
			}
			if rest = rest[n:]; len(rest) > 0 {
				<-w.again
			}
		}
		if r == nil {
			theirs := <-opened
			r = transporttest.NewCounter(theirs, want)
			theirs.Bind(r, 2)
		}
		if want == len(p) {
			<-r.Done
		}
	}
	if want != len(p) {
		<-r.Done
	}
}

func BenchmarkBulk(b *testing.B) { benchStream(b, make([]byte, 64<<10), b.N*64<<10) }

// BenchmarkMessage is one small write and the read of it.
func BenchmarkMessage(b *testing.B) { benchStream(b, make([]byte, 100), 100) }

// cost is what one of n ends of something more takes, goroutines of quic-go and of http3 included. Both ends are in
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

// BenchmarkIdleConnection: run it with -benchtime 500x.
func BenchmarkIdleConnection(b *testing.B) {
	rt := transporttest.Runtime(b)
	acc := &transporttest.Acceptor{}
	l, err := New(rt, Config{Key: transporttest.Key(1)}).Listen(anyPort, acc)
	if err != nil {
		b.Fatal(err)
	}
	dialler := New(rt, Config{Key: transporttest.Key(2)})
	n := 0
	cost(b, func() {
		c, err := transporttest.Dial(b.Context(), dialler, l.Addr())
		if err != nil {
			b.Fatal(err)
		}
		c.Muxed.Bind(&transporttest.MuxedSink{})
		theirs := acc.Next(b, n)
		theirs.Muxed.Bind(&transporttest.MuxedSink{})
		n++
		b.Cleanup(func() { c.Abandon(); theirs.Abandon() })
	})
	_ = l.Close()
}

// BenchmarkIdleStream: run it with -benchtime 500x. A byte went each way, and both ends are bound.
func BenchmarkIdleStream(b *testing.B) {
	x, y := transporttest.Pair(b, New(transporttest.Runtime(b), Config{Key: transporttest.Key(1), MaxStreams: 1 << 20}), anyPort)
	defer x.Abandon()
	defer y.Abandon()
	opened := make(chan conduit.MuxedStream, 1)
	x.Muxed.Bind(&transporttest.MuxedSink{})
	y.Muxed.Bind(&transporttest.MuxedSink{OnAccepted: func(s conduit.MuxedStream) { opened <- s }})
	cost(b, func() {
		s, err := x.Muxed.OpenStream()
		if err != nil {
			b.Fatal(err)
		}
		ours := transporttest.NewCounter(s, 1)
		s.Bind(ours, 2)
		_, _ = s.TryWrite([]byte("!"))
		theirs := <-opened
		r := transporttest.NewCounter(theirs, 1)
		theirs.Bind(r, 2)
		<-r.Done
		_, _ = theirs.TryWrite([]byte("!"))
		<-ours.Done
	})
}
