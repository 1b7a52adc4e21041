package simnet

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWhatIsSentIntoAPartitionArrivesAfterIt(t *testing.T) {
	for _, cut := range []time.Duration{time.Millisecond, 300 * time.Millisecond, 10 * time.Second, 110 * time.Second} {
		w := newWorld(t, 1)
		w.link(Link{Latency: 10 * time.Millisecond})
		h := w.hosts("a", "b", "c")
		a, b := w.connect(h[0], h[1])
		a2, c := w.connect(h[0], h[2])
		a.write(t, "flying ") // when the cut comes
		w.n.Partition(h[:1], h[1:2])
		a.write(t, "held")
		a2.write(t, "aside")
		w.s.run(cut)
		w.s.run(10 * time.Millisecond)
		if b.got.Len() > 0 {
			t.Errorf("%q came through", b.got.String())
		}
		if c.got.String() != "aside" {
			t.Error("another host is cut off too")
		}
		healed := w.s.now
		w.n.Heal()
		w.s.run(time.Minute)
		if b.got.String() != "flying held" {
			t.Errorf("cut for %v: %q came", cut, b.got.String())
		}
		if late := b.last.Sub(healed); late > maxRTO+time.Second {
			t.Errorf("cut for %v: it came %v after the healing", cut, late)
		}
		w.over(a, b, a2, c)
	}
}

func TestAPartitionThatLastsBreaksStreamsThatHaveSomethingToSay(t *testing.T) {
	w := newWorld(t, 1)
	w.link(Link{Latency: 10 * time.Millisecond})
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	idle, idleB := w.connect(h[0], h[1])
	w.n.Partition(h[:1], h[1:])
	w.s.run(time.Hour) // whoever says nothing knows nothing
	began := w.s.now
	var ended time.Time
	a.onEnd = func(error) { ended = w.s.now }
	a.write(t, "is anybody there?")
	w.s.run(time.Hour)
	if len(a.ended) != 1 || !errors.Is(a.ended[0], syscall.ETIMEDOUT) || ended.Sub(began) != DefaultStreamTimeout {
		t.Errorf("ended %v after %v", a.ended, ended.Sub(began))
	}
	var te *Error
	if !errors.As(a.ended[0], &te) || te.Origin.String() != "remote" || !te.Timeout() {
		t.Errorf("not the network's fault: %#v", te)
	}
	if len(b.ended)+len(idle.ended)+len(idleB.ended) > 0 {
		t.Error("somebody knows who cannot")
	}
	w.n.Heal()
	idle.write(t, "still here")
	b.write(t, "where are you?")
	w.s.run(time.Minute)
	if idleB.got.String() != "still here" {
		t.Errorf("the idle stream carries %q", idleB.got.String())
	}
	if len(b.ended) != 1 || !errors.Is(b.ended[0], syscall.ECONNRESET) {
		t.Errorf("the other end of the broken stream: %v", b.ended)
	}
	w.over(a, b, idle, idleB)
}

// The bytes arrive, but nobody tells the sender, who has to take them for lost.
func TestACutOfTheWayBackBreaksTheSenderAlone(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	w.n.PartitionOneWay(h[1:], h[:1])
	if !w.n.Reaches(h[0], h[1]) || w.n.Reaches(h[1], h[0]) {
		t.Error("the cut has the wrong direction")
	}
	began := w.s.now
	var ended time.Time
	a.onEnd = func(error) { ended = w.s.now }
	a.write(t, "hello")
	w.s.run(time.Minute)
	if b.got.String() != "hello" {
		t.Errorf("%q came", b.got.String())
	}
	w.s.run(time.Hour)
	if len(a.ended) != 1 || !errors.Is(a.ended[0], syscall.ETIMEDOUT) || ended.Sub(began) != DefaultStreamTimeout {
		t.Errorf("ended %v after %v", a.ended, ended.Sub(began))
	}
	w.over(a, b)
}

func TestACutOfTheWayBackThatHealsInTimeIsHarmless(t *testing.T) {
	w := newWorld(t, 1)
	w.n.StreamTimeout = 10 * time.Second
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	for range 5 {
		w.n.PartitionOneWay(h[1:], h[:1])
		a.write(t, "hello")
		w.s.run(9 * time.Second)
		w.n.HealBetween(h[:1], h[1:])
		w.s.run(time.Minute)
	}
	if len(a.ended) > 0 || b.got.Len() != 25 {
		t.Errorf("ended %v, %d bytes", a.ended, b.got.Len())
	}
	w.over(a, b)
}

