package simnet

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

func TestARemotesCrashIsAResetAfterTheLatency(t *testing.T) {
	w := newWorld(t, 1)
	w.link(Link{Latency: 40 * time.Millisecond})
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	listens := w.listen(h[1], "/ip4/0.0.0.0/tcp/7")
	b.write(t, "last words")
	h[1].Crash()
	w.s.run(40*time.Millisecond - 1)
	if len(a.ended) > 0 {
		t.Error("it knows too early")
	}
	w.s.run(1)
	if len(a.ended) != 1 || !errors.Is(a.ended[0], syscall.ECONNRESET) || a.got.String() != "last words" {
		t.Errorf("got %q, ended %v", a.got.String(), a.ended)
	}
	if len(h[1].listeners)+len(h[1].streams)+len(h[1].ports[tcpProto]) > 0 {
		t.Errorf("left over:\n%s", w.n)
	}
	d := w.dial(h[0].Transport(nil, TransportConfig{}), addrOf(h[1], 7))
	w.s.run(time.Second)
	w.wantIs("a dial to the crashed host", d.err, syscall.ECONNREFUSED)
	_ = listens.l.Close()
	w.over(a, b)
}

func TestACrashedProcessIsSilentUntilSomebodyClosesWhatItHad(t *testing.T) {
	for name, crash := range map[string]func(*Host){"crash": (*Host).Crash, "vanish": (*Host).Vanish} {
		w := newWorld(t, 1)
		h := w.hosts("a", "b")
		a, b := w.connect(h[0], h[1])
		b.deaf = true
		tr := h[0].Transport(nil, TransportConfig{})
		acc := &acceptor{w: w}
		l, err := tr.Listen(ma.StringCast("/ip4/0.0.0.0/tcp/9"), acc)
		if err != nil {
			t.Fatal(err)
		}
		b.write(t, "on its way")
		a.send(pattern(2 * DefaultWindow)) // a drains
		w.n.Partition(h[:1], h[1:])
		d := w.dial(tr, addrOf(h[1], 1))
		w.s.run(time.Second / 2)
		w.n.Heal()
		crash(h[0])
		crash(h[0]) // twice is once
		got := a.got.Len()
		w.s.run(time.Hour)
		if len(a.ended)+len(a.drain) > 0 || a.got.Len() != got {
			t.Errorf("%s: the dead hear: ended %v, drained %v", name, a.ended, a.drain)
		}
		if d.done != 1 || !errors.Is(d.err, ErrDown) {
			t.Errorf("%s: its dial: %d outcomes, %v", name, d.done, d.err)
		}
		h[0].Restore()
		w.wantIs(name+": a dial by the old process", w.outcome(tr, addrOf(h[1], 1)), ErrDown)
		if _, err := tr.Listen(ma.StringCast("/ip4/0.0.0.0/tcp/9"), acc); !errors.Is(err, ErrDown) {
			t.Errorf("%s: the old process listens: %v", name, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := h[0].Transport(nil, TransportConfig{}).Listen(ma.StringCast("/ip4/0.0.0.0/tcp/9"), acc); err != nil {
			t.Errorf("%s: the new process cannot listen: %v", name, err)
		}
		_ = a.c.Close()
		w.s.run(time.Second)
		if len(a.ended) != 1 || errors.Is(a.ended[0], io.EOF) || len(a.drain) != 1 || a.drain[0] == nil {
			t.Errorf("%s: after Close: ended %v, drained %v", name, a.ended, a.drain)
		}
		w.over(a, b)
	}
}

// outcome dials and gives the error.
func (w *world) outcome(tr *Transport, a ma.Multiaddr) error {
	d := w.dial(tr, a)
	w.s.run(time.Minute)
	if d.done != 1 {
		w.t.Errorf("%d outcomes of a dial to %s", d.done, a)
	}
	if d.end != nil {
		_ = d.c.Close()
	}
	return d.err
}

func TestNobodyHearsOfAPowerCut(t *testing.T) {
	w := newWorld(t, 1)
	w.link(Link{Latency: 10 * time.Millisecond})
	h := w.hosts("a", "b")
	talks, b1 := w.connect(h[0], h[1])
	idle, b2 := w.connect(h[0], h[1])
	late, b3 := w.connect(h[0], h[1])
	h[1].Vanish()
	w.s.run(time.Hour)
	if len(talks.ended)+len(idle.ended)+len(late.ended) > 0 {
		t.Error("somebody heard of it")
	}
	talks.write(t, "hello?")
	d := w.dial(h[0].Transport(nil, TransportConfig{}), addrOf(h[1], 1))
	w.s.run(DefaultStreamTimeout)
	if len(talks.ended) != 1 || !errors.Is(talks.ended[0], syscall.ETIMEDOUT) {
		t.Errorf("who has sent: %v", talks.ended)
	}
	var ne net.Error
	if !errors.As(d.err, &ne) || !ne.Timeout() {
		t.Errorf("a dial: %v", d.err)
	}
	late.write(t, "are you back?")
	w.s.run(30 * time.Second)
	h[1].Restore()
	w.s.run(maxRTO + time.Second)
	if len(late.ended) != 1 || !errors.Is(late.ended[0], syscall.ECONNRESET) {
		t.Errorf("who has sent when it is back: %v", late.ended)
	}
	if len(idle.ended) > 0 {
		t.Errorf("who has said nothing: %v", idle.ended)
	}
	w.over(talks, idle, late, b1, b2, b3)
}

// A machine without power sends nothing more: what its wire had not taken is lost.
func TestAPowerCutLosesWhatHasNotLeft(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	w.link(Link{Latency: time.Second, Bandwidth: maxSegment})
	a.send(pattern(3 * maxSegment)) // one segment a second
	w.s.run(1500 * time.Millisecond)
	h[0].Vanish()
	w.s.run(time.Minute)
	if b.got.Len() != maxSegment {
		t.Errorf("%d bytes came, want those of the first second", b.got.Len())
	}
	if len(b.ended) > 0 {
		t.Errorf("ended %v", b.ended)
	}
	w.over(a, b)
}

func TestACrashInAPartitionIsFoundByWhoSendsAfterwards(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	w.n.Partition(h[:1], h[1:])
	b.write(t, "never arrives") // and is not sent again by a dead process
	w.s.run(time.Second)
	h[1].Crash()
	w.s.run(time.Minute)
	w.n.Heal()
	w.s.run(time.Minute)
	if len(a.ended) > 0 || a.got.Len() > 0 {
		t.Errorf("got %q, ended %v", a.got.String(), a.ended)
	}
	a.write(t, "hello?")
	w.s.run(time.Second)
	if len(a.ended) != 1 || !errors.Is(a.ended[0], syscall.ECONNRESET) {
		t.Errorf("ended %v", a.ended)
	}
	w.over(a, b)
}

// What a dead process had on its way is lost with the network: nobody is there to send it again.
func TestACrashedProcessSendsNothingAgain(t *testing.T) {
	w := newWorld(t, 1)
	w.link(Link{Latency: 10 * time.Millisecond})
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	b.write(t, "flying")
	h[1].Crash()
	w.n.Partition(h[:1], h[1:])
	w.s.run(time.Second)
	w.n.Heal()
	w.s.run(time.Hour)
	if a.got.Len() > 0 || len(a.ended) > 0 {
		t.Errorf("got %q, ended %v", a.got.String(), a.ended)
	}
	w.over(a, b)
}

func TestAWriterFindsOutThatTheReaderIsGone(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	b.deaf = true
	a.send(pattern(2 * DefaultWindow))
	w.s.run(time.Minute)
	w.n.PartitionOneWay(h[1:], h[:1])
	h[1].Crash() // its reset is lost
	w.s.run(time.Second)
	w.n.Heal()
	w.s.run(2 * maxProbe)
	if len(a.ended) != 1 || !errors.Is(a.ended[0], syscall.ECONNRESET) || len(a.drain) != 1 {
		t.Errorf("ended %v, drained %v", a.ended, a.drain)
	}
	w.over(a, b)
}

func TestAnOrderlyEndAndItsVariants(t *testing.T) {
	open := func(t *testing.T) (w *world, a, b *end) {
		w = newWorld(t, 1)
		w.link(Link{Latency: 10 * time.Millisecond})
		h := w.hosts("a", "b")
		a, b = w.connect(h[0], h[1])
		return w, a, b
	}
	t.Run("bytes, then the end", func(t *testing.T) {
		w, a, b := open(t)
		a.write(t, "bye")
		_ = a.c.Close()
		w.s.run(time.Second)
		if b.got.String() != "bye" || len(b.ended) != 1 || b.ended[0] != io.EOF {
			t.Errorf("got %q, ended %v", b.got.String(), b.ended)
		}
		w.wantIs("the closer's end", a.ended[0], net.ErrClosed)
		resets := 0
		w.n.Observe(func(d Delivery) {
			if d.Kind == Reset {
				resets++
			}
		})
		w.over(a, b)
		if resets > 0 {
			t.Errorf("%d resets after an orderly end", resets)
		}
	})
	t.Run("both close at once", func(t *testing.T) {
		w, a, b := open(t)
		_, _ = a.c.Close(), b.c.Close()
		w.s.run(time.Second)
		if s := len(w.n.hosts[0].streams) + len(w.n.hosts[1].streams); s > 0 {
			t.Errorf("%d streams are kept", s)
		}
	})
	t.Run("a closer does not wait for ever", func(t *testing.T) {
		w, a, b := open(t)
		_ = a.c.Close()
		w.s.run(finTimeout + time.Second)
		if len(w.n.hosts[0].streams) > 0 {
			t.Errorf("after %v:\n%s", finTimeout, w.n)
		}
		b.write(t, "late") // nobody remembers
		w.s.run(time.Second)
		if _, err := b.c.TryWrite([]byte("later")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("writing into nothing: %v", err)
		}
		w.over(a, b)
	})
	t.Run("who writes to a closed end is reset", func(t *testing.T) {
		w, a, b := open(t)
		_ = a.c.Close()
		w.s.run(time.Second)
		b.write(t, "one")
		w.s.run(time.Second)
		if _, err := b.c.TryWrite([]byte("two")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the second write: %v", err)
		}
		if len(b.ended) != 1 || b.ended[0] != io.EOF {
			t.Errorf("ended %v", b.ended)
		}
		w.over(a, b)
	})
	t.Run("closing over unread bytes is a reset", func(t *testing.T) {
		w, a, b := open(t)
		b.deaf = true
		a.write(t, "first")
		w.s.run(time.Second)
		a.write(t, "unread")
		w.s.run(time.Second)
		_ = b.c.Close()
		w.s.run(time.Second)
		if len(a.ended) != 1 || !errors.Is(a.ended[0], syscall.ECONNRESET) {
			t.Errorf("ended %v", a.ended)
		}
		w.over(a, b)
	})
	t.Run("bytes that came before a reset are read", func(t *testing.T) {
		w, a, b := open(t)
		b.deaf = true
		a.write(t, "first")
		w.s.run(time.Second)
		a.write(t, "second")
		w.s.run(time.Second)
		w.n.hosts[0].Crash()
		w.s.run(time.Second)
		if len(b.ended) > 0 {
			t.Fatalf("ended %v before the bytes", b.ended)
		}
		b.c.More()
		w.s.run(time.Second)
		if b.got.String() != "firstsecond" || len(b.ended) != 1 || !errors.Is(b.ended[0], syscall.ECONNRESET) {
			t.Errorf("got %q, ended %v", b.got.String(), b.ended)
		}
		w.over(a, b)
	})
	t.Run("the end comes behind what is lost", func(t *testing.T) {
		w, a, b := open(t)
		w.n.Partition(w.n.hosts[:1], w.n.hosts[1:])
		a.write(t, "held")
		_ = a.c.Close()
		w.s.run(time.Minute)
		w.n.Heal()
		w.s.run(time.Minute)
		if b.got.String() != "held" || len(b.ended) != 1 || b.ended[0] != io.EOF {
			t.Errorf("got %q, ended %v", b.got.String(), b.ended)
		}
		w.over(a, b)
	})
}
