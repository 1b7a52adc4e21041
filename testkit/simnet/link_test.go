package simnet

import (
	"bytes"
	"math"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAStreamOpensInARoundTripAndAHalf(t *testing.T) {
	w := newWorld(t, 1)
	w.link(Link{Latency: 30 * time.Millisecond})
	h := w.hosts("a", "b")
	acc := w.listen(h[1], "/ip4/0.0.0.0/tcp/1")
	d := w.dial(h[0].Transport(nil, TransportConfig{}), addrOf(h[1], 1))
	w.s.run(60*time.Millisecond - 1)
	if d.done != 0 {
		t.Errorf("dialled after %v", d.at)
	}
	w.s.run(1)
	if d.done != 1 || d.err != nil || len(acc.ends) != 0 {
		t.Errorf("after one round trip: %d outcomes, %v, %d accepted", d.done, d.err, len(acc.ends))
	}
	w.s.run(30 * time.Millisecond)
	if len(acc.ends) != 1 {
		t.Error("not accepted after one and a half")
	}
	_ = acc.l.Close()
	w.over(d.end, acc.ends[0])
}

func TestBytesArriveWhenLatencyAndBandwidthSay(t *testing.T) {
	for _, c := range []struct {
		name   string
		link   Link
		writes []int
		want   []time.Duration // after the first write
	}{
		{"a perfect link takes no time", Link{}, []int{10, 70_000}, []time.Duration{0}},
		{"latency alone", Link{Latency: 7 * time.Millisecond}, []int{10, 70_000}, []time.Duration{7 * time.Millisecond}},
		{"a slow wire: the last byte counts", Link{Bandwidth: 1000}, []int{500}, []time.Duration{500 * time.Millisecond}},
		{
			"what is written together queues for the wire", Link{Latency: 10 * time.Millisecond, Bandwidth: 1000},
			[]int{100, 200, 300},
			[]time.Duration{110 * time.Millisecond, 310 * time.Millisecond, 610 * time.Millisecond},
		},
		{
			"a long write goes in segments", Link{Bandwidth: maxSegment}, []int{2*maxSegment + maxSegment/2},
			[]time.Duration{time.Second, 2 * time.Second, 2500 * time.Millisecond},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1)
			h := w.hosts("a", "b")
			a, b := w.connect(h[0], h[1])
			w.link(c.link)
			var got []time.Duration
			began, total := w.s.now, 0
			w.n.Observe(func(d Delivery) {
				if d.Kind != Data {
					return
				}
				if at := d.At.Sub(began); len(got) == 0 || got[len(got)-1] != at {
					got = append(got, at)
				}
			})
			for _, n := range c.writes {
				a.write(t, string(pattern(n)))
				total += n
			}
			w.s.run(10 * time.Second)
			if b.got.Len() != total {
				t.Errorf("%d of %d bytes", b.got.Len(), total)
			}
			if len(got) != len(c.want) {
				t.Fatalf("came at %v, want %v", got, c.want)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("came at %v, want %v", got, c.want)
					break
				}
			}
			w.over(a, b)
		})
	}
}

func TestTwoStreamsShareTheWire(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("a", "b", "c")
	a1, b1 := w.connect(h[0], h[1])
	a2, b2 := w.connect(h[0], h[1])
	a3, c3 := w.connect(h[0], h[2])
	w.link(Link{Bandwidth: 100_000})
	began := w.s.now
	for _, e := range []*end{a1, a2, a3} {
		e.send(pattern(50_000))
	}
	w.s.run(5 * time.Second)
	if one := b1.last.Sub(began); one != 500*time.Millisecond {
		t.Errorf("the first has all after %v", one)
	}
	if two := b2.last.Sub(began); two != time.Second {
		t.Errorf("the second has all after %v", two)
	}
	if three := c3.last.Sub(began); three != 500*time.Millisecond {
		t.Errorf("the link to another host is busy too: %v", three)
	}
	w.over(a1, b1, a2, b2, a3, c3)
}

// A stream is as fast as the smaller of the bandwidth and of a window for each round trip.
func TestThroughput(t *testing.T) {
	for _, c := range []struct {
		name    string
		link    Link
		perSec  float64
		maxLoss float64 // of it
	}{
		{"by bandwidth", Link{Latency: 10 * time.Millisecond, Bandwidth: 1 << 20}, 1 << 20, 0.05},
		{"by window", Link{Latency: 50 * time.Millisecond, Window: 1 << 20}, 10 << 20, 0.3},
		{"by a small window", Link{Latency: 50 * time.Millisecond, Window: 10_000}, 100_000, 0.3},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.link(c.link)
			h := w.hosts("a", "b")
			a, b := w.connect(h[0], h[1])
			n := int(10 * c.perSec)
			began := w.s.now
			a.send(pattern(n))
			w.s.run(time.Minute)
			if b.got.Len() != n {
				t.Fatalf("%d of %d bytes", b.got.Len(), n)
			}
			rate := float64(n) / b.last.Sub(began).Seconds()
			if rate > 1.15*c.perSec || rate < (1-c.maxLoss)*c.perSec {
				t.Errorf("%.0f bytes a second, want %.0f", rate, c.perSec)
			}
			w.over(a, b)
		})
	}
}

