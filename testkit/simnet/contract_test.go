package simnet

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// The contract suites use goroutines; the network must not see them. So everything goes through a
// lock here, and one goroutine of the runtime plays the Scheduler. A sink is called without the
// lock, which is the same to the network as a sink that calls back.

type lockedWorld struct {
	mu   sync.Mutex
	wake sync.Cond
	s    *sched
	n    *Network
	over bool
}

func newLocked(t testing.TB, rt *actors.Runtime) *lockedWorld {
	w := &lockedWorld{s: newSched(1)}
	w.n = New(w.s)
	w.wake.L = &w.mu
	done := make(chan struct{})
	rt.Pump("scheduler", func() {
		defer close(done)
		w.mu.Lock()
		defer w.mu.Unlock()
		for {
			if w.s.step(epoch.Add(10000 * time.Hour)) {
				continue
			}
			if w.over {
				return
			}
			w.wake.Wait()
		}
	}, func(pe *actors.PanicError) { t.Error(pe, string(pe.Stack)) })
	t.Cleanup(func() {
		w.do(func() { w.over = true })
		<-done
	})
	return w
}

// do calls the network.
func (w *lockedWorld) do(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.wake.Signal()
	f()
}

// tell calls a sink.
func (w *lockedWorld) tell(f func()) {
	w.mu.Unlock()
	defer w.mu.Lock()
	f()
}

type lockedSink struct {
	w *lockedWorld
	conduit.Sink
}

func (s lockedSink) Offer(b *buf.Buf)  { s.w.tell(func() { s.Sink.Offer(b) }) }
func (s lockedSink) Drained(err error) { s.w.tell(func() { s.Sink.Drained(err) }) }
func (s lockedSink) Ended(err error)   { s.w.tell(func() { s.Sink.Ended(err) }) }

type lockedRaw struct {
	w *lockedWorld
	c conduit.Raw
}

func (r lockedRaw) Endpoints() conduit.Endpoints { return r.c.Endpoints() }
func (r lockedRaw) Bind(s conduit.Sink, credits int) {
	r.w.do(func() { r.c.Bind(lockedSink{r.w, s}, credits) })
}
func (r lockedRaw) More()          { r.w.do(r.c.More) }
func (r lockedRaw) Drain(p []byte) { r.w.do(func() { r.c.Drain(p) }) }
func (r lockedRaw) TryWrite(p []byte) (n int, err error) {
	r.w.do(func() { n, err = r.c.TryWrite(p) })
	return n, err
}
func (r lockedRaw) Close() (err error) {
	r.w.do(func() { err = r.c.Close() })
	return err
}

type lockedAccept struct {
	w *lockedWorld
	conduit.AcceptSink
}

func (a lockedAccept) Accepted(c conduit.Conduit) {
	a.w.tell(func() { a.AcceptSink.Accepted(conduit.Conduit{Raw: lockedRaw{a.w, c.Raw}}) })
}
func (a lockedAccept) Failed(err error) { a.w.tell(func() { a.AcceptSink.Failed(err) }) }

type lockedListener struct {
	w *lockedWorld
	conduit.Listener
}

func (l lockedListener) Close() (err error) {
	l.w.do(func() { err = l.Listener.Close() })
	return err
}

type lockedTransport struct {
	w *lockedWorld
	*Transport
}

func (t lockedTransport) Dial(ctx context.Context, a ma.Multiaddr, id identity.ID, done func(conduit.Conduit, error)) {
	t.w.do(func() {
		t.Transport.Dial(ctx, a, id, func(c conduit.Conduit, err error) {
			t.w.tell(func() {
				if err == nil {
					c = conduit.Conduit{Raw: lockedRaw{t.w, c.Raw}}
				}
				done(c, err)
			})
		})
	})
}

func (t lockedTransport) Listen(a ma.Multiaddr, sink conduit.AcceptSink) (l conduit.Listener, err error) {
	t.w.do(func() { l, err = t.Transport.Listen(a, lockedAccept{t.w, sink}) })
	if err != nil {
		return nil, err
	}
	return lockedListener{t.w, l}, nil
}

