package identify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/protocols/identify/message"
	"github.com/troupe-p2p/troupe/stream"

	ma "github.com/multiformats/go-multiaddr"
)

// node is the service between stand-ins, in virtual time.
type node struct {
	t       *testing.T
	rt      *actors.Runtime
	cfg     Config
	svc     actors.Ref[messages.Identify]
	session actors.Ref[messages.Session]
	mu      sync.Mutex                 // for what the stand-ins note; the service has timers
	opens   []*messages.OpenStream     // what sessions were asked for
	asked   int                        // times that Peers was asked for all connections
	told    []*messages.PeerIdentified // what Peers was told
	events  *actors.Feed[messages.Event]
}

func inVirtualTime(t *testing.T, f func(n *node)) { inVirtualTimeWith(t, Config{}, f) }

func inVirtualTimeWith(t *testing.T, cfg Config, f func(n *node)) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{t: t, rt: actors.Live(actors.Options{}), cfg: cfg}
		t.Cleanup(func() {
			if left := n.rt.Close(context.Background()); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			pass(5 * time.Second) // proto.actor's throttle of dead letters ends
		})
		hub := &actors.Hub[messages.Event]{}
		n.events = hub.Subscribe(t.Context(), 1000)
		n.cfg.Key, _ = newKey(t, 1)
		n.cfg.State, n.cfg.Hub = &State{}, hub
		n.session = spawn[messages.Session](n, "session", func(m any) {
			n.mu.Lock()
			defer n.mu.Unlock()
			if m, ok := m.(*messages.OpenStream); ok {
				n.opens = append(n.opens, m)
			}
		})
		n.cfg.Peers = spawn[messages.Peers](n, "peers", func(m any) {
			n.mu.Lock()
			defer n.mu.Unlock()
			switch m := m.(type) {
			case *messages.AnnounceConns:
				n.asked++
			case *messages.PeerIdentified:
				n.told = append(n.told, m)
			}
		})
		var err error
		if n.svc, err = actors.Root[messages.Identify](n.rt, Spec(n.cfg)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f(n)
	})
}

type actorFunc func(any)

func (f actorFunc) Receive(ctx actor.Context) { f(ctx.Message()) }

func spawn[M any](n *node, name string, f func(any)) actors.Ref[M] {
	n.t.Helper()
	r, err := actors.Root[M](n.rt, actors.Spec{Name: name, Restart: actors.Transient, New: func() actor.Actor { return actorFunc(f) }})
	if err != nil {
		n.t.Fatal(err)
	}
	return r
}

// tell sends and waits until everything that follows from it has happened.
func (n *node) tell(m messages.Identify) {
	n.t.Helper()
	if err := n.svc.Control(m); err != nil {
		n.t.Fatal(err)
	}
	synctest.Wait()
}

func (n *node) crash() {
	n.t.Helper()
	if !n.rt.Kill("identify", "test") {
		n.t.Fatal("there is no identify to be killed")
	}
	synctest.Wait()
}

// conn is a new connection with the peer of that number, seen at remote.
func (n *node) conn(id uint64, peer byte, remote string) *stream.Conn {
	n.t.Helper()
	_, pid := newKey(n.t, peer)
	pass(time.Nanosecond) // since the last change
	c := &stream.Conn{ID: id, Peer: pid, Since: n.rt.Now()}
	c.Remote = addr(remote)
	n.tell(&messages.ConnUp{Conn: c, Session: n.session})
	return c
}

// taken are the requests for streams since the last call.
func (n *node) taken() []*messages.OpenStream {
	n.mu.Lock()
	defer n.mu.Unlock()
	o := n.opens
	n.opens = nil
	return o
}

func (n *node) wantOpens(why, protocol string, want int) []*messages.OpenStream {
	n.t.Helper()
	o := n.taken()
	for _, m := range o {
		if !slices.Equal(m.Protocols, []string{protocol}) || m.Confirm || m.Handler.Actor == nil {
			n.t.Errorf("%s: asked for a stream of %q", why, m.Protocols)
		}
	}
	if len(o) != want {
		n.t.Errorf("%s: %d streams of %s were asked for, want %d", why, len(o), protocol, want)
	}
	return o
}

// kinds are the kinds of the events since the last call.
func (n *node) kinds() []messages.EventKind {
	var out []messages.EventKind
	for n.events.Len() > 0 {
		e, _, _ := n.events.Next(n.t.Context())
		out = append(out, e.Kind)
	}
	return out
}

// says is a message of a peer that takes pushes.
func says(protocols ...string) message.Info {
	return message.Info{AgentVersion: "x", Protocols: append([]string{message.PushProtocol}, protocols...)}
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

func addr(s string) ma.Multiaddr {
	a, err := ma.NewMultiaddr(s)
	if err != nil {
		panic(err)
	}
	return a
}

func addrsOf(list ...string) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, s := range list {
		out = append(out, addr(s))
	}
	return out
}

