package transporttest

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

func rawEndpoints(t *testing.T, p RawPair) {
	a, b := p.A.Endpoints(), p.B.Endpoints()
	if a.Direction != conduit.Outbound || b.Direction != conduit.Inbound {
		t.Errorf("A is %s and B is %s", a.Direction, b.Direction)
	}
	if !a.Local.Equal(b.Remote) || !a.Remote.Equal(b.Local) {
		t.Errorf("A sees %s -> %s, B sees %s -> %s", a.Local, a.Remote, b.Local, b.Remote)
	}
	if a.Transport == "" || a.Transport != b.Transport {
		t.Errorf("transports %q and %q", a.Transport, b.Transport)
	}
	if c := (conduit.Conduit{Raw: p.A}); !c.Endpoints().Local.Equal(a.Local) {
		t.Error("the conduit has other endpoints")
	}
}

// echo is a sink that writes what it reads and grants the credit when that is written.
type echo struct {
	c    conduit.Raw
	held *buf.Buf
}

func (e *echo) Offer(b *buf.Buf) {
	n, err := e.c.TryWrite(b.B)
	if err != nil {
		b.Release()
		return
	}
	if n < len(b.B) {
		e.held = b
		e.c.Drain(b.B[n:])
		return
	}
	b.Release()
	e.c.More()
}

func (e *echo) Drained(err error) {
	e.held.Release()
	e.held = nil
	if err == nil {
		e.c.More()
	}
}

func (e *echo) Ended(error) { _ = e.c.Close() }

func rawEcho(t *testing.T, p RawPair) {
	s := reader(p.A)
	s.bind(p.A, 2)
	p.B.Bind(&echo{c: p.B}, 1)
	want := 0
	for _, n := range []int{1, 2, 3, 511, 512, 513, 4095, 4096, 4097, 65535, 65536, 65537, 1 << 20, 7, 5 << 20, 1} {
		chunk := noise(byte(n), n)
		send(t, p.A, s, chunk)
		got := s.WaitBytes(t, fmt.Sprintf("echo of %d bytes", n), want+n)
		if !bytes.Equal(got[want:], chunk) {
			t.Fatalf("echo of %d bytes differs", n)
		}
		want += n
	}
	_ = p.A.Close()
	s.WaitEnded(t, "Ended after Close")
	s.check(t)
}

func rawBackPressure(t *testing.T, p RawPair) {
	data := noise(1, 2*p.Held)
	a, b := &Sink{}, &Sink{}
	a.bind(p.A, 1)
	before := buf.Live()
	b.bind(p.B, 1)
	n := fill(t, p.A, data)
	if n > p.Held {
		t.Errorf("%d bytes were taken while nobody reads, at most %d expected", n, p.Held)
	}
	p.A.Drain(data[n:])
	b.wait(t, "the one offer", func() bool { return b.offers == 1 })
	if held := buf.Live() - before; held > int64(p.Held)/512+2 {
		t.Errorf("%d buffers are held", held)
	}
	for got := 0; got < len(data); { // now everything may come
		if got < len(data)-p.Held && a.count(func() int { return len(a.drained) }) > 0 {
			t.Fatalf("Drained while the reader had %d of %d bytes", got, len(data))
		}
		b.more(p.B)
		b.wait(t, "the next offer", func() bool { return len(b.bytes) > got })
		got = b.count(func() int { return len(b.bytes) })
	}
	if !bytes.Equal(b.bytes, data) {
		t.Error("bytes differ")
	}
	a.wait(t, "Drained", func() bool { return len(a.drained) == 1 })
	a.check(t)
	b.check(t)
}

// rawLead has a sink that leaves something with each offer. Conduits may offer instead, and it leaves nothing.
func rawLead(t *testing.T, p RawPair) {
	a, b := reader(p.A), &leader{Sink: reader(p.B)}
	a.bind(p.A, 1)
	b.set(func() { b.allowed++ })
	p.B.Bind(b, 1)
	want := 0
	for n := range 200 {
		n = 1 + n*n%7000
		send(t, p.A, a, noise(byte(n), n))
		want += n
	}
	b.WaitBytes(t, "all that was sent", want)
	_ = p.A.Close()
	b.WaitEnded(t, "the end")
	if b.left != b.posted {
		t.Errorf("%d times something was left, and %d times it was posted", b.left, b.posted)
	}
	a.check(t)
	b.check(t)
}

