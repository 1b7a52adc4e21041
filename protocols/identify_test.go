package protocols_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/protocols/identify"
	"github.com/troupe-p2p/troupe/protocols/identify/message"
	"github.com/troupe-p2p/troupe/stream"

	ma "github.com/multiformats/go-multiaddr"
)

// member is a side with the identify service and stand-ins for those that it tells.
type member struct {
	*side
	svc    actors.Ref[messages.Identify]
	state  *identify.State
	book   chan *messages.Identified
	peers  chan *messages.PeerIdentified
	events *actors.Feed[messages.Event]
}

func (s *side) identify(name string, cfg identify.Config) *member {
	s.t.Helper()
	m := &member{
		side: s, state: &identify.State{},
		book: make(chan *messages.Identified, 64), peers: make(chan *messages.PeerIdentified, 64),
	}
	hub := &actors.Hub[messages.Event]{}
	m.events = hub.Subscribe(s.t.Context(), 64)
	cfg.Key, cfg.State, cfg.Hub, cfg.Served = s.key, m.state, hub, s.table.IDs
	cfg.Book = root[messages.Book](s.t, s.rt, probe(name+"-book", func(_ actor.Context, x any) {
		if x, ok := x.(*messages.Identified); ok {
			m.book <- x
		}
	}))
	cfg.Peers = root[messages.Peers](s.t, s.rt, probe(name+"-peers", func(_ actor.Context, x any) {
		switch x := x.(type) {
		case *messages.PeerIdentified:
			m.peers <- x
		case *messages.AnnounceConns:
			m.up()
		}
	}))
	spec := identify.Spec(cfg)
	spec.Name = name + "-identify"
	m.svc = root[messages.Identify](s.t, s.rt, spec)
	_ = s.router.Control(&messages.IntroduceIdentify{Identify: m.svc})
	for protocol, h := range identify.Handlers(m.state, m.svc) {
		s.handle(protocol, h)
	}
	synctest.Wait()
	return m
}

// up says that the connection is there.
func (m *member) up() {
	_ = m.svc.Control(&messages.ConnUp{Conn: m.conn, Session: m.session})
}

func (m *member) listen(list ...string) {
	_ = m.svc.Control(&messages.ListenAddrs{Addrs: addrsOf(list...)})
}

// event waits for the next event of a kind.
func (m *member) event(kind messages.EventKind) messages.Event {
	m.t.Helper()
	e, err := m.events.Find(m.t.Context(), func(e messages.Event) bool { return e.Kind == kind })
	if err != nil {
		m.t.Fatalf("waiting for %s: %v", kind, err)
	}
	return e
}

func addrsOf(list ...string) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, s := range list {
		out = append(out, addr(s))
	}
	return out
}

func texts(list []ma.Multiaddr) []string {
	var out []string
	for _, a := range list {
		out = append(out, a.String())
	}
	return out
}

// couple is a pair of nodes whose connection is up on both sides.
func couple(t *testing.T, w wire) (a, b *member) {
	t.Helper()
	p := newPair(t, w)
	a = p.a.identify("a", identify.Config{Agent: "agent-a"})
	b = p.b.identify("b", identify.Config{Agent: "agent-b", Extra: []string{"/extra"}})
	return a, b
}

func TestBothSidesLearnWhoTheOtherIs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := couple(t, loopback)
		b.handle("/served", mute())
		b.listen("/ip4/127.0.0.1/tcp/4001", "/ip4/192.168.0.7/tcp/4001")
		if e := b.event(messages.EventAddrs); len(e.Addrs) != 2 {
			t.Errorf("subscribers were told of the addresses %q", texts(e.Addrs))
		}
		synctest.Wait()
		a.up()
		b.up()
		got := within(t, "the book is told", a.book)
		want := []string{"/extra", message.Protocol, message.PushProtocol, "/served"}
		if got.Peer != b.id || got.Agent != "agent-b" || got.Version != "ipfs/0.1.0" || got.Partial || !slices.Equal(got.Protocols, want) {
			t.Errorf("the book was told %+v", got)
		}
		if got.Key == nil || !got.Key.Equal(b.key.Public()) {
			t.Error("the book was not told the key")
		}
		if got.Certified == nil || got.Certified.ID != b.id || !slices.Equal(texts(got.Certified.Addrs), []string{"/ip4/127.0.0.1/tcp/4001", "/ip4/192.168.0.7/tcp/4001"}) {
			t.Errorf("the record says %+v", got.Certified)
		}
		if r, _, err := identity.OpenPeerRecord(got.Record); err != nil || r.Seq != got.Certified.Seq {
			t.Errorf("the sealed record: %v", err)
		}
		if p := within(t, "peers is told", a.peers); p.Peer != b.id || p.Conn != a.conn.ID || p.Agent != "agent-b" || !slices.Equal(p.Protocols, want) {
			t.Errorf("peers was told %+v", p)
		}
		e := a.event(messages.EventIdentified)
		if e.Peer != b.id || e.Conn != a.conn || e.Agent != "agent-b" || !slices.Equal(e.Protocols, want) || len(e.Addrs) != 2 || e.At.IsZero() {
			t.Errorf("subscribers were told %+v", e)
		}
		if x := within(t, "the other side's book", b.book); x.Peer != a.id || x.Agent != "agent-a" {
			t.Errorf("the other side was told %+v", x)
		}
		b.event(messages.EventIdentified)
		info := b.rt.Tree("b-identify").Roots[0].Info
		if !slices.Contains(info, actors.KeyValue{Key: "observed", Value: loopback.b}) {
			t.Errorf("where the other sees us is not on show: %v", info)
		}
	})
}

