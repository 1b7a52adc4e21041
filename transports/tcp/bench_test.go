package tcp

import (
	"net"
	"testing"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// counter takes bytes and says when want of them have come.
type counter struct {
	c    conduit.Raw
	got  int
	want int
	done chan struct{}
}

func (s *counter) Offer(b *buf.Buf) {
	s.got += len(b.B)
	b.Release()
	s.c.More()
	if s.got >= s.want {
		s.got -= s.want
		s.done <- struct{}{}
	}
}
func (s *counter) Drained(error) {}
func (s *counter) Ended(error)   {}

// writer writes like a session: what fits at once, the rest by Drain.
type writer struct {
	transporttest.Sink
	c       conduit.Raw
	drained chan error
}

func (w *writer) Drained(err error) { w.drained <- err }

func (w *writer) write(p []byte) error {
	n, err := w.c.TryWrite(p)
	if err != nil || n == len(p) {
		return err
	}
	w.c.Drain(p[n:])
	return <-w.drained
}

func ends(tb testing.TB, cfg Config) (*writer, *counter) {
	tb.Helper()
	a, b := transporttest.Pair(tb, New(transporttest.Runtime(tb), cfg), anyPort)
	tb.Cleanup(func() { a.Abandon(); b.Abandon() })
	w := &writer{c: a.Raw, drained: make(chan error, 1)}
	r := &counter{c: b.Raw, done: make(chan struct{}, 1)}
	a.Raw.Bind(w, 1)
	return w, r
}

func BenchmarkBulk(b *testing.B) {
	for _, c := range []struct {
		name string
		cfg  Config
	}{{"ready", Config{}}, {"portable", Config{portable: true}}} {
		b.Run(c.name, func(b *testing.B) {
			w, r := ends(b, c.cfg)
			p := make([]byte, 64<<10)
			r.want = b.N * len(p)
			r.c.Bind(r, 2)
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if err := w.write(p); err != nil {
					b.Fatal(err)
				}
			}
			<-r.done
		})
	}
}

// BenchmarkBulkNet is the same with package net alone: a blocking Read into one buffer.
func BenchmarkBulkNet(b *testing.B) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	w, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	r, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	p := make([]byte, 64<<10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		q := make([]byte, 64<<10)
		for left := b.N * len(p); left > 0; {
			n, err := r.Read(q)
			if err != nil {
				return
			}
			left -= n
		}
	}()
	b.SetBytes(int64(len(p)))
	b.ResetTimer()
	for range b.N {
		if _, err := w.Write(p); err != nil {
			b.Fatal(err)
		}
	}
	<-done
}

// BenchmarkMessage is one small write and the read of it, with the wake-up of the reader.
func BenchmarkMessage(b *testing.B) {
	w, r := ends(b, Config{})
	p := make([]byte, 100)
	r.want = len(p)
	r.c.Bind(r, 2)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if err := w.write(p); err != nil {
			b.Fatal(err)
		}
		<-r.done
	}
}