// leader is a sink that leaves something. All of it is on the goroutine that offers.
type leader struct {
	*Sink
	left, posted int
}

// Lead implements conduit.Leader.
func (l *leader) Lead(b *buf.Buf) conduit.Rest {
	l.Offer(b)
	l.left++
	return l
}

// Post implements conduit.Rest.
func (l *leader) Post() {
	if l.inside.Load() > 0 {
		l.set(func() { l.faults = append(l.faults, "what was left is posted within an offer") })
	}
	l.posted++
}

// rawPoll is for those that are Pollers. The others have nothing to keep.
func rawPoll(t *testing.T, p RawPair) {
	poller, ok := p.B.(conduit.Poller)
	if !ok {
		return
	}
	a, b := reader(p.A), reader(p.B)
	a.bind(p.A, 1)
	b.bind(p.B, 1)
	if poller.Poll() {
		t.Error("there was something before anything was sent")
	}
	b.more(p.B) // one is the reader's, and the other for who polls
	stop, polled := make(chan struct{}), 0
	var polls sync.WaitGroup
	polls.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if poller.Poll() {
				polled++
			} else {
				runtime.Gosched()
			}
		}
	})
	want := 0
	for n := range 2000 {
		n = 1 + n*n%7000
		send(t, p.A, a, noise(byte(n), n))
		want += n
	}
	got := b.WaitBytes(t, "all that was sent", want)
	close(stop)
	polls.Wait()
	for n := range 2000 {
		n = 1 + n*n%7000
		if !bytes.Equal(got[:n], noise(byte(n), n)) {
			t.Fatal("bytes differ, or are in another order")
		}
		got = got[n:]
	}
	t.Logf("%d of the reads were polls", polled)
	_ = p.A.Close()
	b.WaitEnded(t, "the end")
	if poller.Poll() {
		t.Error("there was something behind the end")
	}
	a.check(t)
	b.check(t)
}

// rawPollClose has the sink close the conduit while it is offered what was polled, and the reader has been
// woken for the same bytes.
func rawPollClose(t *testing.T, p RawPair) {
	poller, ok := p.B.(conduit.Poller)
	if !ok {
		return
	}
	a := reader(p.A)
	a.bind(p.A, 1)
	closed := make(chan struct{})
	b := &Sink{OnOffer: func(b *buf.Buf) {
		b.Release()
		if poller.Poll() {
			t.Error("something was offered within an offer")
		}
		for range 1000 {
			runtime.Gosched() // the reader comes as far as it can
		}
		_ = p.B.Close()
		close(closed)
	}}
	b.bind(p.B, 2)
	send(t, p.A, a, []byte("the last word"))
	for open := true; open; {
		select {
		case <-closed:
			open = false
		default:
			poller.Poll()
		}
	}
	b.WaitEnded(t, "the end")
	if poller.Poll() {
		t.Error("there was something behind Close")
	}
	a.check(t)
	b.check(t)
}

// rawCredits keeps more bytes on their way than there is credit for, and lets a round trip the
// other way pass before it counts.
func rawCredits(t *testing.T, p RawPair) {
	a, b := reader(p.A), &Sink{}
	a.bind(p.A, 1)
	b.bind(p.B, 3)
	writes := p.Writes
	if writes == 0 {
		writes = 4 << 10
	}
	data := noise(13, writes)
	for i := range data { // so many little writes that they cannot all come in three offers
		send(t, p.A, a, data[i:i+1])
		if i < 3 {
			b.WaitBytes(t, "a byte for which there is credit", i+1)
		}
	}
	for i := 0; b.count(func() int { return len(b.bytes) }) < len(data); i++ {
		send(t, p.B, b, []byte{byte(i)})
		a.WaitBytes(t, "a round trip", i+1)
		if b.check(t); t.Failed() {
			return
		}
		had := b.count(func() int { return b.offers })
		b.more(p.B)
		b.wait(t, "an offer for the credit", func() bool { return b.offers > had })
	}
	if !bytes.Equal(b.bytes, data) {
		t.Error("bytes differ")
	}
	b.check(t)
}

