package negotiation_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/negotiation/tls"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/tcp"

	ma "github.com/multiformats/go-multiaddr"
)

// patience is how long a test waits for what must come. It is no measure of speed.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	buf.Poison.Store(true) // a buffer that is read after its release shows
	os.Exit(m.Run())
}

// run makes a runtime. At the end of the test no actor, goroutine or buffer may be left.
func run(t testing.TB) *actors.Runtime {
	t.Helper()
	bufs, before := buf.Live(), goroutines()
	rt := actors.Live(actors.Options{})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if left := rt.Close(ctx); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		until(t, "goroutines gone", func() bool { return goroutines() <= before })
		until(t, "buffers released", func() bool { return buf.Live() == bufs })
	})
	return rt
}

func goroutines() int {
	stacks := make([]byte, 4<<20)
	return bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte("\n\n"))
}

// until polls for a state that announces itself by no event.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Errorf("did not come about: %s", what)
			return
		}
	}
}

// probe is an actor that shows what it is sent.
type probe struct {
	ref actors.Ref[any]
	got chan any
}

type fn func(ctx actor.Context)

func (f fn) Receive(ctx actor.Context) { f(ctx) }

func newProbe(t testing.TB, rt *actors.Runtime, name string) *probe {
	t.Helper()
	p := &probe{got: make(chan any, 1<<14)}
	p.ref = root(t, rt, actors.Spec{Name: name, New: func() actor.Actor {
		return fn(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *actor.Started, *actor.Stopping:
			case *actor.Stopped:
				p.drop()
			default:
				p.got <- m
			}
		})
	}})
	return p
}

// drop gives back what nobody looked at: it holds sockets and buffers.
func (p *probe) drop() {
	for {
		select {
		case m := <-p.got:
			if d, ok := m.(actors.Discarder); ok {
				d.Discard(actors.ErrStopped)
			}
		default:
			return
		}
	}
}

