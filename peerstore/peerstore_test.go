package peerstore

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peerstore/book"
	"github.com/troupe-p2p/troupe/stream"

	ma "github.com/multiformats/go-multiaddr"
)

// store is the actor with a stand-in for Peers.
type store struct {
	t     *testing.T
	rt    *actors.Runtime
	state *State
	ref   actors.Ref[messages.Book]
	asked chan *messages.ListConns
}

func newStore(t *testing.T) *store {
	t.Helper()
	rt := actors.Live(actors.Options{})
	t.Cleanup(func() {
		if left := rt.Close(context.Background()); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	s := &store{t: t, rt: rt, state: NewState(book.Config{}), asked: make(chan *messages.ListConns, 16)}
	var err error
	if s.ref, err = actors.Root[messages.Book](rt, Spec(Config{State: s.state})); err != nil {
		t.Fatal(err)
	}
	return s
}

// introduce gives it a Peers whose questions the test answers.
func (s *store) introduce() {
	s.t.Helper()
	peers, err := actors.Root[messages.Peers](s.rt, actors.Spec{Name: "peers", New: func() actor.Actor {
		return actorFunc(func(ctx actor.Context) {
			if m, ok := ctx.Message().(*messages.ListConns); ok {
				s.asked <- m
			}
		})
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.tell(&messages.Introduce{Peers: peers})
}

type actorFunc func(actor.Context)

func (f actorFunc) Receive(ctx actor.Context) { f(ctx) }

// tell sends on the lane on which the node's own actors do.
func (s *store) tell(m messages.Book) {
	s.t.Helper()
	if err := s.ref.Control(m); err != nil {
		s.t.Fatal(err)
	}
}

func (s *store) lookup(id identity.ID) []string {
	s.t.Helper()
	return text(ask(s, func(r actors.Reply[[]ma.Multiaddr]) messages.Book {
		return &messages.Lookup{Peer: id, Reply: r}
	}))
}

func (s *store) info(id identity.ID) messages.KnownPeer {
	s.t.Helper()
	return ask(s, func(r actors.Reply[messages.KnownPeer]) messages.Book {
		return &messages.PeerInfo{Peer: id, Reply: r}
	})
}

// ask asks again when the question was under way while the actor failed: such are answered too.
func ask[T any](s *store, m func(actors.Reply[T]) messages.Book) T {
	s.t.Helper()
	for {
		v, err := actors.AskControl(s.t.Context(), s.ref, m)
		var pe *actors.PanicError
		switch {
		case err == nil:
			return v
		case !errors.As(err, &pe) && !errors.Is(err, actors.ErrRestarting):
			s.t.Fatal(err)
		}
	}
}

func (s *store) crash() {
	s.t.Helper()
	if !s.rt.Kill("book", "test") {
		s.t.Fatal("there is no book to be killed")
	}
}

func (s *store) wantConnected(why string, id identity.ID, want bool) {
	s.t.Helper()
	if got := s.info(id).Connected; got != want {
		s.t.Errorf("%s: connected is %v", why, got)
	}
}

func text(list []ma.Multiaddr) []string {
	var out []string
	for _, a := range list {
		out = append(out, a.String())
	}
	slices.Sort(out)
	return out
}

func maddrs(list ...string) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, s := range list {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			panic(err)
		}
		out = append(out, a)
	}
	return out
}

func newKey(t *testing.T, seed byte) (identity.PrivateKey, identity.ID) {
	t.Helper()
	k, err := identity.GenerateKey(1, bytes.NewReader(bytes.Repeat([]byte{seed}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.IDFromKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return k, id
}

const (
	one   = "/ip4/1.2.3.4/tcp/1"
	two   = "/ip4/1.2.3.4/tcp/2"
	three = "/ip4/1.2.3.4/tcp/3"
)

func TestBookRemembersWhatItIsTold(t *testing.T) {
	s := newStore(t)
	_, a := newKey(t, 1)
	_, b := newKey(t, 2)
	if got := s.lookup(a); got != nil {
		t.Errorf("an unknown peer has addresses: %v", got)
	}
	s.tell(&messages.Learn{Peer: a, Addrs: maddrs(one), TTL: time.Hour})
	s.tell(&messages.Learn{Peer: b, Addrs: maddrs(two), TTL: time.Hour})
	if got := s.lookup(a); !slices.Equal(got, []string{one}) {
		t.Errorf("addresses of a: %v", got)
	}
	ids := ask(s, func(r actors.Reply[[]identity.ID]) messages.Book { return &messages.KnownPeers{Reply: r} })
	want := []identity.ID{a, b}
	slices.Sort(want)
	if !slices.Equal(ids, want) {
		t.Errorf("known peers: %v", ids)
	}
	s.lookup(a) // after it the turns before it are over
	info := s.rt.Tree("book").Roots[0].Info
	if !slices.Contains(info, actors.KeyValue{Key: "peers", Value: "2"}) || !slices.Contains(info, actors.KeyValue{Key: "addrs", Value: "2"}) {
		t.Errorf("the tree shows %v", info)
	}
}

func TestBookPutsWhatIdentifyBringsFirst(t *testing.T) {
	s := newStore(t)
	key, id := newKey(t, 1)
	s.tell(&messages.Connectedness{Peer: id, Connected: true})
	record, err := identity.PeerRecord{ID: id, Seq: 5, Addrs: maddrs(two)}.Seal(key)
	if err != nil {
		t.Fatal(err)
	}
	s.tell(&messages.Identified{
		Peer: id, Key: key.Public(), Addrs: maddrs(one), Record: record, Protocols: []string{"/x", "/y"}, Agent: "agent", Version: "v",
	})
	got := s.info(id)
	if !slices.Equal(text(got.Addrs), []string{two}) || !bytes.Equal(got.Record, record) {
		t.Errorf("a record replaces the addresses without a signature, got %v", text(got.Addrs))
	}
	if got.Agent != "agent" || got.Version != "v" || !slices.Equal(got.Protocols, []string{"/x", "/y"}) || !got.Connected {
		t.Errorf("got %+v", got)
	}
}

// TestWhatIsKnownOfAPeerBelongsToWhoAsked: peers of one make share a list of protocols in the book.
func TestWhatIsKnownOfAPeerBelongsToWhoAsked(t *testing.T) {
	s := newStore(t)
	protocols := []string{"/y", "/x"}
	var ids []identity.ID
	for seed := range byte(2) {
		key, id := newKey(t, seed)
		record, err := identity.PeerRecord{ID: id, Seq: 5, Addrs: maddrs(two)}.Seal(key)
		if err != nil {
			t.Fatal(err)
		}
		s.tell(&messages.Connectedness{Peer: id, Connected: true})
		s.tell(&messages.Identified{Peer: id, Key: key.Public(), Record: record, Protocols: protocols})
		ids = append(ids, id)
	}
	mine := s.info(ids[0])
	record := slices.Clone(mine.Record)
	slices.Sort(mine.Protocols)
	clear(mine.Record)
	clear(mine.Addrs)
	for _, id := range ids {
		if got := s.info(id); !slices.Equal(got.Protocols, protocols) {
			t.Errorf("somebody has sorted what the book knows: %q", got.Protocols)
		}
	}
	if got := s.info(ids[0]); !bytes.Equal(got.Record, record) || !slices.Equal(text(got.Addrs), []string{two}) {
		t.Errorf("somebody has written over what the book knows: %+v", got)
	}
}

func TestPushChangesOnlyWhatItSays(t *testing.T) {
	key, id := newKey(t, 1)
	record, err := identity.PeerRecord{ID: id, Seq: 5, Addrs: maddrs(two)}.Seal(key)
	if err != nil {
		t.Fatal(err)
	}
	newer, err := identity.PeerRecord{ID: id, Seq: 6, Addrs: maddrs(three)}.Seal(key)
	if err != nil {
		t.Fatal(err)
	}
	before := messages.Identified{Peer: id, Key: key.Public(), Protocols: []string{"/x"}, Agent: "agent", Version: "v"}
	signed, unsigned := before, before
	signed.Record, unsigned.Addrs = record, maddrs(one)
	cases := []struct {
		why    string
		before messages.Identified
		push   messages.Identified
		addrs  []string
		protos []string
		agent  string
		record []byte
	}{
		{"nothing", signed, messages.Identified{}, []string{two}, []string{"/x"}, "agent", record},
		{"protocols", signed, messages.Identified{Protocols: []string{"/y"}}, []string{two}, []string{"/y"}, "agent", record},
		{"protocols, without a record before", unsigned, messages.Identified{Protocols: []string{"/y"}}, []string{one}, []string{"/y"}, "agent", nil},
		{"the agent", signed, messages.Identified{Agent: "new"}, []string{two}, []string{"/x"}, "new", record},
		{"addresses, which the old record would hide", signed, messages.Identified{Addrs: maddrs(three)}, []string{three}, []string{"/x"}, "agent", nil},
		{"a newer record", signed, messages.Identified{Record: newer}, []string{three}, []string{"/x"}, "agent", newer},
	}
	for _, c := range cases {
		s := newStore(t)
		s.tell(&messages.Connectedness{Peer: id, Connected: true})
		// Hearsay must not become the peer's own word by way of a push.
		s.tell(&messages.Learn{Peer: id, Addrs: maddrs("/ip4/6.6.6.6/tcp/6"), TTL: time.Hour})
		first, push := c.before, c.push
		s.tell(&first)
		push.Peer, push.Partial = id, true
		s.tell(&push)
		got := s.info(id)
		want := append(slices.Clone(c.addrs), "/ip4/6.6.6.6/tcp/6")
		slices.Sort(want)
		if !slices.Equal(text(got.Addrs), want) || !slices.Equal(got.Protocols, c.protos) || got.Agent != c.agent || got.Version != "v" || !bytes.Equal(got.Record, c.record) {
			t.Errorf("a push of %s: %v %q %q %q, %d bytes of record", c.why, text(got.Addrs), got.Protocols, got.Agent, got.Version, len(got.Record))
		}
		s.tell(&messages.Connectedness{Peer: id})
		s.info(id) // after it the actor is idle
		for _, a := range s.state.book.Addrs(s.rt.Now(), id) {
			if a.Addr.String() == "/ip4/6.6.6.6/tcp/6" && a.Source != book.Told {
				t.Errorf("a push of %s: hearsay has become %v", c.why, a.Source)
			}
		}
	}
}

func TestBookForgetsNothingWhenItCrashes(t *testing.T) {
	s := newStore(t)
	key, id := newKey(t, 1)
	s.tell(&messages.Connectedness{Peer: id, Connected: true})
	s.tell(&messages.Identified{Peer: id, Key: key.Public(), Addrs: maddrs(one), Agent: "agent"})
	for range 3 {
		s.crash()
		if got := s.info(id); !slices.Equal(text(got.Addrs), []string{one}) || got.Agent != "agent" || !got.Connected {
			t.Fatalf("after a crash: %+v", got)
		}
	}
}

func TestBookThatCannotBeRepairedStartsEmpty(t *testing.T) {
	s := newStore(t)
	_, id := newKey(t, 1)
	s.tell(&messages.Learn{Peer: id, Addrs: maddrs(one), TTL: time.Hour})
	s.info(id)
	s.state.repairing = true // as if the last repair had panicked
	s.crash()
	if got := s.lookup(id); got != nil {
		t.Errorf("the broken memory is still in use: %v", got)
	}
	s.tell(&messages.Learn{Peer: id, Addrs: maddrs(two), TTL: time.Hour})
	if got := s.lookup(id); !slices.Equal(got, []string{two}) {
		t.Errorf("the new memory does not work: %v", got)
	}
}

func TestBookAsksWhoIsConnectedAfterACrash(t *testing.T) {
	s := newStore(t)
	s.introduce()
	_, gone := newKey(t, 1)     // disconnected while the book was down
	_, came := newKey(t, 2)     // connected while the book was down
	_, stays := newKey(t, 3)    // connected all the time
	_, left := newKey(t, 4)     // disconnects between the question and the answer
	_, returned := newKey(t, 5) // connects between the question and the answer
	for _, id := range []identity.ID{gone, stays, left} {
		s.tell(&messages.Connectedness{Peer: id, Connected: true})
	}
	s.crash()
	q := within(t, "the question", s.asked)
	s.tell(&messages.Connectedness{Peer: left})
	s.tell(&messages.Connectedness{Peer: returned, Connected: true})
	q.Reply.Answer([]*stream.Conn{{Peer: came}, {Peer: stays}, {Peer: left}})
	s.wantConnected("not on the list", gone, false)
	s.wantConnected("on the list", came, true)
	s.wantConnected("on the list", stays, true)
	s.wantConnected("on the list, but it has left since", left, false)
	s.wantConnected("not on the list, but it has come since", returned, true)
}

func TestNobodyIsConnectedWhenPeersHasFailed(t *testing.T) {
	s := newStore(t)
	s.introduce()
	_, id := newKey(t, 1)
	s.tell(&messages.Connectedness{Peer: id, Connected: true})
	s.crash()
	within(t, "the question", s.asked)
	s.rt.Kill("peers", "test")
	for s.info(id).Connected {
		// the failure of Peers is the answer, and on its way
	}
}

func TestBookSweepsWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		_, id := newKey(t, 1)
		s.tell(&messages.Learn{Peer: id, Addrs: maddrs(one), TTL: time.Minute})
		if got := s.lookup(id); len(got) != 1 {
			t.Fatalf("got %v", got)
		}
		<-time.After(2 * time.Minute)
		synctest.Wait()
		if st := s.state.book.Stats(); st.Peers != 0 || st.Addrs != 0 {
			t.Errorf("a minute after everything has expired there are %+v", st)
		}
		// It does not wake up when there is nothing to sweep, and does again later.
		s.tell(&messages.Learn{Peer: id, Addrs: maddrs(one), TTL: time.Minute})
		s.crash()
		<-time.After(2 * time.Minute)
		synctest.Wait()
		if st := s.state.book.Stats(); st.Peers != 0 {
			t.Errorf("after a crash nothing is swept: %+v", st)
		}
	})
}

func within[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: did not happen", what)
		panic("unreachable")
	}
}

func TestZeroConfigWorks(t *testing.T) {
	s := newStore(t)
	spec := Spec(Config{})
	spec.Name = "another"
	var err error
	if s.ref, err = actors.Root[messages.Book](s.rt, spec); err != nil {
		t.Fatal(err)
	}
	_, id := newKey(t, 1)
	s.tell(&messages.Learn{Peer: id, Addrs: maddrs(one), TTL: time.Hour})
	if got := s.lookup(id); !slices.Equal(got, []string{one}) {
		t.Errorf("got %v", got)
	}
}
