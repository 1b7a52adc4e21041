package protocols_test

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/protocols"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// pair is two ends of one connection: the sessions, yamux and the streams are the real ones, the
// wire and the security are not.
type pair struct {
	rt   *actors.Runtime
	a, b *side
}

// side is one end.
type side struct {
	t       testing.TB
	rt      *actors.Runtime
	key     identity.PrivateKey
	id      identity.ID
	table   *protocols.Table
	router  actors.Ref[messages.Router]
	conn    *stream.Conn
	session actors.Ref[messages.Session]
	streams *actors.Budget
	ended   chan *messages.ConnEnded
}

// wire is where a is seen by b, and the other way round.
type wire struct{ a, b string }

var loopback = wire{"/ip4/127.0.0.1/tcp/1001", "/ip4/127.0.0.1/tcp/1002"}

func newPair(t testing.TB, w wire) *pair {
	t.Helper()
	rt := actors.Live(actors.Options{})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if left := rt.Close(ctx); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	p := &pair{rt: rt, a: newSide(t, rt, "a", 1), b: newSide(t, rt, "b", 2)}
	one, two := newConduits()
	t.Cleanup(func() { _ = one.Close() })
	one.points = conduit.Endpoints{Local: addr(w.a), Remote: addr(w.b), Direction: conduit.Outbound, Transport: "test"}
	two.points = conduit.Endpoints{Local: addr(w.b), Remote: addr(w.a), Direction: conduit.Inbound, Transport: "test"}
	p.a.connect(one, p.b)
	p.b.connect(two, p.a)
	return p
}

func newSide(t testing.TB, rt *actors.Runtime, name string, seed byte) *side {
	t.Helper()
	key, err := identity.GenerateKey(1, bytes.NewReader(bytes.Repeat([]byte{seed}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.IDFromKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	s := &side{t: t, rt: rt, key: key, id: id, table: &protocols.Table{}, streams: actors.NewBudget("streams", 0)}
	s.ended = make(chan *messages.ConnEnded, 1)
	spec := protocols.Spec(protocols.Config{Table: s.table})
	spec.Name = name + "-router"
	s.router = root[messages.Router](t, rt, spec)
	return s
}

func (s *side) connect(c *end, o *side) {
	s.conn = &stream.Conn{Endpoints: c.points, ID: 1, Peer: o.id, Key: o.key.Public(), Security: "none", Muxer: "/yamux/1.0.0"}
	name := "conn-" + c.points.Direction.String()
	owner := root[messages.Peer](s.t, s.rt, probe(name+"-owner", func(_ actor.Context, m any) {
		if e, ok := m.(*messages.ConnEnded); ok {
			s.ended <- e
		}
	}))
	spec := mux.Spec(mux.Config{
		Conn: s.conn, Secured: conduit.Secured{Raw: c, Peer: o.id, Open: &plain{}, Seal: &plain{}}, Owner: owner,
		Lookup: s.table.Lookup, Streams: s.streams.Holder(name),
	})
	spec.Name = name
	s.session = root[messages.Session](s.t, s.rt, spec)
}

// handle sets a handler and waits until it is in the table.
func (s *side) handle(protocol string, h stream.Handler) {
	s.t.Helper()
	_, err := actors.Ask(s.t.Context(), s.router, func(r actors.Reply[struct{}]) messages.Router {
		return &messages.Handle{Protocol: protocol, Handler: h, Reply: r}
	})
	if err != nil {
		s.t.Fatalf("handling %s: %v", protocol, err)
	}
}

// open opens a stream for this goroutine.
func (s *side) open(protocol string) *stream.Blocking {
	s.t.Helper()
	st, err := actors.Ask(s.t.Context(), s.session, func(r actors.Reply[*stream.Stream]) messages.Session {
		return &messages.OpenStream{Protocols: []string{protocol}, Reply: r}
	})
	if err != nil {
		s.t.Fatalf("opening %s: %v", protocol, err)
	}
	return &stream.Blocking{Stream: st}
}

// close ends the connection.
func (s *side) close() {
	_ = s.session.Control(&messages.CloseConn{})
}

func root[M any](t testing.TB, rt *actors.Runtime, spec actors.Spec) actors.Ref[M] {
	t.Helper()
	r, err := actors.Root[M](rt, spec)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// probe is an actor that shows what it gets.
func probe(name string, f func(ctx actor.Context, m any)) actors.Spec {
	return actors.Spec{Name: name, New: func() actor.Actor { return probeActor(f) }}
}

type probeActor func(ctx actor.Context, m any)

func (p probeActor) Receive(ctx actor.Context) { p(ctx, ctx.Message()) }

func addr(s string) ma.Multiaddr {
	a, err := ma.NewMultiaddr(s)
	if err != nil {
		panic(err)
	}
	return a
}

// within waits for something that has to happen. Where there is a lot of time, it is virtual.
func within[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: did not happen", what)
		panic("unreachable")
	}
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		// The last thing to happen: proto.actor's throttle of dead letters takes a second
		// to end.
		t.Cleanup(func() { pass(5 * time.Second) })
		f(t)
	})
}

// pass lets time go by.
func pass(d time.Duration) { <-time.After(d) }

// ---- a conduit in memory ----

// wireCap is how much one direction holds.
const wireCap = 128 << 10

// end is one end of a pair of byte conduits.
type end struct {
	points conduit.Endpoints
	peer   *end

	mu      sync.Mutex
	cond    *sync.Cond
	in      []byte
	credits int
	sink    conduit.Sink
	closed  bool
}

func newConduits() (*end, *end) {
	a, b := &end{}, &end{}
	a.peer, b.peer = b, a
	a.cond, b.cond = sync.NewCond(&a.mu), sync.NewCond(&b.mu)
	return a, b
}

func (e *end) Endpoints() conduit.Endpoints { return e.points }

func (e *end) Bind(s conduit.Sink, credits int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	first := e.sink == nil
	e.sink = s
	e.credits += credits
	if first {
		go e.read()
	}
	e.cond.Broadcast()
}

func (e *end) More() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.credits++
	e.cond.Broadcast()
}