func TestWhatIsAdvertisedDependsOnWhoAsks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		public := wire{"/ip4/20.0.0.1/tcp/1", "/ip4/20.0.0.2/tcp/2"}
		private := wire{"/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/2"}
		for _, c := range []struct {
			why  string
			w    wire
			want []string
		}{
			{"this machine", loopback, []string{"/dns4/me.example/tcp/1", "/ip4/127.0.0.1/tcp/9", "/ip4/10.0.0.9/tcp/9"}},
			{"this network", private, []string{"/dns4/me.example/tcp/1", "/ip4/10.0.0.9/tcp/9"}},
			{"the internet", public, []string{"/dns4/me.example/tcp/1", "/ip4/10.0.0.9/tcp/9"}},
		} {
			p := newPair(t, c.w)
			a := p.a.identify("a", identify.Config{})
			b := p.b.identify("b", identify.Config{
				Announce:   addrsOf("/dns4/me.example/tcp/1"),
				NoAnnounce: addrsOf("/ip4/10.5.0.0/ipcidr/16"),
				Interfaces: func() []netip.Addr {
					return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("10.5.6.7")}
				},
			})
			b.listen("/ip4/0.0.0.0/tcp/9")
			for len(b.event(messages.EventAddrs).Addrs) < 3 {
				// the first is about Announce alone
			}
			s := p.a.open(message.Protocol)
			r := message.NewReader(message.Config{Peer: p.b.id}, time.Now())
			raw, err := io.ReadAll(s)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.HandleBytes(time.Now(), raw); err != nil {
				t.Fatal(err)
			}
			info, err := r.HandleEnd(time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if got := texts(info.ListenAddrs); !slices.Equal(got, c.want) {
				t.Errorf("%s is told %q, want %q", c.why, got, c.want)
			}
			if got := texts(info.Certified.Addrs); !slices.Equal(got, c.want) {
				t.Errorf("%s gets a record of %q, want %q", c.why, got, c.want)
			}
			if info.Observed == nil || !info.Observed.Equal(p.b.conn.Remote) {
				t.Errorf("%s is not told where it is seen: %v", c.why, info.Observed)
			}
			a.up()
			within(t, "our own reader agrees", a.book)
		}
	})
}

func TestChangesAreGatheredAndPushed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := couple(t, loopback)
		a.up()
		b.up()
		first := within(t, "identify", a.book)
		within(t, "identify", b.book)
		pass(time.Second) // what is new since the start has been pushed
		synctest.Wait()
		for len(a.book) > 0 {
			first = <-a.book
		}

		began := time.Now()
		for i := range 20 {
			b.handle(fmt.Sprintf("/new/%d", i), mute())
			pass(10 * time.Millisecond)
		}
		b.listen("/ip4/127.0.0.1/tcp/5")
		push := within(t, "the push", a.book)
		if !push.Partial || push.Peer != b.id {
			t.Errorf("not a push: %+v", push)
		}
		if d := time.Since(began); d != 500*time.Millisecond {
			t.Errorf("the push came %v after the first change", d)
		}
		if len(push.Protocols) != len(first.Protocols)+20 || len(push.Certified.Addrs) != 1 {
			t.Errorf("the push says %d protocols and %d addresses", len(push.Protocols), len(push.Certified.Addrs))
		}
		if push.Certified.Seq <= first.Certified.Seq {
			t.Error("the record's number has not risen")
		}
		if e := a.event(messages.EventIdentified); e.Peer != b.id {
			t.Errorf("subscribers were told %+v", e)
		}
		pass(5 * time.Second)
		if n := len(a.book); n != 0 {
			t.Errorf("%d more pushes for one change", n)
		}
		b.handle("/new/1", mute()) // replaced: what we say is the same
		pass(5 * time.Second)
		if n := len(a.book); n != 0 {
			t.Errorf("%d pushes for no change", n)
		}
	})
}

