package peers

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/connset"
	"github.com/troupe-p2p/troupe/peers/limits"
)

func TestAConnectionIsCountedListedAndTold(t *testing.T) {
	w := newWorld(t)
	bob := person(t)
	w.arrives(bob)
	s := next(t, "it gets its actor", w.sessions)
	e := w.event(messages.EventConnected, "subscribers hear of it")
	if e.Peer != bob || e.Conn != s.Conn || e.Path != s.ref.Path() {
		t.Errorf("told %+v", e)
	}
	if up, ok := next(t, "identify hears of it", w.identify).(*messages.ConnUp); !ok || up.Conn != s.Conn {
		t.Error("identify was told otherwise")
	}
	if c, ok := next(t, "the peerstore hears of it", w.book).(*messages.Connectedness); !ok || !c.Connected || c.Peer != bob {
		t.Error("the peerstore was told otherwise")
	}
	for range 3 { // whatever its peer's actor says at its start
		if cs := w.conns(); len(cs) != 1 || cs[0] != s.Conn {
			t.Fatalf("listed: %v", cs)
		}
	}
	s.ends(io.EOF)
	e = w.event(messages.EventDisconnected, "the end is told with its reason, which Terminated overtakes")
	if e.Code != 7 || !e.Remote || !errors.Is(e.Err, io.EOF) {
		t.Errorf("told %+v", e)
	}
	if down, ok := next(t, "identify hears of the end", w.identify).(*messages.ConnDown); !ok || down.Conn != s.Conn.ID {
		t.Error("identify was told otherwise")
	}
	if c, ok := next(t, "the peerstore hears of the end", w.book).(*messages.Connectedness); !ok || c.Connected {
		t.Error("the peerstore was told otherwise")
	}
	until(t, "not listed", func() bool { return len(w.conns()) == 0 })
}

// TestAReservationIsReleasedOnce fills the node, ends one connection in some way, and demands that
// there is room for exactly one more, again and again.
func TestAReservationIsReleasedOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(w *world, s *session)
	}{
		{"by its remote", func(_ *world, s *session) { s.ends(io.EOF) }},
		{"without a word", func(_ *world, s *session) { s.ref.Stop() }},
		{"by a bug in its actor", func(w *world, s *session) { w.rt.Kill(s.ref.Path(), "test") }},
		{"by a bug in its peer's actor", func(w *world, s *session) {
			w.rt.Kill(s.ref.Path()[:len(s.ref.Path())-len("/conn-")-len(id(s))], "test")
		}},
		{"by hanging up", func(w *world, s *session) { _ = w.peers.Control(&messages.Hangup{Peer: s.Conn.Peer, Code: 1}) }},
		{"by hanging up twice", func(w *world, s *session) {
			_ = w.peers.Control(&messages.Hangup{Peer: s.Conn.Peer, Code: 1})
			_ = w.peers.Control(&messages.Hangup{Peer: s.Conn.Peer, Code: 1})
			s.ref.Stop()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, limited(limits.Limits{Conns: 2}))
			w.arrives(w.friend())
			w.arrives(w.friend())
			live := []*session{next(t, "room for one", w.sessions), next(t, "room for two", w.sessions)}
			for range 4 {
				full(t, w)
				c.end(w, live[0])
				next(t, "the connection ends", live[0].gone)
				until(t, "its reservation is free", func() bool { return len(w.conns()) == 1 })
				w.arrives(w.friend())
				live = []*session{live[1], next(t, "room again", w.sessions)}
			}
			full(t, w)
		})
	}
}

func id(s *session) string { return s.ref.Path()[len(s.ref.Path())-1:] }

// full demands that there is no room, and that whoever is refused costs no actor.
func full(t *testing.T, w *world) {
	t.Helper()
	before := len(w.actors("peer"))
	x := w.arrives(person(t))
	next(t, "there is no room", x.closed)
	var refusal limits.Refusal
	if e := w.event(messages.EventRefused, "the refusal is told"); !errors.As(e.Err, &refusal) || refusal.Limit != "Conns" {
		t.Fatalf("refused with %v", e.Err)
	}
	if r := next(t, "its remote is told", w.refused); r.code != connset.CodeLimit || r.reason != "limit: too many connections" {
		t.Errorf("told %+v", r)
	}
	if n := len(w.actors("peer")); n > before {
		t.Errorf("%d actors of peers before the refusal, %d after it", before, n)
	}
}

