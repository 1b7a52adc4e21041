package mux_test

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/memory"

	ma "github.com/multiformats/go-multiaddr"
)

// kind is a kind of connection: the contract holds for each.
type kind struct {
	name  string
	muxed bool
}

var (
	raw    = kind{"yamux", false}
	native = kind{"native", true}
	kinds  = []kind{raw, native}
)

// world is one connection between two sides in a runtime of its own.
type world struct {
	t    testing.TB
	kind kind
	rt   *actors.Runtime
	live int64
	a, b *side // a has dialled
	// bug says whether a panic was wanted. Default: those of handlers and of Kill.
	bug  func(*actors.PanicError) bool
	once sync.Once
}

func wanted(e *actors.PanicError) bool {
	_, injected := e.Value.(*actors.Injected)
	return injected || strings.HasSuffix(e.Path, "/handler")
}

// side is one end: a supervisor with its session.
type side struct {
	w       *world
	name    string
	conn    *stream.Conn
	session actors.Ref[messages.Session]
	streams *actors.Budget
	buffers *actors.Budget
	raw     conduit.Raw
	muxed   conduit.Muxed
	gone    chan struct{} // the session has ended

	onLookup func(name string)
	mu       sync.Mutex
	handlers map[string]stream.Handler
	ended    *messages.ConnEnded
	busy     int // streams, as the owner was told
}

// setup is what a test may choose.
type setup struct {
	cfg     mux.Config
	memory  memory.Config
	streams int64
	buffers int64
	bare    bool // there is no session on a's side: the test speaks for it
	bulk    bool // buffers are not poisoned, which takes longer than anything else
}

func newWorld(t testing.TB, k kind, s setup) *world {
	t.Helper()
	_, test := t.(*testing.T)
	buf.Poison.Store(test && !s.bulk)
	w := &world{t: t, kind: k, bug: wanted, live: buf.Live(), rt: actors.Live(actors.Options{})}
	w.a, w.b = newSide(w, "a"), newSide(w, "b")
	w.connect(s)
	t.Cleanup(func() { w.once.Do(w.check) })
	w.b.spawn(s)
	if !s.bare {
		w.a.spawn(s)
	}
	return w
}

