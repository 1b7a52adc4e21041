package peers

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/limits"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// patience is how long a test waits for what must come. It is no measure of speed.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	buf.Poison.Store(true)
	os.Exit(m.Run())
}

// until polls for a state that announces itself by no event.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("did not come about: %s", what)
		}
	}
}

func person(t testing.TB) identity.ID {
	t.Helper()
	key, err := identity.GenerateKey(identity.Ed25519, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.IDFromKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

type fn func(ctx actor.Context)

func (f fn) Receive(ctx actor.Context) { f(ctx) }

// world is peers among actors that the test plays: the peerstore, identify, attempts to dial and
// connections.
type world struct {
	t     *testing.T
	rt    *actors.Runtime
	self  identity.ID
	peers actors.Ref[messages.Peers]
	state *State
	marks Marks
	feed  *actors.Feed[messages.Event]

	dials    chan *attempted // attempts that have begun
	sessions chan *session   // connections that have begun
	book     chan any
	identify chan any
	streams  *actors.Budget
	refused  chan refused

	mu    sync.Mutex
	known map[identity.ID][]ma.Multiaddr // what the peerstore answers
}

// refused is a link that was refused with a code.
type refused struct {
	peer   identity.ID
	code   uint32
	reason string
}

// attempted is an attempt that the test decides about.
type attempted struct {
	job DialJob
	ref actors.Ref[any]
	end chan struct{} // it has been stopped
}

// session is a connection that the test decides about.
type session struct {
	SessionJob
	ref  actors.Ref[messages.Session]
	got  chan any // what it receives
	gone chan struct{}
}

func newWorld(t *testing.T, edit ...func(*Config)) *world {
	t.Helper()
	w := &world{
		t: t, rt: actors.Live(actors.Options{}), self: person(t), state: &State{},
		dials: make(chan *attempted, 1024), sessions: make(chan *session, 1024),
		refused: make(chan refused, 1024), book: make(chan any, 1024), identify: make(chan any, 1024),
		streams: actors.NewBudget("streams", 0), known: map[identity.ID][]ma.Multiaddr{},
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if left := w.rt.Close(ctx); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if used, _ := w.streams.Used(); used != 0 || len(w.streams.Shares()) > 0 {
			t.Errorf("shares of the budget are left: %v", w.streams.Shares())
		}
	})
	hub := &actors.Hub[messages.Event]{}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	w.feed = hub.Subscribe(ctx, 1<<12)
	book := w.root("book", func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *messages.Lookup:
			w.mu.Lock()
			as := w.known[m.Peer]
			w.mu.Unlock()
			m.Reply.Answer(as)
		case *messages.Connectedness:
			w.book <- m
		}
	})
	ident := w.root("identify", func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *messages.ConnUp, *messages.ConnDown:
			w.identify <- m
		}
	})
	cfg := Config{
		Self: w.self, Hub: hub, State: w.state, Marks: &w.marks,
		Book: actors.Cast[messages.Book](book), Identify: actors.Cast[messages.Identify](ident),
		Streams: w.streams, Buffers: actors.NewBudget("buffers", 0),
		Dial: w.dialSpec, Session: w.sessionSpec,
		Refuse: func(l *messages.Link, code uint32, reason string) {
			w.refused <- refused{l.Peer, code, reason}
			l.Close()
		},
		CanDial: func(ma.Multiaddr) error { return nil },
		Own:     func() []ma.Multiaddr { return nil },
	}
	for _, f := range edit {
		f(&cfg)
	}
	ref, err := actors.Root[messages.Peers](w.rt, Spec(cfg))
	if err != nil {
		t.Fatal(err)
	}
	w.peers = ref
	return w
}

func (w *world) root(name string, f func(actor.Context)) actors.Ref[any] {
	w.t.Helper()
	r, err := actors.Root[any](w.rt, actors.Spec{Name: name, New: func() actor.Actor { return fn(f) }})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) dialSpec(job DialJob) actors.Spec {
	a := &attempted{job: job, end: make(chan struct{})}
	return actors.Spec{Kind: "dial", Restart: actors.Temporary, New: func() actor.Actor {
		return fn(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *actor.Started:
				a.ref = actors.Self[any](ctx)
				w.dials <- a
			case *messages.Dialled: // as the test wants
				_ = job.Owner.Control(m)
				ctx.Stop(ctx.Self())
			case *actor.Stopping:
				// As the real one: a second outcome is closed by who gets it.
				_ = job.Owner.Control(&messages.Dialled{Attempt: job.Attempt, Err: actors.ErrStopped})
				close(a.end)
			}
		})
	}}
}

func (w *world) sessionSpec(job SessionJob) actors.Spec {
	s := &session{SessionJob: job, got: make(chan any, 256), gone: make(chan struct{})}
	return actors.Spec{Kind: "connection", Restart: actors.Temporary, New: func() actor.Actor {
		return fn(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *actor.Started:
				s.ref = actors.Self[messages.Session](ctx)
				_ = s.Streams.Take(1)
				w.sessions <- s
			case *messages.CloseConn:
				s.got <- m
				_ = job.Owner.Control(&messages.ConnEnded{Conn: job.Conn.ID, Code: m.Code})
				ctx.Stop(ctx.Self())
			case *messages.OpenStream:
				s.got <- m
				m.Reply.Answer(nil)
			case *messages.Probe:
				s.got <- m
			case *actor.Stopping:
				job.Link.Close()
				close(s.gone)
			}
		})
	}}
}

