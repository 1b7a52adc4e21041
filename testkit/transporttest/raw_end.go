package transporttest

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/troupe-p2p/troupe/internal/buf"
)

func rawHandOver(t *testing.T, p RawPair) {
	a, first, second := &Sink{}, &Sink{}, reader(p.B)
	a.bind(p.A, 1)
	first.bind(p.B, 1)
	send(t, p.A, a, []byte("hello"))
	first.wait(t, "the first offer", func() bool { return first.offers == 1 })
	send(t, p.A, a, []byte("world"))
	second.bind(p.B, 1)
	got := first.count(func() int { return len(first.bytes) })
	second.WaitBytes(t, "the rest", 10-got)
	if all := string(first.bytes) + string(second.bytes); all != "helloworld" {
		t.Errorf("the owners got %q", all)
	}
	_ = p.A.Close()
	second.WaitEnded(t, "the end, told to the second owner")
	if first.count(func() int { return len(first.ended) }) > 0 {
		t.Error("the first owner was told of the end")
	}
	first.check(t)
	second.check(t)
}

// rawHandOverChain binds a new owner inside of every Offer, which is where an upgrade ends.
func rawHandOverChain(t *testing.T, p RawPair) {
	data := noise(5, 3<<20)
	a := &Sink{}
	a.bind(p.A, 1)
	var all board
	var got []byte
	owners := 0
	var next func() *Sink
	next = func() *Sink {
		s := &Sink{}
		s.OnOffer = func(b *buf.Buf) {
			all.set(func() { got = append(got, b.B...); owners++ })
			b.Release()
			next().bind(p.B, 1)
		}
		return s
	}
	next().bind(p.B, 1)
	send(t, p.A, a, data)
	all.wait(t, "all bytes", func() bool { return len(got) >= len(data) })
	if !bytes.Equal(got, data) {
		t.Error("bytes differ")
	}
	if owners < 2 {
		t.Errorf("%d owners only", owners)
	}
}

func rawRemoteClose(t *testing.T, p RawPair) {
	data := noise(6, min(100<<10, p.Held/8))
	a, b := &Sink{}, reader(p.B)
	a.bind(p.A, 1)
	send(t, p.A, a, data)
	_ = p.A.Close()
	b.bind(p.B, 1)
	if err := b.WaitEnded(t, "the end"); err != io.EOF {
		t.Errorf("ended with %v, want io.EOF", err)
	}
	if !bytes.Equal(b.bytes, data) {
		t.Errorf("%d of %d bytes came before the end", len(b.bytes), len(data))
	}
	b.check(t)
}

func rawBreak(t *testing.T, p RawPair) {
	b := &Sink{}
	b.bind(p.B, 1)
	p.Break()
	if err := b.WaitEnded(t, "the end"); err == io.EOF {
		t.Error("an orderly end")
	}
	var err error
	for range 100 { // a kernel may take a write or two before it knows
		if _, err = p.B.TryWrite([]byte("x")); err != nil {
			break
		}
	}
	if err == nil {
		t.Error("writes go on after the end")
	}
	b.check(t)
}

func rawCloseInOffer(t *testing.T, p RawPair) {
	a, b := &Sink{}, &Sink{}
	a.bind(p.A, 1)
	closed := false
	b.OnOffer = func(x *buf.Buf) {
		x.Release()
		b.set(func() {
			if closed {
				b.faults = append(b.faults, "Offer after Close")
			}
			closed = true
		})
		_ = p.B.Close()
	}
	b.bind(p.B, 100)
	pump(p.A, a, noise(7, 100<<10)) // until B has closed
	b.WaitEnded(t, "the end")
	b.check(t)
}

func rawCloseUnbound(t *testing.T, p RawPair) {
	if err := p.A.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	a := &Sink{}
	a.bind(p.A, 1)
	if err := a.WaitEnded(t, "the end"); err == io.EOF {
		t.Error("our own Close looks like the remote's")
	}
	a.check(t)
}

func rawCloseIdle(t *testing.T, p RawPair) {
	a := &Sink{}
	a.bind(p.A, 2)
	if err := p.A.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	a.WaitEnded(t, "the end")
	a.check(t)
}