func TestAPeerHasAsManyConnectionsAsItMayHave(t *testing.T) {
	w := newWorld(t, limited(limits.Limits{ConnsPerPeer: 2}))
	bob := person(t)
	w.arrives(bob)
	one := next(t, "first", w.sessions)
	w.arrives(bob)
	two := next(t, "second", w.sessions)

	if p, ok := next(t, "the first is asked for a sign of life", one.got).(*messages.Probe); ok {
		p.Reply.Answer(time.Millisecond)
	}
	_ = one.Owner.Control(&messages.StreamsChanged{Conn: one.Conn.ID})
	w.arrives(bob)
	three := next(t, "the third finds room, because the second carries nothing", w.sessions)
	if m := closedWith(t, "the second makes room", two); m.Code != connset.CodeSupplanted {
		t.Errorf("closed with %+v", m)
	}
	_ = three.Owner.Control(&messages.StreamsChanged{Conn: three.Conn.ID})
	x := w.arrives(bob)
	next(t, "the fourth finds none: both are in use", x.closed)
	if r := next(t, "its remote is told", w.refused); r.peer != bob || r.code != connset.CodeLimit {
		t.Errorf("told %+v", r)
	}
	var refusal limits.Refusal
	if e := w.event(messages.EventRefused, "told"); !errors.As(e.Err, &refusal) || refusal.Limit != "ConnsPerPeer" || refusal.Cap != 2 || refusal.Holder != bob {
		t.Errorf("refused with %v", e.Err)
	}
	until(t, "two are listed", func() bool { return len(w.conns()) == 2 })
}

// closedWith waits for the end of a session and gives the code and the words that it was asked to
// end with.
func closedWith(t *testing.T, what string, s *session) *messages.CloseConn {
	t.Helper()
	next(t, what, s.gone)
	for {
		select {
		case m := <-s.got:
			if m, ok := m.(*messages.CloseConn); ok {
				return m
			}
		default:
			t.Fatalf("%s: nobody asked it to", what)
		}
	}
}

// TestASpareConnectionIsSupplanted: the older connection answers a probe, so it stays the one that
// is used, and the newer one goes when it has been quiet for long enough.
func TestASpareConnectionIsSupplanted(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.SpareIdle = 30 * time.Millisecond })
	bob := person(t)
	w.arrives(bob)
	old := next(t, "first", w.sessions)
	w.arrives(bob)
	spare := next(t, "second", w.sessions)
	p, ok := next(t, "the older one is asked for a sign of life", old.got).(*messages.Probe)
	if !ok {
		t.Fatal("it got something else")
	}
	p.Reply.Answer(time.Millisecond)
	_ = spare.Owner.Control(&messages.StreamsChanged{Conn: spare.Conn.ID})
	_ = spare.Owner.Control(&messages.StreamsChanged{Conn: spare.Conn.ID, Quiet: time.Now()})
	if m := closedWith(t, "the spare one goes", spare); m.Code != 0x1004 {
		t.Errorf("closed with %+v", m)
	}
	until(t, "the older one is left", func() bool { cs := w.conns(); return len(cs) == 1 && cs[0] == old.Conn })
}

// TestTwoThatKeepTheRuleAgreeOnOne: the connection dialled by the smaller peer ID stays.
func TestTwoThatKeepTheRuleAgreeOnOne(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.SpareIdle, c.AgreedIdle = time.Hour, 20*time.Millisecond })
	bob := person(t)
	for w.self < bob { // bob's connection is to stay, and ours is ours to close
		bob = person(t)
	}
	ours, _ := w.dial(bob, here)
	attempt := next(t, "we dial", w.dials)
	w.arrives(bob)
	inbound := next(t, "bob was faster", w.sessions)
	if a := next(t, "his connection is the answer", ours); a.err != nil || a.v != inbound.Conn {
		t.Errorf("answered %v, %v", a.v, a.err)
	}
	attempt.reaches(bob) // not given up: bob may have given up his own for ours
	outbound := next(t, "ours is a connection too", w.sessions)
	if p, ok := next(t, "his is probed", inbound.got).(*messages.Probe); ok {
		p.Reply.Answer(time.Millisecond)
	}
	_ = w.peers.Control(&messages.PeerIdentified{Peer: bob, Conn: inbound.Conn.ID, Protocols: []string{connset.Rule}})
	if m := closedWith(t, "ours goes", outbound); m.Code != connset.CodeSupplanted {
		t.Errorf("closed with %+v", m)
	}
	until(t, "his is left", func() bool { cs := w.conns(); return len(cs) == 1 && cs[0] == inbound.Conn })
}

