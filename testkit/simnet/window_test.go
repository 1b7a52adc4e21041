package simnet

import (
	"bytes"
	"testing"
	"time"
)

func TestAReaderThatDoesNotReadStopsTheWriter(t *testing.T) {
	for _, window := range []int{0, 1, 1000, 300_000} {
		w := newWorld(t, 1)
		w.link(Link{Latency: 10 * time.Millisecond, Window: window})
		h := w.hosts("a", "b")
		a, b := w.connect(h[0], h[1])
		if window == 0 {
			window = DefaultWindow
		}
		b.deaf = true
		data := pattern(3*window + 100_000)
		n, err := a.c.TryWrite(data)
		if n != window || err != nil {
			t.Errorf("window %d: %d bytes taken, %v", window, n, err)
		}
		a.c.Drain(data[n:])
		w.s.run(time.Hour) // a writer may wait as long as it likes
		if len(a.drain) > 0 || len(a.ended) > 0 {
			t.Fatalf("window %d: drained %v, ended %v", window, a.drain, a.ended)
		}
		if k := b.got.Len(); k > maxSegment || k == 0 {
			t.Errorf("window %d: %d bytes in the one offer", window, k)
		}
		b.deaf = false
		b.c.More()
		w.s.run(time.Hour)
		if !bytes.Equal(b.got.Bytes(), data) {
			t.Errorf("window %d: %d of %d bytes", window, b.got.Len(), len(data))
		}
		if len(a.drain) != 1 || a.drain[0] != nil {
			t.Errorf("window %d: drained %v", window, a.drain)
		}
		w.over(a, b)
	}
}

func TestOneOfferNeedsOneCredit(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	b.deaf = true
	for i := range 5 {
		a.write(t, string(pattern(maxSegment)[:maxSegment/2]))
		w.s.run(time.Second)
		if len(b.offer) != 1 {
			t.Fatalf("%d offers after %d writes", len(b.offer), i+1)
		}
	}
	b.c.More()
	w.s.run(time.Second)
	if len(b.offer) != 2 {
		t.Errorf("%d offers for two credits", len(b.offer))
	}
	for _, n := range b.offer {
		if n > maxSegment {
			t.Errorf("an offer of %d bytes", n)
		}
	}
	w.over(a, b)
}

func TestAStreamOfSingleBytesIsNotDear(t *testing.T) {
	w := newWorld(t, 1)
	w.link(Link{Latency: time.Millisecond})
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	b.deaf = true
	for range 20_000 {
		a.write(t, "x")
	}
	if n := len(a.c.(*stream).out.q); n > 100 {
		t.Errorf("%d segments under way", n)
	}
	w.s.run(time.Second)
	s := b.c.(*stream)
	held := 0
	for _, x := range s.in.q[s.in.head:] {
		held += x.Cap()
	}
	if held > 4*s.in.n {
		t.Errorf("%d bytes of buffers for %d", held, s.in.n)
	}
	b.deaf = false
	b.c.More()
	w.s.run(time.Second)
	if b.got.Len() != 20_000 {
		t.Errorf("%d bytes", b.got.Len())
	}
	w.over(a, b)
}

// The window opens while the way back is cut: nobody tells the writer. It asks.
func TestAWriterFindsOutThatTheWindowIsOpen(t *testing.T) {
	w := newWorld(t, 1)
	w.link(Link{Latency: 10 * time.Millisecond, Window: 1000})
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	b.deaf = true
	data := pattern(5000)
	a.send(data)
	w.s.run(time.Minute)
	w.n.PartitionOneWay(h[1:], h[:1])
	b.deaf = false
	b.c.More()
	w.s.run(time.Second)
	w.n.Heal()
	w.s.run(2 * maxProbe)
	if !bytes.Equal(b.got.Bytes(), data) {
		t.Errorf("%d of %d bytes\n%s", b.got.Len(), len(data), w.n)
	}
	w.over(a, b)
}
