package websocket

import (
	"testing"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
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

// Bulk is what a session does to one stream of large writes, from the end that masks and from the one
// that does not.
func BenchmarkBulk(b *testing.B) {
	for _, c := range []struct {
		name string
		cfg  Config
		at   ma.Multiaddr
		back bool
	}{
		{"ws from the dialler", Config{}, anyPort, false},
		{"ws from the listener", Config{}, anyPort, true},
		{"wss from the dialler", secured(b), anyPortS, false},
		{"wss from the listener", secured(b), anyPortS, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			from, to := transporttest.Pair(b, New(transporttest.Runtime(b), c.cfg), c.at)
			b.Cleanup(func() { from.Abandon(); to.Abandon() })
			if c.back {
				from, to = to, from
			}
			w := &writer{c: from.Raw, drained: make(chan error, 1)}
			r := &counter{c: to.Raw, done: make(chan struct{}, 1)}
			from.Raw.Bind(w, 1)
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