// check ends the world: nothing may be left.
func (w *world) check() {
	w.t.Helper()
	for _, s := range []*side{w.a, w.b} {
		if s.raw != nil {
			_ = s.raw.Close()
		} else {
			_ = s.muxed.Close(0, "")
		}
	}
	for _, s := range []*side{w.a, w.b} {
		if !s.session.IsZero() {
			w.within(s.name+"'s session ends with its conduit", s.gone)
		}
		if used, _ := s.streams.Used(); used != 0 {
			w.t.Errorf("%s: %d streams are on the books: %+v", s.name, used, s.streams.Shares())
		}
		if used, _ := s.buffers.Used(); used != 0 {
			w.t.Errorf("%s: %d bytes of windows are on the books", s.name, used)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if left := w.rt.Close(ctx); len(left) > 0 {
		w.t.Errorf("left behind: %v", left)
	}
	for _, f := range w.rt.Tree("").Failures {
		if !w.bug(f) {
			w.t.Errorf("a bug: %v\n%s", f, f.Stack)
		}
	}
	if n := buf.Live() - w.live; n != 0 {
		w.t.Errorf("%d buffers are not given back", n)
	}
}

func newSide(w *world, name string) *side {
	return &side{
		w: w, name: name, gone: make(chan struct{}), handlers: map[string]stream.Handler{},
		streams: actors.NewBudget("streams", 0), buffers: actors.NewBudget("buffers", 0),
	}
}

type acceptor chan conduit.Conduit

func (a acceptor) Accepted(c conduit.Conduit) { a <- c }
func (acceptor) Failed(error)                 {}
func (acceptor) Degraded(error)               {}

func (w *world) connect(s setup) {
	w.t.Helper()
	hub := memory.NewHub()
	transport := func(key byte) *memory.Transport {
		cfg := s.memory
		cfg.Hub, cfg.Muxed = hub, w.kind.muxed
		cfg.Key = publicKey(key)
		if cfg.MaxStreams == 0 {
			cfg.MaxStreams = 2048
		}
		return memory.New(w.rt, cfg)
	}
	acc := make(acceptor, 1)
	l, err := transport(2).Listen(ma.StringCast("/memory/0"), acc)
	if err != nil {
		w.t.Fatal(err)
	}
	out := make(chan conduit.Conduit, 1)
	transport(1).Dial(context.Background(), l.Addr(), "", func(c conduit.Conduit, err error) {
		if err != nil {
			w.t.Error(err)
		}
		out <- c
	})
	w.a.has(within(w.t, "dialling", out), publicKey(2))
	w.b.has(within(w.t, "accepting", acc), publicKey(1))
	_ = l.Close()
}

func (s *side) has(c conduit.Conduit, remote identity.PublicKey) {
	s.raw, s.muxed = c.Raw, c.Muxed
	id, err := identity.IDFromKey(remote)
	if err != nil {
		s.w.t.Fatal(err)
	}
	s.conn = &stream.Conn{Endpoints: c.Endpoints(), ID: 7, Peer: id, Key: remote, Security: "/test", Muxer: s.w.kind.name}
}

// spawn starts the side's supervisor with its session.
func (s *side) spawn(set setup) {
	s.w.t.Helper()
	s.streams = actors.NewBudget("streams", set.streams)
	s.buffers = actors.NewBudget("buffers", set.buffers)
	streams, buffers := s.streams.Holder(s.name), s.buffers.Holder(s.name)
	cfg := set.cfg
	cfg.Conn, cfg.Lookup, cfg.Streams, cfg.Buffers = s.conn, s.lookup, streams, buffers
	if s.raw != nil {
		cfg.Secured = conduit.Secured{Raw: s.raw, Open: &opener{}, Seal: sealer{}}
	}
	cfg.Muxed = s.muxed
	up := make(chan actors.Ref[messages.Session], 1)
	owner := supervisor(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *actor.Started:
			cfg.Owner = actors.Self[messages.Peer](ctx)
			spec := mux.Spec(cfg)
			spec.Name = "conn"
			ref, err := actors.Spawn[messages.Session](ctx, spec)
			if err != nil {
				panic(err)
			}
			up <- ref
		case *actor.Terminated:
			s.mu.Lock()
			s.busy = 0 // also when it had no time to say so
			s.mu.Unlock()
			streams.Close()
			buffers.Close()
			close(s.gone)
		case *messages.ConnEnded:
			s.mu.Lock()
			if s.ended != nil {
				s.w.t.Errorf("%s: the end is told twice", s.name)
			}
			s.ended = m
			s.mu.Unlock()
		case *messages.StreamsChanged:
			s.mu.Lock()
			s.busy = m.Streams
			s.mu.Unlock()
		}
	})
	_, err := actors.Root[messages.Peer](s.w.rt, actors.Spec{Name: s.name, New: func() actor.Actor { return owner }})
	if err != nil {
		s.w.t.Fatal(err)
	}
	s.session = within(s.w.t, "spawning", up)
}

type supervisor func(actor.Context)

func (f supervisor) Receive(ctx actor.Context) { f(ctx) }

func (s *side) lookup(name []byte) (string, stream.Handler, bool) {
	if s.onLookup != nil {
		s.onLookup(string(name))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.handlers[string(name)]
	return string(name), h, ok
}

func (s *side) handle(protocol string, h stream.Handler) {
	s.mu.Lock()
	s.handlers[protocol] = h
	s.mu.Unlock()
}

// ask opens a stream.
func (s *side) ask(m messages.OpenStream) (*stream.Stream, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return actors.Ask(ctx, s.session, func(r actors.Reply[*stream.Stream]) messages.Session {
		m.Reply = r
		return &m
	})
}

// open opens a stream for the test's goroutine.
func (s *side) open(protocol string) *stream.Blocking {
	s.w.t.Helper()
	st, err := s.ask(messages.OpenStream{Protocols: []string{protocol}})
	if err != nil {
		s.w.t.Fatalf("opening %s: %v", protocol, err)
	}
	return st.Blocking()
}

// probe asks for a sign of life.
func (s *side) probe() (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return actors.Ask(ctx, s.session, func(r actors.Reply[time.Duration]) messages.Session {
		return &messages.Probe{Reply: r}
	})
}

func (s *side) close(code uint32) {
	_ = s.session.Control(&messages.CloseConn{Code: code, Reason: "the test says so"})
}

// inUse is how many streams the owner was told of.
func (s *side) inUse() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy
}

