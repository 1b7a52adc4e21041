package transporttest

import (
	"bytes"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// lull is how long nothing is taken of a stream that is full.
const lull = 200 * time.Millisecond

// StreamWriter writes to a stream of a Muxed conduit as Writer does to a Raw one, and drops what comes.
type StreamWriter struct {
	to    conduit.MuxedStream
	again chan struct{} // of one place
}

var _ conduit.StreamSink = (*StreamWriter)(nil)

// NewStreamWriter binds itself, with one credit.
func NewStreamWriter(to conduit.MuxedStream) *StreamWriter {
	w := &StreamWriter{to: to, again: make(chan struct{}, 1)}
	to.Bind(w, 1)
	return w
}

// Offer implements conduit.StreamSink.
func (w *StreamWriter) Offer(b *buf.Buf) { b.Release() }

// RemoteClosed implements conduit.StreamSink.
func (w *StreamWriter) RemoteClosed() {}

// Writable implements conduit.StreamSink.
func (w *StreamWriter) Writable() {
	select {
	case w.again <- struct{}{}:
	default: // it is going to look
	}
}

// Reset implements conduit.StreamSink.
func (w *StreamWriter) Reset(uint32, bool, error) { w.Writable() }

// Write returns when all of p is taken.
func (w *StreamWriter) Write(p []byte) error {
	for {
		n, err := w.to.TryWrite(p)
		if err != nil {
			return err
		}
		if p = p[n:]; len(p) == 0 {
			return nil
		}
		<-w.again
	}
}

// Fill writes until nothing more is taken for a while, or most bytes were.
func (w *StreamWriter) Fill(t testing.TB, most int) (taken int) {
	t.Helper()
	p := make([]byte, 10_000)
	for taken < most {
		n, err := w.to.TryWrite(p)
		if err != nil {
			t.Fatal(err)
		}
		if taken += n; n == len(p) {
			continue
		}
		select {
		case <-w.again:
		case <-time.After(lull):
			return taken
		}
	}
	return taken
}

// OpenStream waits for a place where the conduit's owner, who hears of it, is somebody else.
func OpenStream(t testing.TB, c conduit.Muxed) conduit.MuxedStream {
	t.Helper()
	var s conduit.MuxedStream
	var err error
	until := time.Now().Add(patience)
	for s, err = c.OpenStream(); err != nil; s, err = c.OpenStream() {
		if time.Now().After(until) {
			t.Fatalf("no place for a stream within %s: %v", patience, err)
		}
		<-time.After(time.Millisecond)
	}
	return s
}

// Carry sends p on a new stream of one end, and wants it to come out at the other, which it binds.
func Carry(t testing.TB, from, to conduit.Muxed, p []byte) {
	t.Helper()
	owner, readers := &MuxedSink{}, map[uint64]*StreamSink{}
	owner.OnAccepted = func(s conduit.MuxedStream) {
		r := streamReader(owner, s)
		r.bind(s, 2)
		owner.set(func() { readers[s.ID()] = r })
	}
	to.Bind(owner)
	s := OpenStream(t, from)
	defer func() { _ = s.Reset(0) }()
	w := &StreamSink{of: &MuxedSink{}}
	w.bind(s, 1)
	sendStream(t, s, w, p)
	var r *StreamSink
	owner.wait(t, "the stream at the other end", func() bool { r = readers[s.ID()]; return r != nil })
	r.wait(t, "all bytes of the stream", func() bool { return len(r.bytes) >= len(p) })
	r.set(func() {
		if !bytes.Equal(r.bytes, p) {
			t.Error("bytes differ")
		}
	})
	r.check(t)
}