// ends ends the connection as its remote would.
func (s *session) ends(err error) {
	_ = s.Owner.Control(&messages.ConnEnded{Conn: s.Conn.ID, Remote: true, Code: 7, Err: err})
	s.ref.Stop()
}

// wire is a conduit that only knows whether it is closed.
type wire struct{ closed chan struct{} }

func newWire() wire { return wire{make(chan struct{})} }

func (wire) Endpoints() conduit.Endpoints { return conduit.Endpoints{} }
func (wire) Bind(conduit.Sink, int)       {}
func (wire) More()                        {}
func (wire) TryWrite([]byte) (int, error) { return 0, nil }
func (wire) Drain([]byte)                 {}
func (x wire) Close() error {
	select {
	case <-x.closed:
	default:
		close(x.closed)
	}
	return nil
}

func link(peer identity.ID, dir conduit.Direction) (*messages.Link, wire) {
	x := newWire()
	l := &messages.Link{Peer: peer, Endpoints: conduit.Endpoints{Direction: dir}}
	l.Secured.Raw = x
	return l, x
}

// friend is somebody who makes room for nobody.
func (w *world) friend() identity.ID {
	w.t.Helper()
	id := person(w.t)
	if err := w.marks.Protect(id, "friend"); err != nil {
		w.t.Fatal(err)
	}
	return id
}

// arrives brings an inbound connection.
func (w *world) arrives(peer identity.ID) wire {
	w.t.Helper()
	l, x := link(peer, conduit.Inbound)
	if err := w.peers.Send(&messages.Arrived{Link: l}); err != nil {
		w.t.Fatal(err)
	}
	return x
}

// reaches lets an attempt succeed.
func (a *attempted) reaches(peer identity.ID) wire {
	l, x := link(peer, conduit.Outbound)
	_ = a.ref.Send(&messages.Dialled{Attempt: a.job.Attempt, Link: l})
	return x
}

func (a *attempted) fails(err error) {
	_ = a.ref.Send(&messages.Dialled{Attempt: a.job.Attempt, Err: err})
}

// answer is what a call came to.
type answer[T any] struct {
	v   T
	err error
}

func (w *world) call(f func(ctx context.Context) (*stream.Conn, error)) (chan answer[*stream.Conn], context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	w.t.Cleanup(cancel)
	ch := make(chan answer[*stream.Conn], 1)
	go func() {
		v, err := f(ctx)
		ch <- answer[*stream.Conn]{v, err}
	}()
	return ch, cancel
}

func (w *world) dial(peer identity.ID, as ...string) (chan answer[*stream.Conn], context.CancelFunc) {
	return w.call(func(ctx context.Context) (*stream.Conn, error) {
		return actors.Ask(ctx, w.peers, func(r actors.Reply[*stream.Conn]) messages.Peers {
			return &messages.Dial{Peer: peer, Addrs: multiaddrs(as), Reply: r}
		})
	})
}

func (w *world) open(peer identity.ID, edit func(*messages.Open), as ...string) (chan answer[*stream.Conn], context.CancelFunc) {
	return w.call(func(ctx context.Context) (*stream.Conn, error) {
		_, err := actors.Ask(ctx, w.peers, func(r actors.Reply[*stream.Stream]) messages.Peers {
			m := &messages.Open{Peer: peer, Addrs: multiaddrs(as), Protocols: []string{"/x"}, Reply: r}
			if edit != nil {
				edit(m)
			}
			return m
		})
		return nil, err
	})
}

// bubble runs f in virtual time, and then until proto.actor's throttle of dead letters ends: it has a
// goroutine for a second.
func bubble(t *testing.T, f func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { <-time.After(2 * time.Second) }) // behind the world's own
		f(t)
	})
}

func multiaddrs(as []string) (out []ma.Multiaddr) {
	for _, a := range as {
		out = append(out, ma.StringCast(a))
	}
	return out
}

const (
	here  = "/ip4/127.0.0.1/tcp/4001"
	there = "/ip4/127.0.0.1/tcp/4002"
)

func next[T any](t testing.TB, reason string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: did not happen", reason)
		panic("unreachable")
	}
}

// event waits for one of a kind and drops the others.
func (w *world) event(kind messages.EventKind, reason string) messages.Event {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e, err := w.feed.Find(ctx, func(e messages.Event) bool { return e.Kind == kind })
	if err != nil {
		w.t.Fatalf("%s: no event %s: %v", reason, kind, err)
	}
	if e.At.IsZero() {
		w.t.Errorf("%s: the event %s has no time", reason, kind)
	}
	return e
}

func (w *world) conns() []*stream.Conn {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cs, err := actors.AskControl(ctx, w.peers, func(r actors.Reply[[]*stream.Conn]) messages.Peers {
		return &messages.ListConns{Reply: r}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return cs
}

// actors lists the actors of peers, by kind.
func (w *world) actors(kind string) (paths []string) {
	for _, r := range w.rt.Tree("peers").Roots {
		var walk func(n actors.Node)
		walk = func(n actors.Node) {
			if n.Kind == kind {
				paths = append(paths, n.Path)
			}
			for _, k := range n.Children {
				walk(k)
			}
		}
		walk(r)
	}
	return paths
}

// kill makes the only actor of a kind panic.
func (w *world) kill(kind string) {
	w.t.Helper()
	until(w.t, "one actor of kind "+kind, func() bool { return len(w.actors(kind)) == 1 })
	if !w.rt.Kill(w.actors(kind)[0], "test") {
		w.t.Fatalf("there is no %s", kind)
	}
}

func limited(l limits.Limits) func(*Config) { return func(c *Config) { c.Limits = l } }

var errRefused = errors.New("remote: connection refused")
