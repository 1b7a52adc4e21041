package simnet

import (
	"testing"
	"time"
)

// heap is a Scheduler for many events; those of one instant come in the order in which they were
// set.
type heap struct {
	*sched
	q []*event
}

func (h *heap) At(t time.Time, f func()) (stop func()) {
	e := &event{at: t, f: f}
	h.q = append(h.q, e)
	for i := len(h.q) - 1; i > 0; {
		p := (i - 1) / 2
		if !h.q[i].at.Before(h.q[p].at) {
			break
		}
		h.q[i], h.q[p] = h.q[p], h.q[i]
		i = p
	}
	return func() { e.f = nil }
}

func (h *heap) run(d time.Duration) {
	end := h.now.Add(d)
	for len(h.q) > 0 && !h.q[0].at.After(end) {
		e := h.q[0]
		last := len(h.q) - 1
		h.q[0] = h.q[last]
		h.q = h.q[:last]
		for i := 0; ; {
			c := 2*i + 1
			if c >= last {
				break
			}
			if c+1 < last && h.q[c+1].at.Before(h.q[c].at) {
				c++
			}
			if !h.q[c].at.Before(h.q[i].at) {
				break
			}
			h.q[i], h.q[c] = h.q[c], h.q[i]
			i = c
		}
		if e.at.After(h.now) {
			h.now = e.at
		}
		if e.f != nil {
			h.turns++
			e.f()
		}
	}
	h.now = end
}

// BenchmarkKeepalives is an hour of a hundred hosts with eight streams each, over which a small
// batch goes every 30 seconds, both ways.
func BenchmarkKeepalives(b *testing.B) {
	b.ReportAllocs()
	for range b.N {
		h := &heap{sched: newSched(1)}
		w := &world{b, h.sched, New(h)}
		w.link(Link{Latency: 20 * time.Millisecond, Jitter: 5 * time.Millisecond})
		var hosts []*Host
		for i := range 100 {
			hosts = append(hosts, w.host(string(rune('a'+i/10))+string(rune('0'+i%10)), HostOptions{}))
		}
		var ends []*end
		for i, from := range hosts {
			acc := w.listen(hosts[(i+1)%100], "/ip4/0.0.0.0/tcp/1")
			for range 8 {
				d := w.dial(from.Transport(nil, TransportConfig{}), addrOf(hosts[(i+1)%100], 1))
				h.run(100 * time.Millisecond)
				ends = append(ends, d.end)
			}
			ends = append(ends, acc.ends...)
		}
		batch := pattern(40)
		for range 120 {
			for _, e := range ends {
				e.send(batch)
				e.got.Reset()
			}
			h.run(30 * time.Second)
		}
		b.ReportMetric(float64(h.turns), "turns")
	}
}

func BenchmarkBulk(b *testing.B) {
	h := &heap{sched: newSched(1)}
	w := &world{b, h.sched, New(h)}
	w.link(Link{Latency: 20 * time.Millisecond, Window: 4 << 20})
	hosts := w.hosts("a", "b")
	acc := w.listen(hosts[1], "/ip4/0.0.0.0/tcp/1")
	d := w.dial(hosts[0].Transport(nil, TransportConfig{}), addrOf(hosts[1], 1))
	h.run(time.Second)
	p := pattern(64 << 10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for range b.N {
		d.send(p)
		h.run(10 * time.Millisecond)
		acc.ends[0].got.Reset()
	}
}