func (s *side) end() *messages.ConnEnded {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// count is how many actors of a kind live on a side, by the kit's tree.
func (s *side) count(kind string) int {
	var in func(n actors.Node) int
	in = func(n actors.Node) (k int) {
		if n.Kind == kind {
			k++
		}
		for _, c := range n.Children {
			k += in(c)
		}
		return k
	}
	n := 0
	for _, r := range s.w.rt.Tree(s.name).Roots {
		n += in(r)
	}
	return n
}

// patience is how long anything may take that has to happen.
const patience = 60 * time.Second

func within[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: did not happen", what)
		panic("unreachable")
	}
}

func (w *world) within(what string, ch <-chan struct{}) {
	w.t.Helper()
	within(w.t, what, ch)
}

// eventually waits for what no event tells: a count of the tree, a budget.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for limit := time.Now().Add(patience); !ok(); {
		if time.Now().After(limit) {
			w.t.Fatalf("%s: did not happen\n%s", what, w.tree())
		}
		<-time.After(time.Millisecond)
	}
}

func (w *world) tree() string {
	var b strings.Builder
	var show func(n actors.Node, depth int)
	show = func(n actors.Node, depth int) {
		fmt.Fprintf(&b, "%s%s %s %s\n", strings.Repeat("  ", depth), n.Name, n.Kind, n.Phase)
		for _, c := range n.Children {
			show(c, depth+1)
		}
	}
	for _, n := range w.rt.Tree("").Roots {
		show(n, 0)
	}
	return b.String()
}

// both runs a test for each kind of connection.
func both(t *testing.T, test func(t *testing.T, k kind)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { test(t, k) })
	}
}

// gather runs n functions beside each other and waits for them.
func gather(w *world, n int, f func(i int)) {
	w.t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		w.rt.Pump("test", func() {
			defer wg.Done()
			f(i)
		}, func(pe *actors.PanicError) { w.t.Errorf("%v\n%s", pe, pe.Stack) })
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	w.within("all of them are through", done)
}

func publicKey(n byte) identity.PublicKey {
	k, err := identity.GenerateKey(identity.Ed25519, bytes.NewReader(bytes.Repeat([]byte{n}, 64)))
	if err != nil {
		panic(err)
	}
	return k.Public()
}

// ---- a record layer that hides nothing ----

// sealer frames records: length, then the bytes with every bit turned.
type sealer struct{}

const recordMax = 1<<16 - 1

func (sealer) Seal(dst, p []byte) ([]byte, error) {
	for len(p) > 0 {
		n := min(len(p), recordMax)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
		dst = append(dst, p[:n]...)
		turn(dst[len(dst)-n:])
		p = p[n:]
	}
	return dst, nil
}

func (sealer) SealedSize(n int) int { return n + 2*((n+recordMax-1)/recordMax) }

// opener turns them back in place.
type opener struct{ in, part []byte }

func (o *opener) Feed(p []byte) { o.in = p }

func (o *opener) Next() ([]byte, bool, error) {
	if len(o.part) > 0 { // a record that came in pieces
		for len(o.part) < 2 && len(o.in) > 0 {
			o.part, o.in = append(o.part, o.in[0]), o.in[1:]
		}
		if len(o.part) < 2 {
			return nil, false, nil
		}
		want := 2 + int(binary.BigEndian.Uint16(o.part))
		n := min(want-len(o.part), len(o.in))
		o.part, o.in = append(o.part, o.in[:n]...), o.in[n:]
		if len(o.part) < want {
			return nil, false, nil
		}
		p := o.part[2:]
		o.part = nil
		return turn(p), true, nil
	}
	if len(o.in) < 2 || len(o.in) < 2+int(binary.BigEndian.Uint16(o.in)) {
		o.part, o.in = append([]byte(nil), o.in...), nil
		return nil, false, nil
	}
	n := 2 + int(binary.BigEndian.Uint16(o.in))
	p := o.in[2:n]
	o.in = o.in[n:]
	return turn(p), true, nil
}

var ones = bytes.Repeat([]byte{0xff}, recordMax)

func turn(p []byte) []byte {
	subtle.XORBytes(p, p, ones)
	return p
}