func (e *end) read() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		for !e.closed && (len(e.in) == 0 || e.credits == 0) {
			e.cond.Wait()
		}
		s := e.sink
		if e.closed {
			e.mu.Unlock()
			s.Ended(io.EOF)
			e.mu.Lock()
			return
		}
		e.credits--
		n := min(len(e.in), 16<<10)
		b := buf.Copy(e.in[:n])
		e.in = append(e.in[:0], e.in[n:]...)
		e.cond.Broadcast()
		e.mu.Unlock()
		s.Offer(b)
		e.mu.Lock()
	}
}

func (e *end) TryWrite(p []byte) (int, error) {
	o := e.peer
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return 0, io.ErrClosedPipe
	}
	n := min(len(p), wireCap-len(o.in))
	o.in = append(o.in, p[:n]...)
	o.cond.Broadcast()
	return n, nil
}

func (e *end) Drain(p []byte) {
	go func() {
		o := e.peer
		for len(p) > 0 {
			n, err := e.TryWrite(p)
			if err != nil {
				e.sinkNow().Drained(err)
				return
			}
			p = p[n:]
			o.mu.Lock()
			for len(p) > 0 && !o.closed && len(o.in) == wireCap {
				o.cond.Wait()
			}
			o.mu.Unlock()
		}
		e.sinkNow().Drained(nil)
	}()
}

func (e *end) sinkNow() conduit.Sink {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sink
}

func (e *end) Close() error {
	for _, x := range []*end{e, e.peer} {
		x.mu.Lock()
		x.closed = true
		x.cond.Broadcast()
		x.mu.Unlock()
	}
	return nil
}

// plain is no security.
type plain struct{ p []byte }

func (o *plain) Feed(p []byte) { o.p = p }

func (o *plain) Next() ([]byte, bool, error) {
	p := o.p
	o.p = nil
	return p, len(p) > 0, nil
}

func (*plain) Seal(dst, p []byte) ([]byte, error) { return append(dst, p...), nil }
func (*plain) SealedSize(n int) int               { return n }
