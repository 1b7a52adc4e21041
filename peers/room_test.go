package peers

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/connset"
	"github.com/troupe-p2p/troupe/peers/limits"
)

// comes lets an inbound connection arrive that is taken in.
func (w *world) comes(peer identity.ID) *session {
	w.t.Helper()
	w.arrives(peer)
	s := next(w.t, "room", w.sessions)
	if s.Conn.Peer != peer {
		w.t.Fatalf("%s came in, want %s", s.Conn.Peer, peer)
	}
	return s
}

// wantEvicted demands that a connection ends to make room for a peer.
func wantEvicted(t *testing.T, w *world, s *session, newcomer identity.ID) {
	t.Helper()
	if m := closedWith(t, "it makes room", s); m.Code != connset.CodeEvicted {
		t.Errorf("closed with %+v", m)
	}
	e := w.event(messages.EventDisconnected, "subscribers hear why")
	var why *limits.Eviction
	if e.Peer != s.Conn.Peer || e.Code != connset.CodeEvicted || !errors.As(e.Err, &why) || why.For != newcomer || why.Limit != "Conns" {
		t.Errorf("told %+v", e)
	}
}

// TestANewcomerTakesThePlaceOfTheLeastUseful, one for one: there are never more than may be.
func TestANewcomerTakesThePlaceOfTheLeastUseful(t *testing.T) {
	w := newWorld(t, limited(limits.Limits{Conns: 4}))
	bob, friend := person(t), w.friend()
	working := w.comes(bob)
	_ = working.Owner.Control(&messages.StreamsChanged{Conn: working.Conn.ID})
	kept := w.comes(friend)
	tagged := w.comes(person(t))
	if err := w.marks.Tag(tagged.Conn.Peer, "useful", 5); err != nil {
		t.Fatal(err)
	}
	idle := w.comes(person(t))
	for range 3 {
		newcomer := person(t)
		w.arrives(newcomer)
		wantEvicted(t, w, idle, newcomer)
		idle = next(t, "the newcomer is in", w.sessions)
		if n := len(w.conns()); n != 4 {
			t.Fatalf("%d connections, want 4", n)
		}
	}
	// Worth more than the idle one and less than the tagged one.
	if err := w.marks.Tag(idle.Conn.Peer, "useful", 9); err != nil {
		t.Fatal(err)
	}
	x := w.arrives(person(t))
	next(t, "all are worth more", x.closed)
	var r limits.Refusal
	if e := w.event(messages.EventRefused, "told"); !errors.As(e.Err, &r) || r.Limit != "Conns" || r.Holder == "" {
		t.Errorf("refused with %v", e.Err)
	}
	w.marks.Untag(tagged.Conn.Peer, "useful")
	newcomer := person(t)
	w.arrives(newcomer)
	wantEvicted(t, w, tagged, newcomer)
	newest := next(t, "the newcomer is in", w.sessions)
	for _, s := range []*session{working, kept, idle, newest} {
		select {
		case <-s.gone:
			t.Errorf("%s is gone too", s.Conn.Peer)
		default:
		}
	}
}

// TestRemotesPushOutNoConnectionThatWeDialled, nor one identity that of another.
func TestRemotesPushOutNoConnectionThatWeDialled(t *testing.T) {
	w := newWorld(t, limited(limits.Limits{Conns: 2, ConnsPerPeer: 8}))
	for _, peer := range []identity.ID{person(t), person(t)} {
		got, _ := w.dial(peer, here)
		next(t, "an attempt", w.dials).reaches(peer)
		if a := next(t, "connected", got); a.err != nil {
			t.Fatal(a.err)
		}
		next(t, "a connection", w.sessions)
	}
	x := w.arrives(person(t))
	next(t, "there is none that somebody else dialled", x.closed)

	w = newWorld(t, limited(limits.Limits{Conns: 2, ConnsPerPeer: 8}))
	bob, eve := person(t), person(t)
	first := w.comes(bob)
	w.comes(eve)
	w.arrives(eve)
	next(t, "her second takes the place of her first", w.sessions)
	select {
	case <-first.gone:
		t.Error("it took somebody else's")
	default:
	}
}

// TestNewcomersThatWaitForRoomAreBounded: connections that do not end have more and more newcomers wait for
// them, up to a number, and there are never more connections than may be.
func TestNewcomersThatWaitForRoomAreBounded(t *testing.T) {
	const room = 2 * maxParked
	began := make(chan struct{}, 200*maxParked)
	w := newWorld(t, limited(limits.Limits{Conns: room * 8 / 7}), func(c *Config) {
		c.Session = func(job SessionJob) actors.Spec {
			return actors.Spec{Kind: "connection", Restart: actors.Temporary, New: func() actor.Actor {
				return fn(func(ctx actor.Context) {
					switch ctx.Message().(type) {
					case *actor.Started:
						began <- struct{}{}
					case *actor.Stopping:
						job.Link.Close()
					}
				})
			}}
		}
		c.Refuse = func(l *messages.Link, _ uint32, _ string) { l.Close() }
	})
	in := len(w.conns())
	for in < room {
		w.arrives(person(t))
		next(t, "room", began)
		in++
	}
	in = len(w.conns())
	var wires []wire
	id := person(t)
	for i := range 100 * maxParked {
		wires = append(wires, w.arrives(id+identity.ID(fmt.Sprint(i))))
	}
	until(t, "all but those that wait are refused", func() bool {
		wires = slices.DeleteFunc(wires, func(x wire) bool {
			select {
			case <-x.closed:
				return true
			default:
				return false
			}
		})
		return len(wires) <= maxParked
	})
	if n := len(w.conns()); n != in || len(wires) == 0 {
		t.Fatalf("%d newcomers wait; %d connections, there were %d", len(wires), n, in)
	}
}
