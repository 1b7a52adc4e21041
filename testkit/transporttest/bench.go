package transporttest

import (
	"testing"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// Counter takes what comes and sends on Done for each Want bytes of it. It is the sink of a Raw conduit
// and of a stream.
type Counter struct {
	From interface{ More() }
	Want int
	Done chan struct{}

	got int
}

// NewCounter is for Bind.
func NewCounter(from interface{ More() }, want int) *Counter {
	return &Counter{From: from, Want: want, Done: make(chan struct{}, 1)}
}

// Offer implements conduit.Sink and conduit.StreamSink.
func (c *Counter) Offer(b *buf.Buf) {
	c.got += len(b.B)
	b.Release()
	c.From.More()
	if c.got >= c.Want {
		c.got -= c.Want
		c.Done <- struct{}{}
	}
}

// Drained implements conduit.Sink.
func (c *Counter) Drained(error) {}

// Ended implements conduit.Sink.
func (c *Counter) Ended(error) {}

// Writable implements conduit.StreamSink.
func (c *Counter) Writable() {}

// RemoteClosed implements conduit.StreamSink.
func (c *Counter) RemoteClosed() {}

// Reset implements conduit.StreamSink.
func (c *Counter) Reset(uint32, bool, error) {}

// Writer writes to a Raw conduit like a session: what fits at once, the rest by Drain.
type Writer struct {
	Sink
	to      conduit.Raw
	drained chan error
}

// NewWriter binds itself, with one credit.
func NewWriter(to conduit.Raw) *Writer {
	w := &Writer{to: to, drained: make(chan error, 1)}
	to.Bind(w, 1)
	return w
}

// Drained implements conduit.Sink.
func (w *Writer) Drained(err error) { w.drained <- err }

// Write returns when all of p is taken.
func (w *Writer) Write(p []byte) error {
	n, err := w.to.TryWrite(p)
	if err != nil || n == len(p) {
		return err
	}
	w.to.Drain(p[n:])
	return <-w.drained
}

// BenchmarkRaw writes pieces of size bytes from one end of a Raw connection to the other: all of them
// one after another, or each when the one before has come.
func BenchmarkRaw(b *testing.B, from, to conduit.Raw, size int, each bool) {
	w, r := NewWriter(from), NewCounter(to, size)
	if !each {
		r.Want *= b.N
	}
	to.Bind(r, 2)
	carry(b, w.Write, size, each, r.Done)
}

// carry writes what a benchmark is about, and waits for done: once, or after each.
func carry(b *testing.B, write func([]byte) error, size int, each bool, done <-chan struct{}) {
	b.Helper()
	p := make([]byte, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if err := write(p); err != nil {
			b.Fatal(err)
		}
		if each {
			<-done
		}
	}
	if !each {
		<-done
	}
}