func rawDrain(t *testing.T, p RawPair) {
	data := noise(2, p.Held+3<<20)
	a, b := &Sink{}, reader(p.B)
	a.bind(p.A, 1)
	n, err := p.A.TryWrite(data)
	if err != nil {
		t.Fatal(err)
	}
	if n == len(data) {
		t.Fatalf("all of %d bytes fit", n)
	}
	p.A.Drain(data[n:])
	if d := a.count(func() int { return len(a.drained) }); d > 0 {
		t.Error("Drained before anybody read")
	}
	b.bind(p.B, 2)
	a.wait(t, "Drained", func() bool { return len(a.drained) == 1 })
	if a.drained[0] != nil {
		t.Errorf("Drained(%v)", a.drained[0])
	}
	if got := b.WaitBytes(t, "all bytes", len(data)); !bytes.Equal(got, data) {
		t.Error("bytes differ")
	}
	send(t, p.A, a, []byte("after")) // writing goes on
	if got := b.WaitBytes(t, "more bytes", len(data)+5); string(got[len(data):]) != "after" {
		t.Error("bytes after the Drain differ")
	}
	a.check(t)
	b.check(t)
}

func rawDrainClosed(t *testing.T, p RawPair) {
	data := noise(3, p.Held+1<<20)
	a := &Sink{}
	a.bind(p.A, 1)
	n := fill(t, p.A, data)
	p.A.Drain(data[n:])
	_ = p.A.Close()
	a.wait(t, "Drained and Ended", func() bool { return len(a.drained) == 1 && len(a.ended) == 1 })
	if a.drained[0] == nil {
		t.Error("Drained(nil) though the rest was not written")
	}
	a.check(t)
}

func rawDrainBroken(t *testing.T, p RawPair) {
	data := noise(4, p.Held+1<<20)
	b := &Sink{}
	b.bind(p.B, 1)
	n := fill(t, p.B, data)
	p.B.Drain(data[n:])
	p.Break()
	b.wait(t, "Drained and Ended", func() bool { return len(b.drained) == 1 && len(b.ended) == 1 })
	if b.drained[0] == nil || b.ended[0] == io.EOF {
		t.Errorf("Drained(%v), Ended(%v)", b.drained[0], b.ended[0])
	}
	b.check(t)
}

func rawDuplex(t *testing.T, p RawPair) {
	const n = 8 << 20
	a, b := reader(p.A), reader(p.B)
	a.bind(p.A, 2)
	b.bind(p.B, 2)
	up, down := noise(8, n), noise(9, n)
	together(t, 2, func(i int) {
		if i == 0 {
			pump(p.A, a, up)
		} else {
			pump(p.B, b, down)
		}
	})
	if got := b.WaitBytes(t, "all bytes at B", n); !bytes.Equal(got, up) {
		t.Error("B's bytes differ")
	}
	if got := a.WaitBytes(t, "all bytes at A", n); !bytes.Equal(got, down) {
		t.Error("A's bytes differ")
	}
	a.check(t)
	b.check(t)
}

// pump is send for a goroutine of the test: what goes wrong shows as bytes that do not arrive.
func pump(c conduit.Raw, s *Sink, p []byte) {
	for len(p) > 0 {
		chunk := p[:min(len(p), 37<<10)]
		p = p[len(chunk):]
		n, err := c.TryWrite(chunk)
		if err != nil {
			return
		}
		if n == len(chunk) {
			continue
		}
		before := s.count(func() int { return len(s.drained) })
		c.Drain(chunk[n:])
		if !s.await(func() bool { return len(s.drained) > before }) {
			return
		}
	}
}