func root(t testing.TB, rt *actors.Runtime, s actors.Spec) actors.Ref[any] {
	t.Helper()
	r, err := actors.Root[any](rt, s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// want waits for the next message, which must be an M.
func want[M any](t testing.TB, p *probe, reason string) M {
	t.Helper()
	select {
	case m := <-p.got:
		v, ok := m.(M)
		if !ok {
			t.Fatalf("%s: got %T %+v", reason, m, m)
		}
		return v
	case <-time.After(patience):
		t.Fatalf("%s: nothing came", reason)
		panic("unreachable")
	}
}

// person is a node's identity and its ways to prove it.
type person struct {
	id  identity.ID
	cfg negotiation.Config
}

func newPerson(t testing.TB, edit ...func(*upgrade.Config)) person {
	t.Helper()
	key, err := identity.GenerateKey(identity.Ed25519, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.IDFromKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	static, err := noise.NewStatic(key, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.NewIdentity(key, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p := person{id: id, cfg: negotiation.Config{
		Core: upgrade.Config{Local: id, Noise: static, Rand: rand.Reader, Key: key.Public()},
		TLS: func(need upgrade.NeedTLS, now time.Time, wake func()) (negotiation.TLS, error) {
			h, err := tls.NewHandshake(tls.Config{
				Server: need.Server, Identity: cert, Now: now, Expect: need.Expect, Muxers: need.Muxers, Wake: wake,
			})
			return secure{h}, err
		},
	}}
	for _, f := range edit {
		f(&p.cfg.Core)
	}
	return p
}

func only(protocols ...string) func(*upgrade.Config) {
	return func(c *upgrade.Config) { c.Security = protocols }
}

func within(d time.Duration) func(*upgrade.Config) {
	return func(c *upgrade.Config) { c.Timeout = d }
}

func lateMuxer(c *upgrade.Config) { c.LateMuxer = true }

type secure struct{ *tls.Handshake }

func (s secure) Run(ctx context.Context) (upgrade.Channel, error) {
	r, err := s.Handshake.Run(ctx)
	if err != nil {
		return upgrade.Channel{}, err
	}
	return upgrade.Channel{Peer: r.Peer, PublicKey: r.PublicKey, Muxer: r.Muxer, Open: r.Open, Seal: r.Seal}, nil
}

// door is a gate behind a TCP listener.
type door struct {
	person
	rt    *actors.Runtime
	gate  actors.Ref[messages.Gate]
	peers *probe
	addr  ma.Multiaddr
	host  string // addr for package net
	hub   *actors.Hub[messages.Event]
	feed  *actors.Feed[messages.Event]
}

func newDoor(t testing.TB, rt *actors.Runtime, me person, slots int) *door {
	t.Helper()
	d := &door{person: me, rt: rt, peers: newProbe(t, rt, "peers"), hub: &actors.Hub[messages.Event]{}}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	d.feed = d.hub.Subscribe(ctx, 1<<12)
	d.gate = actors.Cast[messages.Gate](root(t, rt, negotiation.GateSpec(negotiation.GateConfig{
		HalfOpen: slots, Upgrade: me.cfg, Peers: actors.Cast[messages.Peers](d.peers.ref), Hub: d.hub,
	})))
	l, err := tcp.New(rt, tcp.Config{}).Listen(ma.StringCast("/ip4/127.0.0.1/tcp/0"), sink{d.gate})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	d.addr = l.Addr()
	port, _ := d.addr.ValueForProtocol(ma.P_TCP)
	d.host = "127.0.0.1:" + port
	return d
}

// event waits for one of a kind and drops the others.
func (d *door) event(t testing.TB, kind messages.EventKind, reason string) messages.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e, err := d.feed.Find(ctx, func(e messages.Event) bool { return e.Kind == kind })
	if err != nil {
		t.Fatalf("%s: no event %s: %v", reason, kind, err)
	}
	return e
}

// children counts the upgrades.
func (d *door) children() int { return len(node(d.rt, "gate").Children) }

func node(rt *actors.Runtime, name string) actors.Node {
	for _, r := range rt.Tree("").Roots {
		if r.Name == name {
			return r
		}
	}
	return actors.Node{}
}

type sink struct{ gate actors.Ref[messages.Gate] }

func (s sink) Accepted(c conduit.Conduit) { _ = s.gate.Send(&messages.Accepted{Conduit: c}) }
func (s sink) Failed(error)               {}
func (s sink) Degraded(error)             {}

// dial connects to an address and upgrades as p. What came of it is sent to the probe.
func dial(t testing.TB, rt *actors.Runtime, p person, a ma.Multiaddr, expect identity.ID, to *probe) {
	t.Helper()
	c, err := connect(rt, a)
	if err != nil {
		t.Fatal(err)
	}
	knock(t, rt, p, c, expect, to)
}

func connect(rt *actors.Runtime, a ma.Multiaddr) (conduit.Raw, error) {
	type outcome struct {
		c   conduit.Conduit
		err error
	}
	ch := make(chan outcome, 1)
	tcp.New(rt, tcp.Config{}).Dial(context.Background(), a, "", func(c conduit.Conduit, err error) { ch <- outcome{c, err} })
	o := <-ch
	return o.c.Raw, o.err
}

func knock(t testing.TB, rt *actors.Runtime, p person, c conduit.Raw, expect identity.ID, to *probe) actors.Ref[any] {
	t.Helper()
	return root(t, rt, negotiation.Spec(p.cfg, negotiation.Job{
		ID: 1, Conduit: c, Expect: expect, To: actors.Cast[messages.Upgrader](to.ref),
	}))
}

// coded demands that an upgrade failed in a layer through somebody's fault.
func coded(t testing.TB, reason string, err error, fault upgrade.Fault) *upgrade.Error {
	t.Helper()
	var e *upgrade.Error
	if !errors.As(err, &e) || e.Fault != fault {
		t.Fatalf("%s: %v, want the fault of: %v", reason, err, fault)
	}
	return e
}

// talk proves that two links are the ends of one channel, in both directions.
func talk(t testing.TB, a, b *messages.Link) {
	t.Helper()
	for i, dir := range [][2]*messages.Link{{a, b}, {b, a}} {
		from, to := dir[0].Secured, dir[1].Secured
		text := fmt.Sprintf("message %d", i)
		sealed, err := from.Seal.Seal(nil, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := from.Raw.TryWrite(sealed); n != len(sealed) || err != nil {
			t.Fatalf("wrote %d of %d bytes: %v", n, len(sealed), err)
		}
		got := make(chan *buf.Buf, 1)
		to.Raw.Bind(once{got}, 1)
		select {
		case b := <-got:
			to.Open.Feed(b.B)
			plain, ok, err := to.Open.Next()
			if !ok || err != nil || string(plain) != text {
				t.Errorf("opened %q, %v, %v", plain, ok, err)
			}
			_, _, _ = to.Open.Next()
			b.Release()
		case <-time.After(patience):
			t.Fatal("nothing came through the channel: the old owner had the credit?")
		}
	}
}

type once struct{ got chan *buf.Buf }

func (o once) Offer(b *buf.Buf) { o.got <- b }
func (o once) Drained(error)    {}
func (o once) Ended(error)      {}