func TestPushesOfOnePeerAreLimited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := couple(t, loopback)
		b.up()
		within(t, "identify", b.book)
		whole, _ := message.Encode(nil, message.Info{AgentVersion: "again"})
		push := func() error {
			s := a.open(message.PushProtocol)
			_, _ = s.Write(whole)
			_ = s.CloseWrite()
			_, err := io.ReadAll(s)
			return err
		}
		synctest.Wait()
		before := buf.Live()
		served, limited := 0, 0
		for range 100 {
			var re *mux.ResetError
			switch err := push(); {
			case err == nil:
				served++
				if x := within(t, "a push", b.book); x.Agent != "again" || !x.Partial {
					t.Fatalf("the book was told %+v", x)
				}
			case errors.As(err, &re) && re.Code == 0x1003:
				limited++
			default:
				t.Fatal(err)
			}
		}
		if served != 5 || limited != 95 {
			t.Errorf("%d pushes were read and %d refused, want 5 and 95", served, limited)
		}
		pass(5 * time.Second)
		if err := push(); err != nil {
			t.Errorf("five seconds later: %v", err)
		}
		pass(2 * time.Minute)
		synctest.Wait() // the pings that are due in this moment, too
		if n := buf.Live() - before; n != 0 {
			t.Errorf("%d buffers were not given back", n)
		}
	})
}

func TestHostileMessagesCostTheirStream(t *testing.T) {
	bubble(t, func(t *testing.T) {
		stranger, _ := identity.GenerateKey(1, bytes.NewReader(bytes.Repeat([]byte{9}, 64)))
		other, _ := identity.IDFromKey(stranger.Public())
		foreign, err := identity.PeerRecord{ID: other, Seq: 1}.Seal(stranger)
		if err != nil {
			t.Fatal(err)
		}
		encode := func(i message.Info) []byte {
			b, _ := message.Encode(nil, i)
			return b
		}
		part10 := encode(message.Info{AgentVersion: "x"})
		for _, c := range []struct {
			why  string
			send []byte
			want error
		}{
			{"a part of more than 8 KiB", binary.AppendUvarint(nil, 8<<10+1), message.ErrTooLarge},
			{"eleven parts", bytes.Repeat(part10, 11), message.ErrTooManyParts},
			{"an end inside a part", part10[:len(part10)-1], message.ErrTruncated},
			{"nothing", nil, message.ErrTruncated},
			{"not protobuf", []byte{3, 0xff, 0xff, 0xff}, message.ErrMalformed},
			{"another peer's key", encode(message.Info{PublicKey: stranger.Public()}), message.ErrWrongPeer},
			{"another peer's record", encode(message.Info{Record: foreign}), message.ErrWrongPeer},
		} {
			p := newPair(t, loopback)
			a := p.a.identify("a", identify.Config{})
			p.b.handle(message.Protocol, saying(c.send))
			a.up()
			e := a.event(messages.EventIdentifyError)
			if !errors.Is(e.Err, c.want) || e.Peer != p.b.id || e.Conn != a.conn {
				t.Errorf("%s: %+v, want %v", c.why, e, c.want)
			}
			if len(a.book)+len(a.peers) != 0 {
				t.Errorf("%s: somebody was told something", c.why)
			}
			if s := p.a.open(message.Protocol); s == nil {
				t.Errorf("%s: the connection is gone", c.why)
			}
		}
	})
}

func TestSilenceIsWaitedForFiveSeconds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, loopback)
		a := p.a.identify("a", identify.Config{})
		dripping := stream.Handler{Run: func(_ context.Context, s *stream.Blocking) {
			for range 100 {
				if _, err := s.Write([]byte{100}); err != nil {
					return
				}
				pass(200 * time.Millisecond)
			}
		}}
		p.b.handle(message.Protocol, dripping)
		began := time.Now()
		a.up()
		if e := a.event(messages.EventIdentifyError); !errors.Is(e.Err, message.ErrTimeout) || time.Since(began) != 5*time.Second {
			t.Errorf("a message that drips: %v after %v", e.Err, time.Since(began))
		}
		pass(time.Second)

		p.b.identify("b", identify.Config{})
		s := p.a.open(message.PushProtocol)
		_, _ = s.Write([]byte{100})
		wantReset(t, "a push on a connection that identify does not know", s, 0x1003)
	})
}

func TestPeerWithoutIdentifyIsReported(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, loopback)
		a := p.a.identify("a", identify.Config{})
		a.up()
		if e := a.event(messages.EventIdentifyError); e.Err == nil || e.Peer != p.b.id {
			t.Errorf("got %+v", e)
		}
	})
}