func TestAWriterWhoseReaderIsCutOffTimesOut(t *testing.T) {
	for _, full := range []bool{false, true} { // the window, when the cut comes
		w := newWorld(t, 1)
		h := w.hosts("a", "b")
		a, b := w.connect(h[0], h[1])
		b.deaf = true
		if full {
			a.send(pattern(DefaultWindow + 1000))
			w.s.run(time.Minute)
		}
		w.n.Partition(h[:1], h[1:])
		a.send(pattern(2 * DefaultWindow))
		w.s.run(10 * time.Minute)
		if len(a.ended) != 1 || !errors.Is(a.ended[0], syscall.ETIMEDOUT) || a.drain[len(a.drain)-1] == nil {
			t.Errorf("full %v: ended %v, drained %v", full, a.ended, a.drain)
		}
		w.n.Heal()
		w.over(a, b)
	}
}

func TestDialsIntoAPartition(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("a", "b")
	acc := w.listen(h[1], "/ip4/0.0.0.0/tcp/1")
	tr := h[0].Transport(nil, TransportConfig{DialTimeout: 10 * time.Second})
	w.n.Partition(h[:1], h[1:])
	d := w.dial(tr, addrOf(h[1], 1))
	w.s.run(time.Minute)
	var te *Error
	if d.done != 1 || d.at != 10*time.Second || !errors.Is(d.err, os.ErrDeadlineExceeded) || !errors.As(d.err, &te) || te.Origin.String() != "remote" {
		t.Errorf("after %v: %v", d.at, d.err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	d = w.dialCtx(ctx, h[0].Transport(now{}, TransportConfig{}), addrOf(h[1], 1))
	w.s.run(time.Second / 2)
	cancel()
	w.s.run(0)
	if d.done != 0 {
		t.Error("nobody has told it that it is cancelled")
	}
	w.s.run(time.Second)
	if d.done != 1 || !errors.Is(d.err, context.Canceled) {
		t.Errorf("a cancelled dial: %v", d.err)
	}
	d = w.dial(tr, addrOf(h[1], 1))
	w.s.run(2 * time.Second)
	w.n.Heal()
	w.s.run(10 * time.Second) // the third Syn, after 3 s
	if d.err != nil || d.done != 1 || len(acc.ends) != 1 {
		t.Fatalf("after the healing: %v, %d outcomes", d.err, d.done)
	}
	_ = acc.l.Close()
	w.over(d.end, acc.ends[0])
}

// now is a Canceler that never calls.
type now struct{}

func (now) OnDone(context.Context, func()) func() bool { return func() bool { return true } }

func TestADialEndsWithItsContext(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("a", "b")
	w.n.Partition(h[:1], h[1:])
	c := &follow{}
	ctx, cancel := context.WithCancelCause(t.Context())
	d := w.dialCtx(ctx, h[0].Transport(c, TransportConfig{}), addrOf(h[1], 1))
	w.s.run(time.Second / 10)
	why := errors.New("another dial won")
	cancel(why)
	c.f()
	w.s.run(0)
	if d.done != 1 || !errors.Is(d.err, context.Canceled) || !errors.Is(d.err, why) {
		t.Errorf("%d outcomes, %v", d.done, d.err)
	}
	if c.stopped != 1 {
		t.Errorf("the context is followed on: %d", c.stopped)
	}
	w.s.settle(t)
	if len(h[0].streams) > 0 {
		t.Error(w.n)
	}
}

type follow struct {
	f       func()
	stopped int
}

func (c *follow) OnDone(_ context.Context, f func()) func() bool {
	c.f = f
	return func() bool { c.stopped++; return true }
}

func TestTheStateShowsPartitions(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("c", "a", "b")
	w.n.Partition(h[:1], h[1:])
	w.n.PartitionOneWay(h[1:2], h[2:])
	s := w.n.String()
	for _, want := range []string{"cut: a to b, c\n", "cut: b to c\n", "cut: c to a, b\n"} {
		if !strings.Contains(s, want) {
			t.Errorf("no %q in\n%s", want, s)
		}
	}
	w.n.HealBetween(h[:1], h[1:2])
	if s := w.n.String(); !strings.Contains(s, "cut: a to b\n") || !strings.Contains(s, "cut: c to b\n") {
		t.Error(s)
	}
}