func pass(d time.Duration) { <-time.After(d) }

const (
	home     = "/ip4/127.0.0.1/tcp/9"
	internet = "/ip4/20.1.1.1/tcp/9"
)

func TestAskedOncePerConnection(t *testing.T) {
	inVirtualTime(t, func(n *node) {
		c := n.conn(1, 2, home)
		n.wantOpens("a new connection", message.Protocol, 1)
		n.tell(&messages.ConnUp{Conn: c, Session: n.session})
		n.wantOpens("the same connection again", message.Protocol, 0)
		n.conn(2, 2, home)
		n.wantOpens("another connection with that peer", message.Protocol, 1)
		n.tell(&messages.ConnDown{Conn: 7})
		n.tell(&messages.ConnDown{Conn: 1})
		n.tell(&messages.ConnDown{Conn: 2})
		if st := n.cfg.State; len(st.conns)+len(st.remotes) != 0 {
			t.Errorf("something is kept of connections that have ended: %d, %d", len(st.conns), len(st.remotes))
		}
	})
}

func TestStreamThatCannotBeOpenedIsReported(t *testing.T) {
	inVirtualTime(t, func(n *node) {
		n.conn(1, 2, home)
		why := errors.New("limit: no more streams")
		n.wantOpens("a new connection", message.Protocol, 1)[0].Reply.Fail(why)
		synctest.Wait()
		e, _, err := n.events.Next(t.Context())
		if err != nil || e.Kind != messages.EventIdentifyError || !errors.Is(e.Err, why) {
			t.Errorf("got %+v", e)
		}
	})
}

func TestWordsThatComeAfterTheEndGoToTheBookAlone(t *testing.T) {
	inVirtualTime(t, func(n *node) {
		c := n.conn(1, 2, home)
		n.tell(&messages.ConnDown{Conn: 1})
		n.tell(&told{conn: c, info: says()})
		n.tell(&failed{conn: c, err: errors.New("late")})
		if k := n.kinds(); len(k)+len(n.told) != 0 {
			t.Errorf("events %v, and %d words to Peers", k, len(n.told))
		}
	})
}

func TestPushesAreSentToThirtyTwoAtATime(t *testing.T) {
	inVirtualTime(t, func(n *node) {
		for i := range 100 {
			c := n.conn(uint64(i+1), byte(i+10), home)
			info := says()
			if i%10 == 0 {
				info.Protocols = nil // takes no pushes
			}
			n.tell(&told{conn: c, info: info})
		}
		n.taken()
		n.tell(&messages.Protocols{IDs: []string{"/new"}})
		pass(499 * time.Millisecond)
		synctest.Wait()
		n.wantOpens("changes are gathered", message.PushProtocol, 0)
		pass(time.Millisecond)
		synctest.Wait()
		n.wantOpens("the first", message.PushProtocol, message.MaxPushes)
		done := 0
		for id := range n.cfg.State.inOrder() {
			n.tell(&pushed{conn: uint64(id + 1)})
			if got := len(n.taken()); got > 1 {
				t.Fatalf("%d pushes follow one that has ended", got)
			} else {
				done += got
			}
		}
		if done != 90-message.MaxPushes {
			t.Errorf("%d pushes in all, want one for each of 90", done+message.MaxPushes)
		}
	})
}

func TestPushThatCannotBeOpenedOrWhoseConnectionEndsMakesRoom(t *testing.T) {
	inVirtualTime(t, func(n *node) {
		for i := range message.MaxPushes + 2 {
			c := n.conn(uint64(i+1), byte(i+10), home)
			n.tell(&told{conn: c, info: says()})
		}
		n.taken()
		n.tell(&messages.Protocols{IDs: []string{"/new"}})
		pass(time.Second)
		synctest.Wait()
		o := n.wantOpens("the first", message.PushProtocol, message.MaxPushes)
		o[0].Reply.Fail(errors.New("no"))
		synctest.Wait()
		n.wantOpens("after a refusal", message.PushProtocol, 1)
		n.tell(&messages.ConnDown{Conn: 2})
		n.wantOpens("after the end of a connection", message.PushProtocol, 1)
	})
}

func TestChangeDuringAPushIsPushedAfterIt(t *testing.T) {
	inVirtualTime(t, func(n *node) {
		n.tell(&told{conn: n.conn(1, 2, home), info: says()})
		n.taken()
		n.tell(&messages.Protocols{IDs: []string{"/one"}})
		pass(time.Second)
		synctest.Wait()
		n.wantOpens("the first change", message.PushProtocol, 1)
		n.tell(&messages.Protocols{IDs: []string{"/one", "/two"}})
		pass(time.Second)
		synctest.Wait()
		n.wantOpens("one push at a time on a connection", message.PushProtocol, 0)
		n.tell(&pushed{conn: 1})
		n.wantOpens("the second change", message.PushProtocol, 1)
		n.tell(&pushed{conn: 1})
		n.wantOpens("nothing is new", message.PushProtocol, 0)
	})
}

