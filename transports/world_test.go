package transports

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// patience is how long a test waits for what must come. It is no measure of speed.
const patience = 20 * time.Second

func run(t *testing.T) *actors.Runtime {
	t.Helper()
	rt := actors.Live(actors.Options{})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if left := rt.Close(ctx); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	return rt
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("did not come about: %s", what)
		}
	}
}

func next[T any](t *testing.T, reason string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: did not happen", reason)
		panic("unreachable")
	}
}

type fn func(ctx actor.Context)

func (f fn) Receive(ctx actor.Context) { f(ctx) }

// probe makes an actor that shows what it is sent.
func probe(t *testing.T, rt *actors.Runtime, name string) (actors.Ref[any], chan any) {
	t.Helper()
	got := make(chan any, 1024)
	r, err := actors.Root[any](rt, actors.Spec{Name: name, New: func() actor.Actor {
		return fn(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *actor.Started, *actor.Stopping, *actor.Stopped:
			default:
				got <- m
			}
		})
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r, got
}

// played is a transport that does as the test says.
type played struct {
	listens chan *playedListener
	dials   chan *playedDial

	mu    sync.Mutex
	fault error         // of Listen
	bug   bool          // Listen panics
	hangs chan struct{} // Listen and Dial wait for it, if it is there
	port  string
}

func newPlayed() *played {
	return &played{listens: make(chan *playedListener, 64), dials: make(chan *playedDial, 64), port: "/ip4/127.0.0.1/tcp/4001"}
}

type playedListener struct {
	asked, at ma.Multiaddr
	sink      conduit.AcceptSink
	closed    chan struct{}
	once      sync.Once
}

type playedDial struct {
	ctx  context.Context
	addr ma.Multiaddr
	done func(conduit.Conduit, error)
}

func (p *played) set(fault error, bug bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.bug = fault, bug
}

func (p *played) Name() string                  { return "played" }
func (p *played) CanDial(a ma.Multiaddr) bool   { return a[0].Code() == ma.P_IP4 }
func (p *played) CanListen(a ma.Multiaddr) bool { return a[0].Code() == ma.P_IP4 }

func (p *played) Dial(ctx context.Context, a ma.Multiaddr, _ identity.ID, done func(conduit.Conduit, error)) {
	p.dials <- &playedDial{ctx, a, done}
	p.hang()
}

func (p *played) Listen(a ma.Multiaddr, sink conduit.AcceptSink) (conduit.Listener, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.bug:
		panic("a bug in the adapter")
	case p.fault != nil:
		return nil, p.fault
	}
	l := &playedListener{asked: a, at: a, sink: sink, closed: make(chan struct{})}
	if v, _ := a.ValueForProtocol(ma.P_TCP); v == "0" {
		l.at = ma.StringCast(p.port)
	}
	p.listens <- l
	p.hang()
	return l, nil
}

func (p *played) hang() {
	if p.hangs != nil {
		<-p.hangs
	}
}

func (l *playedListener) Addr() ma.Multiaddr { return l.at }
func (l *playedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// wire is a conduit that only knows whether it is closed.
type wire struct {
	closed chan struct{}
	once   *sync.Once
}

func newWire() wire { return wire{make(chan struct{}), &sync.Once{}} }

func (wire) Endpoints() conduit.Endpoints { return conduit.Endpoints{} }
func (wire) Bind(conduit.Sink, int)       {}
func (wire) More()                        {}
func (wire) TryWrite([]byte) (int, error) { return 0, nil }
func (wire) Drain([]byte)                 {}
func (x wire) Close() error {
	x.once.Do(func() { close(x.closed) })
	return nil
}

var errFault = errors.New("local: address already in use")

// lobby is a listeners actor among actors that the test plays.
type lobby struct {
	t    *testing.T
	rt   *actors.Runtime
	tr   *played
	ref  actors.Ref[messages.Listeners]
	gate chan any
	feed *actors.Feed[messages.Event]

	mu    sync.Mutex
	bound []ma.Multiaddr
}

func newLobby(t *testing.T) *lobby {
	t.Helper()
	l := &lobby{t: t, rt: run(t), tr: newPlayed()}
	gate, got := probe(t, l.rt, "gate")
	l.gate = got
	ident, _ := probe(t, l.rt, "identify")
	hub := &actors.Hub[messages.Event]{}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	l.feed = hub.Subscribe(ctx, 1024)
	ref, err := actors.Root[messages.Listeners](l.rt, ListenersSpec(ListenersConfig{
		Transports: []conduit.Transport{l.tr}, Gate: actors.Cast[messages.Gate](gate),
		Identify: actors.Cast[messages.Identify](ident), Hub: hub, State: &ListenState{},
		OnAddrs: func(as []ma.Multiaddr) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.bound = as
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	l.ref = ref
	return l
}

type outcome struct {
	addr ma.Multiaddr
	err  error
}

func (l *lobby) listen(a string) chan outcome {
	ch := make(chan outcome, 1)
	r := actors.NewReply(l.ref, func(a ma.Multiaddr, err error) { ch <- outcome{a, err} })
	_ = l.ref.Control(&messages.Listen{Addr: ma.StringCast(a), Reply: r})
	return ch
}

func (l *lobby) addrs() []ma.Multiaddr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bound
}

func (l *lobby) event(kind messages.EventKind, reason string) messages.Event {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e, err := l.feed.Find(ctx, func(e messages.Event) bool { return e.Kind == kind })
	if err != nil {
		l.t.Fatalf("%s: no event %s: %v", reason, kind, err)
	}
	if e.At.IsZero() {
		l.t.Errorf("%s: the event has no time", reason)
	}
	return e
}

// shown is what the only listener publishes.
func (l *lobby) shown(key string) string {
	for _, r := range l.rt.Tree("listeners").Roots {
		for _, k := range r.Children {
			for _, kv := range k.Info {
				if kv.Key == key {
					return kv.Value
				}
			}
		}
	}
	return ""
}

// kill makes the listeners actor panic, or the only listener below it.
func (l *lobby) kill(child bool) {
	l.t.Helper()
	path := "listeners"
	if child {
		path = l.rt.Tree("listeners").Roots[0].Children[0].Path
	}
	if !l.rt.Kill(path, "test") {
		l.t.Fatalf("there is no %s", path)
	}
}