func TestHangingUpEndsEverything(t *testing.T) {
	w := newWorld(t)
	bob, eve := person(t), person(t)
	w.arrives(bob)
	s := next(t, "connected", w.sessions)
	_ = w.peers.Control(&messages.Hangup{Peer: bob, Code: 5, Reason: "enough"})
	again, _ := w.dial(bob, here)
	next(t, "the next call dials anew: the connection is about to end", w.dials).reaches(bob)
	fresh := next(t, "a new connection", w.sessions)
	if a := next(t, "answered", again); a.v != fresh.Conn {
		t.Errorf("answered with %v, %v", a.v, a.err)
	}
	if m := closedWith(t, "the old one goes", s); m.Code != 5 || m.Reason != "enough" {
		t.Errorf("the old one was closed with %+v", m)
	}

	waits, _ := w.dial(eve, here)
	a := next(t, "dialling", w.dials)
	_ = w.peers.Control(&messages.Hangup{Peer: eve})
	next(t, "the attempt stops", a.end)
	if got := next(t, "who waits is told", waits); !errors.Is(got.err, ErrHungUp) {
		t.Errorf("answered %v", got.err)
	}
}

func TestAFailureOfAPeersActorAnswersEverybodyAndStartsClean(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.IdleFor = 30 * time.Millisecond })
	bob := person(t)
	w.arrives(bob)
	s := next(t, "connected", w.sessions)
	path := w.actors("peer")[0]
	w.rt.Kill(path, "test")
	next(t, "the connection ends with it", s.gone)
	w.event(messages.EventDisconnected, "told")

	waits, _ := w.dial(bob, here)
	stale := next(t, "it dials again", w.dials)
	opens, _ := w.open(bob, nil)
	w.rt.Kill(path, "test")
	if a := next(t, "the pending dial has its answer", waits); a.err == nil {
		t.Error("no error")
	}
	if a := next(t, "the pending open has its answer", opens); a.err == nil {
		t.Error("no error")
	}
	next(t, "the attempt is stopped", stale.end)

	var fresh *attempted
	for end := time.Now().Add(patience); fresh == nil && time.Now().Before(end); {
		waits, _ = w.dial(bob, here)
		select {
		case fresh = <-w.dials:
		case a := <-waits: // until the actor is back, calls are answered with its failure
			if !errors.Is(a.err, actors.ErrRestarting) {
				t.Fatalf("answered %v, %v", a.v, a.err)
			}
		}
	}
	if fresh == nil {
		t.Fatal("it does not dial again")
	}
	if stale.job.Attempt == fresh.job.Attempt {
		t.Error("an answer to the dial before the failure would count for this one")
	}
	fresh.fails(errRefused)
	if a := next(t, "answered", waits); !errors.Is(a.err, errRefused) {
		t.Error(a.err)
	}
	until(t, "the actor goes when it is idle, as if nothing had been", func() bool { return len(w.actors("peer")) == 0 })
}

func TestAFailureOfPeersAnswersEverybodyAndStartsClean(t *testing.T) {
	w := newWorld(t)
	bob := person(t)
	w.arrives(bob)
	s := next(t, "connected", w.sessions)
	known, _ := w.dial(person(t), here)
	anonymous, _ := w.dial("", here)
	open, _ := w.open(person(t), nil, here)
	for range 3 {
		next(t, "dialling", w.dials)
	}
	w.kill("peers")
	for _, ch := range []chan answer[*struct{}]{drop(known), drop(anonymous), drop(open)} {
		if a := next(t, "a pending call has its answer", ch); a.err == nil {
			t.Error("no error")
		}
	}
	next(t, "the connection ends", s.gone)
	w.arrives(bob)
	next(t, "serves again", w.sessions)
	until(t, "one is listed", func() bool { return len(w.conns()) == 1 })
}

// drop forgets the value.
func drop[T any](in chan answer[T]) chan answer[*struct{}] {
	out := make(chan answer[*struct{}], 1)
	go func() { out <- answer[*struct{}]{err: (<-in).err} }()
	return out
}

// TestPeersThatComeAndGoLeaveNothing: endless identities, one after another.
func TestPeersThatComeAndGoLeaveNothing(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.IdleFor = 20 * time.Millisecond })
	for range 100 {
		w.arrives(person(t))
		s := next(t, "connected", w.sessions)
		s.ends(io.EOF)
		next(t, "gone", s.gone)
	}
	until(t, "no actor is left", func() bool { return len(w.actors("peer")) == 0 && len(w.conns()) == 0 })
}
