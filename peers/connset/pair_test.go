package connset

import (
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/identity"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const small, large identity.ID = "\x00\x01a", "\x00\x01b"

// pair is both ends of the connections between two nodes, in virtual time. A close arrives at
// the other end after delay; so does a probe's answer.
type pair struct {
	t      *testing.T
	now    time.Time
	delay  time.Duration
	a, b   *Set
	todo   []todo
	closed map[uint64]*Set // who closed
}

type todo struct {
	at   time.Time
	play func()
}

func newPair(t *testing.T) *pair {
	return &pair{
		t: t, now: epoch, delay: 50 * time.Millisecond, closed: map[uint64]*Set{},
		a: New(Config{Self: small, Peer: large}), b: New(Config{Self: large, Peer: small}),
	}
}

func (p *pair) other(s *Set) *Set {
	if s == p.a {
		return p.b
	}
	return p.a
}

func (p *pair) add(s *Set, c Conn) {
	p.t.Helper()
	if err := s.Add(p.now, c); err != nil {
		p.t.Fatalf("connection %d: %v", c.ID, err)
	}
	p.drain(s)
}

func (p *pair) after(d time.Duration, play func()) {
	p.todo = append(p.todo, todo{p.now.Add(d), play})
}

func (p *pair) drain(s *Set) {
	for e, ok := s.Next(); ok; e, ok = s.Next() {
		switch e := e.(type) {
		case Close:
			if e.Code != CodeSupplanted || e.Reason == "" {
				p.t.Errorf("connection %d closed with code %#x, reason %q", e.ID, e.Code, e.Reason)
			}
			p.closed[e.ID] = s
			p.after(p.delay, func() { p.other(s).Remove(e.ID) })
		case Probe:
			if p.closed[e.ID] == nil {
				p.after(2*p.delay, func() { s.Alive(e.ID) })
			}
		}
	}
}

// run plays everything up to a time.
func (p *pair) run(until time.Time) {
	for {
		next, at := func() {}, until
		pick := -1
		for i, d := range p.todo {
			if !d.at.After(at) {
				pick, at, next = i, d.at, d.play
			}
		}
		for _, s := range []*Set{p.a, p.b} {
			if d, ok := s.Deadline(); ok && d.Before(at) {
				pick, at, next = -1, d, func() { s.HandleTimeout(p.now) }
			}
		}
		if at.After(p.now) {
			p.now = at
		}
		if pick >= 0 {
			p.todo = append(p.todo[:pick], p.todo[pick+1:]...)
		}
		next()
		p.drain(p.a)
		p.drain(p.b)
		if pick < 0 && !at.Before(until) {
			return
		}
	}
}

// cross has both dial at once: connection 1 is dialled by the small ID, 2 by the large one. The
// two ends see them come up in different orders.
func (p *pair) cross() {
	p.add(p.a, Conn{ID: 1, Outbound: true})
	p.add(p.b, Conn{ID: 2, Outbound: true})
	p.now = p.now.Add(p.delay)
	p.add(p.a, Conn{ID: 2})
	p.add(p.b, Conn{ID: 1})
}

func (p *pair) want(reason string, ids ...uint64) {
	p.t.Helper()
	for name, s := range map[string]*Set{"small": p.a, "large": p.b} {
		if s.Len() != len(ids) {
			p.t.Fatalf("%s: the %s ID has %d connections, want %v", reason, name, s.Len(), ids)
		}
		for _, id := range ids {
			if s.find(id) == nil {
				p.t.Fatalf("%s: the %s ID has lost connection %d", reason, name, id)
			}
		}
	}
}

func TestTwoTroupesKeepTheConnectionOfTheSmallerID(t *testing.T) {
	p := newPair(t)
	p.cross()
	p.a.Identified(true)
	p.b.Identified(true)
	p.run(p.now.Add(time.Second))
	p.want("within a second nothing is closed, streams may be under way", 1, 2)
	for name, s := range map[string]*Set{"small": p.a, "large": p.b} {
		if id, _ := s.Best(false); id != 1 {
			t.Fatalf("the %s ID opens streams on %d", name, id)
		}
	}
	p.run(p.now.Add(time.Second))
	p.want("both keep the one that the smaller ID dialled", 1)
	if p.closed[2] != p.b {
		t.Fatal("the spare one was not closed by who dialled it")
	}
	p.run(p.now.Add(time.Hour))
	p.want("and go on keeping it", 1)
}

func TestStreamsHoldTheSpareConnectionOfTwoTroupes(t *testing.T) {
	p := newPair(t)
	p.cross()
	p.a.Identified(true)
	p.b.Identified(true)
	p.b.StreamOpened(2)
	p.a.StreamOpened(2)
	p.run(p.now.Add(10 * time.Minute))
	p.want("a stream is under way", 1, 2)
	p.b.StreamEnded(p.now, 2)
	p.run(p.now.Add(999 * time.Millisecond))
	p.want("it has just ended", 1, 2)
	p.run(p.now.Add(100 * time.Millisecond))
	p.want("a second later it goes", 1)
}

func TestTwoWhoDoNotAgreeNeverCloseBothConnections(t *testing.T) {
	p := newPair(t)
	p.cross()
	p.run(p.now.Add(29 * time.Second))
	p.want("nothing is closed before 30 s without a stream", 1, 2)
	if id, _ := p.a.Best(false); id != 1 {
		t.Fatalf("the small ID opens on %d, its older one is 1", id)
	}
	if id, _ := p.b.Best(false); id != 2 {
		t.Fatalf("the large ID opens on %d, its older one is 2", id)
	}
	p.run(p.now.Add(time.Hour))
	p.want("the smaller ID was first to close what it saw as spare", 1)
}

func TestWhenOneSideHasNotHeardOfTheRuleOneConnectionStays(t *testing.T) {
	for _, who := range []string{"small", "large"} {
		p := newPair(t)
		p.cross()
		p.a.Identified(who == "small")
		p.b.Identified(who == "large")
		p.run(p.now.Add(time.Hour))
		if p.a.Len() != 1 || p.b.Len() != 1 {
			t.Fatalf("only the %s ID knows: %d and %d connections are left, want 1", who, p.a.Len(), p.b.Len())
		}
	}
}

func TestTheSecondConnectionOfOneDirectionIsSpareToo(t *testing.T) {
	for _, agreed := range []bool{false, true} {
		p := newPair(t)
		for id := uint64(1); id <= 3; id++ {
			p.add(p.a, Conn{ID: id, Outbound: true})
			p.now = p.now.Add(p.delay)
			p.add(p.b, Conn{ID: id})
		}
		p.a.Identified(agreed)
		p.b.Identified(agreed)
		p.run(p.now.Add(time.Hour))
		p.want("the oldest of the same direction stays", 1)
	}
}