func TestJitterAndLossDelayButNeverReorderAStream(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(t, seed)
		h := w.hosts("a", "b")
		a, b := w.connect(h[0], h[1])
		w.link(Link{Latency: 20 * time.Millisecond, Jitter: 100 * time.Millisecond, Loss: 0.25})
		data := pattern(200 * 100)
		began := w.s.now
		for p := data; len(p) > 0; p = p[100:] {
			a.write(t, string(p[:100]))
			w.s.run(10 * time.Millisecond)
		}
		w.s.run(time.Minute)
		if !bytes.Equal(b.got.Bytes(), data) {
			t.Fatalf("seed %d: bytes differ", seed)
		}
		if least := 199*10*time.Millisecond + 20*time.Millisecond; b.last.Sub(began) < least {
			t.Errorf("seed %d: all after %v, which is less than the latency", seed, b.last.Sub(began))
		}
		w.over(a, b)
	}
}

// The first try is lost with certainty; the second, 200 ms later, is not.
func TestALostSegmentComesAfterTheRetransmissionTimeout(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	for _, c := range []struct {
		latency, want time.Duration
	}{
		{0, minRTO},
		{time.Millisecond, minRTO + time.Millisecond},
		{time.Second, 4*time.Second + time.Second}, // twice the round trip
	} {
		w.link(Link{Latency: c.latency})
		r, err := w.n.AddFault(Fault{Do: Drop, K: 1, Match: func(s Segment) bool { return s.Kind == Data }})
		if err != nil {
			t.Fatal(err)
		}
		began := w.s.now
		a.write(t, "x")
		w.s.run(time.Minute)
		if came := b.last.Sub(began); came != c.want {
			t.Errorf("with a latency of %v it came after %v, want %v", c.latency, came, c.want)
		}
		r.Remove()
	}
	w.over(a, b)
}

func TestALinkThatLosesEverythingBreaksTheStream(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	if err := w.n.SetLink(h[0], h[1], Link{Loss: 1}); err != nil {
		t.Fatal(err)
	}
	began := w.s.now
	var ended time.Time
	a.onEnd = func(error) { ended = w.s.now }
	a.write(t, "x")
	w.s.run(time.Hour)
	if len(a.ended) != 1 {
		t.Fatalf("ended %v", a.ended)
	}
	w.wantIs("the sender's end", a.ended[0], syscall.ETIMEDOUT)
	if d := ended.Sub(began); d != DefaultStreamTimeout {
		t.Errorf("it broke after %v", d)
	}
	if len(b.ended) > 0 || b.got.Len() > 0 {
		t.Error("the receiver heard of it")
	}
	if _, err := a.c.TryWrite([]byte("y")); err == nil {
		t.Error("writing goes on")
	}
	w.over(a, b)
}

func TestLinksHaveTwoDirections(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	if err := w.n.SetLink(h[0], h[1], Link{Latency: time.Second}); err != nil {
		t.Fatal(err)
	}
	began := w.s.now
	a.write(t, "there")
	b.write(t, "back")
	w.s.run(time.Minute)
	if there, back := b.last.Sub(began), a.last.Sub(began); there != time.Second || back != 0 {
		t.Errorf("there after %v, back after %v", there, back)
	}
	if l := w.n.LinkOf(h[0], h[1]); l.Latency != time.Second {
		t.Errorf("%+v", l)
	}
	w.over(a, b)
}

func TestLinksThatCannotBeAreRefused(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("a", "b")
	for want, l := range map[string]Link{
		"future":    {Latency: -1},
		"jitter":    {Jitter: -1},
		"bandwidth": {Bandwidth: -5},
		"loss":      {Loss: 1.01},
		"loss NaN":  {Loss: math.NaN()},
		"window":    {Window: -1},
	} {
		word, _, _ := strings.Cut(want, " ")
		if err := w.n.SetDefault(l); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("SetDefault(%+v): %v", l, err)
		}
		if err := w.n.SetLink(h[0], h[1], l); err == nil || !strings.Contains(err.Error(), "from a to b") {
			t.Errorf("SetLink(%+v): %v", l, err)
		}
	}
	other := newWorld(t, 1).hosts("x")[0]
	for name, f := range map[string]func(){
		"SetLink":   func() { _ = w.n.SetLink(h[0], other, Link{}) },
		"Partition": func() { w.n.Partition(h, []*Host{nil}) },
		"Reaches":   func() { w.n.Reaches(other, h[0]) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s takes hosts of another network", name)
				}
			}()
			f()
		}()
	}
}

func TestAnIdleStreamHasNoEvents(t *testing.T) {
	w := newWorld(t, 1)
	w.link(Link{Latency: time.Millisecond, Jitter: time.Millisecond, Loss: 0.1})
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	a.write(t, "ping")
	w.s.run(time.Minute)
	if n := len(w.s.queue); n > 0 {
		t.Errorf("%d events wait", n)
	}
	w.over(a, b)
}

func TestABatchCostsTwoEvents(t *testing.T) {
	w := newWorld(t, 1)
	w.link(Link{Latency: time.Millisecond})
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	w.s.run(time.Second)
	before := w.s.turns
	const rounds = 100
	for range rounds {
		a.write(t, "a keepalive of some bytes")
		w.s.run(time.Second)
	}
	if n := w.s.turns - before; n > 2*rounds {
		t.Errorf("%d events for %d batches", n, rounds)
	}
	w.over(a, b)
}