// canceler runs in the world's turns.
type canceler struct {
	w  *lockedWorld
	rt *actors.Runtime
}

func (c canceler) OnDone(ctx context.Context, f func()) (stop func() bool) {
	return c.rt.OnDone(ctx, func() { c.w.do(f) })
}

func (w *lockedWorld) transport(t testing.TB, rt *actors.Runtime, name string) lockedTransport {
	t.Helper()
	var tr *Transport
	w.do(func() {
		h := w.n.HostByName(name)
		if h == nil {
			var err error
			if h, err = w.n.Host(name, HostOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		tr = h.Transport(canceler{w, rt}, TransportConfig{})
	})
	return lockedTransport{w, tr}
}

// The nodes of the transport's contract share a host: so they all find each other on its loopback.
func TestTransportKeepsTheContract(t *testing.T) {
	worlds := map[*actors.Runtime]*lockedWorld{}
	transporttest.Run(t, transporttest.Subject{
		New: func(t testing.TB, rt *actors.Runtime, _ identity.PrivateKey) conduit.Transport {
			w := worlds[rt]
			if w == nil {
				w = newLocked(t, rt)
				worlds[rt] = w
			}
			return w.transport(t, rt, "a")
		},
		Listen: ma.StringCast("/ip4/127.0.0.1/tcp/0"),
		Foreign: []ma.Multiaddr{
			nil,
			ma.StringCast("/ip4/127.0.0.1"),
			ma.StringCast("/ip4/127.0.0.1/udp/1"),
			ma.StringCast("/ip4/127.0.0.1/tcp/1/ws"),
			ma.StringCast("/ip4/127.0.0.1/ip4/127.0.0.1/tcp/1"),
			ma.StringCast("/ip6zone/eth0/ip6/fe80::1/tcp/1"),
			ma.StringCast("/dns4/localhost/tcp/1"),
			ma.StringCast("/memory/1"),
		},
		Refused: func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) },
		Held:    DefaultWindow + maxSegment,
		Break: func(_ testing.TB, c conduit.Conduit) {
			r := c.Raw.(lockedRaw)
			r.w.do(func() { r.c.(*stream).die(false) })
		},
	})
}

// The links that the contract of a Raw conduit has to hold on.
func TestRawKeepsTheContractOnEveryKindOfLink(t *testing.T) {
	for name, l := range map[string]Link{
		"far":    {Latency: 50 * time.Millisecond},
		"bad":    {Latency: 5 * time.Millisecond, Jitter: 40 * time.Millisecond, Loss: 0.2, Bandwidth: 10 << 20},
		"narrow": {Latency: time.Millisecond, Window: 10_000},
	} {
		t.Run(name, func(t *testing.T) {
			transporttest.Raw(t, func(t *testing.T) transporttest.RawPair { return rawPair(t, l) })
		})
	}
}

func rawPair(t *testing.T, l Link) transporttest.RawPair {
	rt := transporttest.Runtime(t)
	w := newLocked(t, rt)
	if err := w.n.SetDefault(l); err != nil {
		t.Fatal(err)
	}
	a, b := w.transport(t, rt, "a"), w.transport(t, rt, "b")
	acc := &transporttest.Acceptor{}
	ln, err := b.Listen(ma.StringCast("/ip4/0.0.0.0/tcp/4001"), acc)
	if err != nil {
		t.Fatal(err)
	}
	c, err := transporttest.Dial(t.Context(), a, addrOf(b.h, 4001))
	if err != nil {
		t.Fatal(err)
	}
	p := transporttest.RawPair{A: c.Raw, B: acc.Next(t, 0).Raw}
	_ = ln.Close()
	w.do(func() { p.Held = w.n.path(a.h, b.h).window() + maxSegment })
	p.Break = func() {
		w.do(func() {
			_ = w.n.SetDefault(Link{Latency: l.Latency}) // a reset that is lost tells nobody anything
			a.h.Crash()
		})
	}
	return p
}