func TestWhoTurnsOutToTakePushesIsToldWhatChangedMeanwhile(t *testing.T) {
	inVirtualTime(t, func(n *node) {
		c := n.conn(1, 2, home)
		n.tell(&messages.Protocols{IDs: []string{"/new"}})
		pass(time.Second)
		synctest.Wait()
		n.taken()
		n.tell(&told{conn: c, info: says()})
		pass(time.Second)
		synctest.Wait()
		n.wantOpens("changed between the question and the answer", message.PushProtocol, 1)
	})
}

// The stream on which a remote asks is answered at once, the service may have much to do.
func TestWhoMayHaveAskedBeforeAChangeIsToldOfIt(t *testing.T) {
	inVirtualTime(t, func(n *node) {
		early := &stream.Conn{ID: 1, Since: n.rt.Now()}
		_, early.Peer = newKey(t, 2)
		early.Remote = addr(home)
		pass(time.Millisecond)
		n.tell(&messages.Protocols{IDs: []string{"/new"}})
		n.tell(&messages.ConnUp{Conn: early, Session: n.session})
		n.tell(&told{conn: early, info: says()})
		n.tell(&told{conn: n.conn(2, 3, home), info: says()})
		n.taken()
		pass(time.Second)
		synctest.Wait()
		if o := n.wantOpens("up before the change", message.PushProtocol, 1); len(o) == 1 {
			n.tell(&pushed{conn: 1})
			n.wantOpens("nothing is new", message.PushProtocol, 0)
		}
	})
}

func TestChangeThatAViewerDoesNotSeeIsNotPushedToIt(t *testing.T) {
	inVirtualTime(t, func(n *node) {
		n.tell(&told{conn: n.conn(1, 2, internet), info: says()})
		n.tell(&told{conn: n.conn(2, 3, home), info: says()})
		n.taken()
		n.tell(&messages.ListenAddrs{Addrs: addrsOf("/ip4/127.0.0.1/tcp/4001")})
		pass(time.Second)
		synctest.Wait()
		n.wantOpens("loopback is no news for the internet", message.PushProtocol, 1)
	})
}

func TestPushKeepsWhatItDoesNotSay(t *testing.T) {
	inVirtualTime(t, func(n *node) {
		c := n.conn(1, 2, home)
		n.tell(&told{conn: c, info: says("/a")})
		n.tell(&told{conn: c, info: message.Info{AgentVersion: "new"}, push: true})
		if len(n.told) != 1 {
			t.Errorf("Peers was told %d times of protocols, once they were there", len(n.told))
		}
		if !n.cfg.State.conns[1].pushes {
			t.Error("a push without protocols has taken away that the peer takes pushes")
		}
		n.tell(&told{conn: c, info: message.Info{Protocols: []string{"/b"}}, push: true})
		if len(n.told) != 2 || n.cfg.State.conns[1].pushes {
			t.Errorf("a push with protocols: Peers was told %d times", len(n.told))
		}
	})
}

func TestIdentifyForgetsNothingWhenItCrashes(t *testing.T) {
	inVirtualTime(t, func(n *node) {
		n.tell(&messages.ListenAddrs{Addrs: addrsOf("/ip4/10.0.0.1/tcp/4001")})
		n.tell(&messages.Protocols{IDs: []string{"/a"}})
		n.tell(&told{conn: n.conn(1, 2, home), info: says()})
		n.conn(2, 3, home) // not identified yet
		n.conn(3, 4, home) // ends while the service is down
		gone := spawn[messages.Session](n, "gone", func(any) {})
		n.cfg.State.conns[3].session = gone
		gone.Stop()
		<-gone.Done()
		pass(time.Second)
		n.taken()
		n.kinds()
		before := n.cfg.State.own.Load()

		n.crash()
		if n.asked != 1 {
			t.Errorf("Peers was asked %d times which connections there are", n.asked)
		}
		n.wantOpens("who has not answered is asked again", message.Protocol, 1)
		if ids := n.cfg.State.inOrder(); len(ids) != 2 || ids[0].info.ID != 1 || ids[1].info.ID != 2 {
			t.Errorf("%d connections are known, want the two that live", len(ids))
		}
		if n.cfg.State.own.Load() != before {
			t.Error("what we say has changed with a crash")
		}
		if k := n.kinds(); len(k) != 0 {
			t.Errorf("events without a change: %v", k)
		}
		pass(time.Second)
		synctest.Wait()
		n.wantOpens("nothing is new", message.PushProtocol, 0)

		n.tell(&messages.Protocols{IDs: []string{"/a", "/b"}})
		n.crash() // before it is pushed; the second failure has a delay
		pass(100 * time.Millisecond)
		synctest.Wait()
		n.wantOpens("who has not answered is asked again", message.Protocol, 1)
		pass(time.Second)
		synctest.Wait()
		n.wantOpens("a change right before the crash", message.PushProtocol, 1)
	})
}

