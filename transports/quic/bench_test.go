package quic

import (
	"testing"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// counter takes bytes and says when want of them have come.
type counter struct {
	s    conduit.MuxedStream
	got  int
	want int
	done chan struct{}
}

func (c *counter) Offer(b *buf.Buf) {
	c.got += len(b.B)
	b.Release()
	c.s.More()
	if c.got >= c.want {
		c.got -= c.want
		c.done <- struct{}{}
	}
}
func (c *counter) Writable()                 {}
func (c *counter) RemoteClosed()             {}
func (c *counter) Reset(uint32, bool, error) {}

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
	w := &writer{again: make(chan struct{}, 1)}
	s.Bind(w, 1)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	b.ResetTimer()
	var r *counter
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
			r = &counter{s: theirs, want: want, done: make(chan struct{}, 1)}
			theirs.Bind(r, 2)
		}
		if want == len(p) {
			<-r.done
		}
	}
	if want != len(p) {
		<-r.done
	}
}

func BenchmarkBulk(b *testing.B) { benchStream(b, make([]byte, 64<<10), b.N*64<<10) }

// BenchmarkMessage is one small write and the read of it.
func BenchmarkMessage(b *testing.B) { benchStream(b, make([]byte, 100), 100) }
