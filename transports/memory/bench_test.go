package memory

import (
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

type writer struct {
	transporttest.Sink
	drained chan error
}

func (w *writer) Drained(err error) { w.drained <- err }

func benchPair(b *testing.B, p []byte, want int) {
	x, y := transporttest.Pair(b, New(transporttest.Runtime(b), Config{}), anyAddr)
	defer x.Abandon()
	defer y.Abandon()
	w, r := &writer{drained: make(chan error, 1)}, &counter{c: y.Raw, want: want, done: make(chan struct{}, 1)}
	x.Raw.Bind(w, 1)
	y.Raw.Bind(r, 2)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		n, err := x.Raw.TryWrite(p)
		if err != nil {
			b.Fatal(err)
		}
		if n < len(p) {
			x.Raw.Drain(p[n:])
			if err := <-w.drained; err != nil {
				b.Fatal(err)
			}
		}
		if want == len(p) {
			<-r.done
		}
	}
	if want != len(p) {
		<-r.done
	}
}

func BenchmarkBulk(b *testing.B) { benchPair(b, make([]byte, 64<<10), b.N*64<<10) }

// BenchmarkMessage is one small write and the read of it, with the wake-up of a worker.
func BenchmarkMessage(b *testing.B) { benchPair(b, make([]byte, 100), 100) }