func TestWhatWasSaidWhileItWasDownIsAsked(t *testing.T) {
	var served []string
	var bound []ma.Multiaddr
	cfg := Config{Served: func() []string { return served }, Bound: func() []ma.Multiaddr { return bound }}
	inVirtualTimeWith(t, cfg, func(n *node) {
		served, bound = []string{"/late"}, addrsOf("/ip4/10.0.0.1/tcp/4001")
		n.crash()
		info := n.cfg.State.own.Load().views[fromInternet].info
		if !slices.Equal(info.Protocols, served) || len(info.ListenAddrs) != 1 {
			t.Errorf("we say %q and %v", info.Protocols, info.ListenAddrs)
		}
	})
}

// The listeners say at their start that nothing is bound, and that may be in the mailbox when the
// actor has found out otherwise.
func TestNewsFromBeforeTheStartIsNotNews(t *testing.T) {
	cfg := Config{
		Served: func() []string { return []string{"/served"} },
		Bound:  func() []ma.Multiaddr { return addrsOf("/ip4/10.0.0.1/tcp/4001") },
	}
	inVirtualTimeWith(t, cfg, func(n *node) {
		before := n.cfg.State.own.Load()
		n.tell(&messages.ListenAddrs{})
		n.tell(&messages.Protocols{})
		if n.cfg.State.own.Load() != before {
			t.Errorf("we say %+v after old news", n.cfg.State.own.Load().views[fromInternet].info)
		}
		if k := n.kinds(); !slices.Equal(k, []messages.EventKind{messages.EventAddrs}) {
			t.Errorf("events %v", k)
		}
	})
}

func TestRecordNumbersRise(t *testing.T) {
	inVirtualTime(t, func(n *node) {
		var last uint64
		next := func(why string) {
			t.Helper()
			for v, view := range n.cfg.State.own.Load().views {
				r, key, err := identity.OpenPeerRecord(view.info.Record)
				if err != nil || !key.Equal(n.cfg.Key.Public()) {
					t.Fatalf("%s: view %d: %v", why, v, err)
				}
				if !equal(r.Addrs, view.info.ListenAddrs) {
					t.Errorf("%s: view %d says %v and certifies %v", why, v, view.info.ListenAddrs, r.Addrs)
				}
				if r.Seq <= last && v == int(fromInternet) {
					t.Errorf("%s: the number is %d after %d", why, r.Seq, last)
				}
			}
			last = n.cfg.State.seq
		}
		next("at the start")
		if last < uint64(time.Now().Add(-time.Minute).UnixNano()) {
			t.Errorf("the number %d is not the time", last)
		}
		n.tell(&messages.ListenAddrs{Addrs: addrsOf("/ip4/10.0.0.1/tcp/1")})
		next("in the same instant")
		n.tell(&messages.ListenAddrs{Addrs: addrsOf("/ip4/10.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/1")})
		before := last
		last = 0
		next("for those who see loopback")
		if n.cfg.State.own.Load().views[fromInternet].seq != before {
			t.Error("the internet's record was made anew although it is the same")
		}
		// Now all views are the same again; none may fall back to an older number.
		n.tell(&messages.ListenAddrs{Addrs: addrsOf("/ip4/10.0.0.1/tcp/1")})
		for v, view := range n.cfg.State.own.Load().views {
			if viewer(v) < fromNetwork && view.seq <= before+1 {
				t.Errorf("viewer %d has seen %d and gets %d", v, before+1, view.seq)
			}
		}
		n.tell(&messages.ListenAddrs{})
		last = 0
		next("without an address, which a record can say and a list cannot")
	})
}

func TestRecordsAreCutToWhatOthersRead(t *testing.T) {
	inVirtualTime(t, func(n *node) {
		var many []ma.Multiaddr
		for i := range 1000 {
			many = append(many, addr(fmt.Sprintf("/dns4/a-rather-long-name-for-a-host-%d.example.com/tcp/4001", i)))
		}
		n.tell(&messages.ListenAddrs{Addrs: many})
		record := n.cfg.State.own.Load().views[fromInternet].info.Record
		r, _, err := identity.OpenPeerRecord(record)
		if err != nil || len(r.Addrs) < 32 || len(record) > identity.MaxEnvelope {
			t.Errorf("a record of %d bytes with %d addresses: %v", len(record), len(r.Addrs), err)
		}
	})
}