func rawCloseNoCredit(t *testing.T, p RawPair) {
	a, b := &Sink{}, &Sink{}
	a.bind(p.A, 1)
	b.bind(p.B, 1)
	send(t, p.A, a, []byte("x"))
	b.wait(t, "the one offer", func() bool { return b.offers == 1 })
	send(t, p.A, a, []byte("y"))
	_ = p.B.Close()
	b.WaitEnded(t, "the end")
	if b.offers != 1 {
		t.Errorf("%d offers", b.offers)
	}
	b.check(t)
}

func rawCloseTwice(t *testing.T, p RawPair) {
	a := &Sink{}
	a.bind(p.A, 1)
	errs := make(chan error, 16)
	together(t, cap(errs), func(int) { errs <- p.A.Close() })
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	a.WaitEnded(t, "the end")
	a.check(t)
}

func rawBindDead(t *testing.T, p RawPair) {
	b, heir := &Sink{}, &Sink{}
	b.bind(p.B, 1)
	_ = p.A.Close()
	if err := b.WaitEnded(t, "the end"); err != io.EOF {
		t.Errorf("ended with %v", err)
	}
	heir.bind(p.B, 1)
	if err := heir.WaitEnded(t, "the end, told to the heir"); err != io.EOF {
		t.Errorf("the heir's ended with %v", err)
	}
	b.check(t)
	heir.check(t)
}

func rawWriteClosed(t *testing.T, p RawPair) {
	a := &Sink{}
	a.bind(p.A, 1)
	_ = p.A.Close()
	if n, err := p.A.TryWrite([]byte("x")); err == nil {
		t.Errorf("TryWrite took %d bytes", n)
	}
	p.A.Drain([]byte("x"))
	a.wait(t, "Drained", func() bool { return len(a.drained) == 1 })
	if a.drained[0] == nil {
		t.Error("Drained(nil)")
	}
	a.check(t)
}

func rawPanic(t *testing.T, p RawPair) {
	a, b := &Sink{}, &Sink{}
	a.bind(p.A, 1)
	bug := errors.New("a bug in a handler")
	b.OnOffer = func(x *buf.Buf) { x.Release(); panic(bug) }
	b.bind(p.B, 1)
	send(t, p.A, a, []byte("x"))
	if err := b.WaitEnded(t, "the end"); !isPanic(err, bug) {
		t.Errorf("ended with %v", err)
	}
	a.WaitEnded(t, "the remote sees the close")
	b.check(t)
}

func rawPanicDrained(t *testing.T, p RawPair) {
	a, b := &Sink{}, reader(p.B)
	bug := errors.New("a bug in a handler")
	a.OnDrained = func(error) { panic(bug) }
	a.bind(p.A, 1)
	data := noise(10, p.Held+1<<20)
	n := fill(t, p.A, data)
	p.A.Drain(data[n:])
	b.bind(p.B, 2)
	if err := a.WaitEnded(t, "the end"); !isPanic(err, bug) {
		t.Errorf("ended with %v", err)
	}
	b.WaitEnded(t, "the remote sees the close")
	if len(a.drained) != 1 {
		t.Errorf("Drained %d times", len(a.drained))
	}
	a.check(t)
	b.check(t)
}

// rawMisuse checks that a local bug is found where it is made, not by bytes that come in a wrong
// order at the remote.
func rawMisuse(t *testing.T, p RawPair) {
	panics := func(what string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s does not panic", what)
			}
		}()
		f()
	}
	panics("Drain before Bind", func() { p.A.Drain([]byte("x")) })
	a := &Sink{}
	a.bind(p.A, 1)
	data := noise(11, p.Held+1<<20)
	n := fill(t, p.A, data)
	p.A.Drain(data[n:])
	panics("TryWrite during a Drain", func() { _, _ = p.A.TryWrite([]byte("x")) })
	panics("Drain during a Drain", func() { p.A.Drain([]byte("x")) })
	_ = p.A.Close()
	a.wait(t, "Drained", func() bool { return len(a.drained) == 1 })
	a.check(t)
}
