package simnet

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

func (w *world) fault(f Fault) *Rule {
	w.t.Helper()
	r, err := w.n.AddFault(f)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func dataFrom(host string) func(Segment) bool {
	return func(s Segment) bool { return s.Kind == Data && s.From == host }
}

func TestTheKthThatMatchesIsHit(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	third := w.fault(Fault{Name: "third", Match: dataFrom("a"), K: 3, Do: Delay, Delay: time.Second})
	each := w.fault(Fault{Name: "each", Match: dataFrom("b"), Do: Delay, Delay: time.Minute})
	var took []time.Duration
	for range 5 {
		began := w.s.now
		a.write(t, "x")
		w.s.run(10 * time.Second)
		took = append(took, b.last.Sub(began))
	}
	if got, want := fmt.Sprint(took), "[0s 0s 1s 0s 0s]"; got != want {
		t.Errorf("took %s, want %s", got, want)
	}
	if third.Matched() != 5 || third.Hits() != 1 || each.Hits() != 0 {
		t.Errorf("%d matched, %d hit, %d of the other", third.Matched(), third.Hits(), each.Hits())
	}
	for range 2 {
		b.write(t, "y")
	}
	w.s.run(59 * time.Second)
	if a.got.Len() != 0 || each.Hits() != 2 {
		t.Errorf("%d bytes, %d hits", a.got.Len(), each.Hits())
	}
	each.Remove()
	each.Remove()
	b.write(t, "z") // waits behind the delayed ones
	w.s.run(0)
	if a.got.Len() != 0 {
		t.Error("a delayed byte was overtaken")
	}
	w.s.run(time.Second)
	if a.got.String() != "yyz" || each.Hits() != 2 {
		t.Errorf("%q, %d hits", a.got.String(), each.Hits())
	}
	w.over(a, b)
}

func TestADroppedSynIsAskedAgainAfterASecond(t *testing.T) {
	for kind, want := range map[Kind]time.Duration{Syn: time.Second, SynAck: time.Second, Ack: 0, Datagram: 0} {
		w := newWorld(t, 1)
		h := w.hosts("a", "b")
		acc := w.listen(h[1], "/ip4/0.0.0.0/tcp/1")
		r := w.fault(Fault{Name: "first", Match: func(s Segment) bool { return s.Kind == kind }, K: 1, Do: Drop})
		d := w.dial(h[0].Transport(nil, TransportConfig{}), addrOf(h[1], 1))
		w.s.run(time.Minute)
		if d.err != nil || d.at != want || len(acc.ends) != 1 {
			t.Errorf("%s dropped: after %v, %v, %d accepted", kind, d.at, d.err, len(acc.ends))
		}
		if hit := r.Hits() == 1; hit != (kind != Datagram) {
			t.Errorf("%s: hit %v", kind, hit)
		}
		w.over(d.end, acc.ends[0])
	}
}

func TestBreakResetsBothEnds(t *testing.T) {
	for _, kind := range []Kind{Data, Fin, Ack} {
		w := newWorld(t, 1)
		w.link(Link{Latency: time.Millisecond})
		h := w.hosts("a", "b")
		acc := w.listen(h[1], "/ip4/0.0.0.0/tcp/1")
		w.fault(Fault{Name: "break", Match: func(s Segment) bool { return s.Kind == kind && s.From == "a" }, K: 1, Do: Break})
		d := w.dial(h[0].Transport(nil, TransportConfig{}), addrOf(h[1], 1))
		w.s.run(time.Second)
		if kind != Ack {
			if d.err != nil || len(acc.ends) != 1 {
				t.Fatal(d.err)
			}
			if kind == Data {
				d.write(t, "never")
			} else {
				_ = d.c.Close()
			}
			w.s.run(time.Second)
			e := acc.ends[0]
			if len(e.ended) != 1 || !errors.Is(e.ended[0], syscall.ECONNRESET) || e.got.Len() > 0 {
				t.Errorf("%s: the receiver: got %q, ended %v", kind, e.got.String(), e.ended)
			}
		} else if len(acc.ends) > 0 {
			t.Error("accepted though the grant's receipt was broken")
		}
		if kind != Fin && (len(d.ended) != 1 || !errors.Is(d.ended[0], syscall.ECONNRESET)) {
			t.Errorf("%s: the sender: %v", kind, d.ended)
		}
		w.over(append([]*end{d.end}, acc.ends...)...)
	}
	w := newWorld(t, 1)
	h := w.hosts("a", "b")
	w.listen(h[1], "/ip4/0.0.0.0/tcp/1")
	w.fault(Fault{Name: "break", Match: func(s Segment) bool { return s.Kind == Syn }, Do: Break})
	w.wantIs("a broken Syn", w.outcome(h[0].Transport(nil, TransportConfig{}), addrOf(h[1], 1)), syscall.ECONNREFUSED)
}

func TestAFaultSeesTheSegment(t *testing.T) {
	w := newWorld(t, 1)
	x, y := w.host("x", HostOptions{NAT: &NAT{PortPreserving: true}}), w.host("y", HostOptions{})
	var seen []string
	w.fault(Fault{Name: "look", Do: Drop, Match: func(s Segment) bool {
		seen = append(seen, fmt.Sprintf("%s %s>%s %s %s :%d #%d @%d %q", s.Kind, s.From, s.To, s.Src, s.Dst, s.Port, s.Stream, s.Offset, s.Payload))
		return false
	}})
	a, b := w.connect(x, y)
	a.write(t, "hello")
	a.write(t, "world") // on its own, since somebody is there to see it
	b.write(t, "back")
	k := w.talk(x, "0.0.0.0:500")
	w.send(k, netip.AddrPortFrom(y.addrs[0], 9), k, "dg")
	w.over(a, b)
	want := []string{
		`syn x>y 1.0.0.1:32768 1.0.0.2:32768 :32768 #1 @0 ""`,
		`synack y>x 1.0.0.2:32768 1.0.0.1:32768 :32768 #1 @0 ""`,
		`ack x>y 1.0.0.1:32768 1.0.0.2:32768 :32768 #1 @0 ""`,
		`data x>y 1.0.0.1:32768 1.0.0.2:32768 :32768 #1 @0 "hello"`,
		`data x>y 1.0.0.1:32768 1.0.0.2:32768 :32768 #1 @5 "world"`,
		`data y>x 1.0.0.2:32768 1.0.0.1:32768 :32768 #1 @0 "back"`,
		`datagram x>y 1.0.0.1:500 1.0.0.2:9 :9 #0 @0 "dg"`,
		`fin x>y 1.0.0.1:32768 1.0.0.2:32768 :32768 #1 @10 ""`,
		`fin y>x 1.0.0.2:32768 1.0.0.1:32768 :32768 #1 @4 ""`,
	}
	if got := strings.Join(seen, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("seen:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

func TestFaultsThatCannotBeAreRefused(t *testing.T) {
	n := New(newSched(1))
	yes := func(Segment) bool { return true }
	for want, f := range map[string]Fault{
		"without Match":      {Name: "f", Do: Drop},
		"is no action":       {Name: "f", Match: yes},
		"no action":          {Name: "f", Match: yes, Do: 77},
		"counted from 1":     {Name: "f", Match: yes, Do: Drop, K: -1},
		"a delay of 0s":      {Name: "f", Match: yes, Do: Delay},
		"drop with a delay":  {Name: "f", Match: yes, Do: Drop, Delay: 1},
		"delay with a delay": {Name: "f", Match: yes, Do: Delay, Delay: -1},
	} {
		if _, err := n.AddFault(f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", f, err, want)
		}
	}
	if Kind(99).String() != "unknown" || Action(99).String() != "unknown" || Behavior(99).String() != "unknown" {
		t.Error("the unknown have names")
	}
}

func TestSeveralFaultsOnOnePacket(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("a", "b")
	a, b := w.connect(h[0], h[1])
	r1 := w.fault(Fault{Name: "1", Match: dataFrom("a"), Do: Delay, Delay: time.Second})
	r2 := w.fault(Fault{Name: "2", Match: dataFrom("a"), Do: Delay, Delay: time.Minute})
	r3 := w.fault(Fault{Name: "3", Match: dataFrom("a"), Do: Drop})
	began := w.s.now
	a.write(t, "x")
	w.s.run(time.Hour)
	if took := b.last.Sub(began); took != time.Minute+time.Second+minRTO {
		t.Errorf("it took %v", took)
	}
	if r1.Hits() != 1 || r2.Hits() != 1 || r3.Hits() != 1 {
		t.Error("not all were hit")
	}
	w.over(a, b)
}
