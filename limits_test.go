package troupe_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/peers/limits"
	"github.com/troupe-p2p/troupe/protocols/echo"
)

// Each limit refuses the one that is too many and no sooner, names itself and who holds it, and
// what was given back can be had again.

func limited(edit func(*troupe.Limits)) func(*troupe.Config) {
	return func(c *troupe.Config) { edit(&c.Limits) }
}

func liveConns(t *testing.T, n *troupe.System) int {
	t.Helper()
	cs, err := n.Conns(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return len(cs)
}

// wantConns waits until n has so many connections.
func wantConns(t *testing.T, n *troupe.System, want int) {
	t.Helper()
	until(t, "connections", func() bool { return liveConns(t, n) == want })
}

// wantRefusal demands a limit of that name, at that height, held by somebody.
func wantRefusal(t *testing.T, err error, limit string, height int) limits.Refusal {
	t.Helper()
	var r limits.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("%v is no refusal of a limit", err)
	}
	if r.Limit != limit || r.Cap != height || r.Used != height || height > 0 && (r.Holder == "" || r.HolderUsed < 1) {
		t.Fatalf("%+v, want %s at %d", r, limit, height)
	}
	if text := err.Error(); !strings.Contains(text, "Limits."+limit) || height > 0 && !strings.Contains(text, r.Holder.String()) {
		t.Fatalf("%q does not name Limits.%s or who holds it", text, limit)
	}
	return r
}

func TestLimitConnsOfRemotes(t *testing.T) {
	w := newRealm(t)
	n := w.node(limited(func(l *troupe.Limits) { l.Conns = 8 }))
	events := n.Subscribe(t.Context(), 0)
	var others []*troupe.System
	for i := range 7 { // an eighth is out of the reach of remotes
		others = append(others, w.node())
		protect(t, n, others[i])
		connect(t, others[i], n)
		wantConns(t, n, i+1)
	}
	late := w.node()
	connect(t, late, n)
	refused := next(t, events, troupe.EventRefused)
	if refused.Peer != late.ID() {
		t.Fatalf("%s was refused, want the last one", refused.Peer)
	}
	wantRefusal(t, refused.Err, "Conns", 7)
	wantConns(t, late, 0)

	// The node itself has one left, and no more.
	out, beyond := w.node(), w.node()
	protect(t, n, out)
	connect(t, n, out)
	wantConns(t, n, 8)
	_, err := n.DialAddr(bounded(t), addr(beyond))
	wantError(t, err, troupe.ErrLimit)
	wantRefusal(t, err, "Conns", 8)

	// What is given back can be had again.
	others[0].Disconnect(n.ID())
	n.Disconnect(out.ID())
	wantConns(t, n, 6)
	connect(t, late, n)
	connect(t, n, beyond)
	wantConns(t, n, 8)
}

// protect has n close no connection with a peer to make room for another.
func protect(t *testing.T, n, peer *troupe.System) {
	t.Helper()
	if err := n.Protect(peer.ID(), "a test"); err != nil {
		t.Fatal(err)
	}
}

func TestLimitConnsPerPeer(t *testing.T) {
	w := newRealm(t)
	n := w.node(limited(func(l *troupe.Limits) { l.ConnsPerPeer = 2 }))
	register(t, n, echo.Protocol, echo.Handler())
	events := n.Subscribe(t.Context(), 0)
	key, _ := newKey(t)
	same := func(c *troupe.Config) { c.Key = key } // one peer with as many connections as it likes
	var others []*troupe.System
	for i := range 2 {
		others = append(others, w.node(same))
		connect(t, others[i], n)
		heldStream(t, others[i], n)
		wantConns(t, n, i+1)
	}
	late := w.node(same)
	connect(t, late, n)
	r := wantRefusal(t, next(t, events, troupe.EventRefused).Err, "ConnsPerPeer", 2)
	if r.Holder != late.ID() {
		t.Fatalf("%s holds them, want %s", r.Holder, late.ID())
	}
	wantConns(t, late, 0)
	// Another peer is not concerned.
	connect(t, w.node(), n)
	wantConns(t, n, 3)
	others[0].Disconnect(n.ID())
	wantConns(t, n, 2)
	connect(t, late, n)
	heldStream(t, late, n)
	wantConns(t, n, 3)
}

// heldStream is a stream that has been served and goes on.
func heldStream(t *testing.T, from, to *troupe.System) *troupe.Stream {
	t.Helper()
	s := open(t, from, to.ID(), echo.Protocol)
	if err := roundTrip(s, "x"); err != nil {
		t.Fatal(err)
	}
	return s
}

func roundTrip(s *troupe.Stream, text string) error {
	if _, err := s.Write([]byte(text)); err != nil {
		return err
	}
	_, err := io.ReadFull(s, make([]byte, len(text)))
	return err
}

// A flood of half-open connections pushes out those that stand still, never the newcomer.
func TestLimitHalfOpen(t *testing.T) {
	const slots = 3
	n := newNode(t, limited(func(l *troupe.Limits) { l.HalfOpen = slots }))
	register(t, n, echo.Protocol, echo.Handler())
	_, port, _ := strings.Cut(n.ListenAddrs()[0].String(), "/tcp/")
	silent := func() net.Conn {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	// The node speaks first only when it is spoken to, so a read ends when it hangs up.
	ended := make(chan int, 2*slots)
	watch := func(i int, c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		ended <- i
	}
	halfOpen := func() int {
		gate, _ := find(n.Tree().Roots, ofKind("gate"))
		return len(gate.Children)
	}
	for i := range slots {
		c := silent()
		until(t, "its slot", func() bool { return halfOpen() == i+1 })
		go watch(i, c)
	}
	select {
	case i := <-ended:
		t.Fatalf("connection %d was closed with a slot for everybody", i)
	default:
	}
	go watch(slots, silent())
	if i := <-ended; i != 0 {
		t.Fatalf("connection %d lost its slot, want the one that stood still longest", i)
	}
	until(t, "as many as there are slots", func() bool { return halfOpen() == slots })

	// An honest peer is a newcomer too.
	honest := newNode(t)
	connect(t, honest, n)
	if err := echoes(bounded(t), honest, n, "through the flood"); err != nil {
		t.Fatal(err)
	}
	if i := <-ended; i != 1 {
		t.Fatalf("connection %d lost its slot, want the next one", i)
	}
	until(t, "its slot to be free", func() bool { return halfOpen() == slots-1 })
}

func TestLimitHalfOpenOut(t *testing.T) {
	n := newNode(t, limited(func(l *troupe.Limits) { l.HalfOpenOut = 2 }), func(c *troupe.Config) { c.DialTimeout = time.Second })
	attempts := func() (k int) {
		count(n.Tree().Roots, func(a node) {
			if a.Kind == "dial" {
				k++
			}
		})
		return k
	}
	answers := make(chan error, 3)
	for range 3 {
		who, at := stranger(), silent(t)
		t.Cleanup(func() { n.Disconnect(who) })
		ctx := bounded(t)
		go func() {
			_, err := n.Dial(ctx, who, at)
			answers <- err
		}()
		if k := attempts(); k > 2 {
			t.Fatalf("%d attempts at a time", k)
		}
	}
	until(t, "two attempts", func() bool { return attempts() == 2 })

	// A dial without an answer holds nobody up for ever, and what it held goes to the next.
	w := newNode(t)
	answer := make(chan error, 1)
	ctx := bounded(t)
	go func() {
		_, err := n.DialAddr(ctx, addr(w))
		answer <- err
	}()
	for range 3 {
		if err := <-answers; !errors.Is(err, troupe.ErrDialFailed) && !errors.Is(err, troupe.ErrDeadline) {
			t.Fatal(err)
		}
	}
	if err := <-answer; err != nil {
		t.Fatal(err)
	}
	until(t, "no attempt", func() bool { return attempts() == 0 })

	none := newNode(t, limited(func(l *troupe.Limits) { l.HalfOpenOut = -1 }))
	_, err := none.DialAddr(bounded(t), addr(w))
	wantError(t, err, troupe.ErrLimit)
	wantRefusal(t, err, "HalfOpenOut", 0)
}

func count(nodes []actors.Node, each func(actors.Node)) {
	for _, n := range nodes {
		each(n)
		count(n.Children, each)
	}
}

// quiet is a couple that has nothing more to say to each other, so that streams can be counted.
func quiet(t *testing.T, edit func(*troupe.Limits)) (a, b *troupe.System) {
	t.Helper()
	w := newRealm(t)
	a, b = w.node(), w.node(limited(edit))
	for _, n := range []*troupe.System{a, b} {
		register(t, n, echo.Protocol, echo.Handler())
	}
	atA, atB := a.Subscribe(t.Context(), 0), b.Subscribe(t.Context(), 0)
	connect(t, a, b)
	next(t, atA, troupe.EventIdentified)
	next(t, atB, troupe.EventIdentified)
	for _, n := range []*troupe.System{a, b} {
		until(t, "no stream", func() bool { return streams(n) == 0 })
	}
	return a, b
}

func streams(n *troupe.System) (k int) {
	count(n.Tree().Roots, func(a node) {
		if a.Kind == "stream" {
			k++
		}
	})
	return k
}

// wantOtherAtLimit demands that the other end refuses one more stream.
func wantOtherAtLimit(t *testing.T, a, b *troupe.System) {
	t.Helper()
	_, err := a.OpenWith(bounded(t), b.ID(), troupe.OpenOptions{Confirm: true}, echo.Protocol)
	e := wantError(t, err, troupe.ErrReset)
	if e.Wire != 0x1002 || e.Origin != troupe.OriginRemote || !strings.Contains(e.Next, "limit") {
		t.Fatal(err)
	}
}

func TestLimitStreamsPerConn(t *testing.T) {
	a, b := quiet(t, func(l *troupe.Limits) { l.StreamsPerConn = 3 })
	var held []*troupe.Stream
	for range 3 {
		held = append(held, heldStream(t, a, b))
	}
	wantOtherAtLimit(t, a, b)
	// Those that the node opens itself are not counted with them.
	heldStream(t, b, a)
	if err := held[0].Reset(0); err != nil {
		t.Fatal(err)
	}
	until(t, "the stream to be gone", func() bool { return streams(b) == 3 })
	heldStream(t, a, b)
	wantOtherAtLimit(t, a, b)
}

func TestLimitStreams(t *testing.T) {
	a, b := quiet(t, func(l *troupe.Limits) { l.Streams = 3 })
	held := []*troupe.Stream{heldStream(t, a, b), heldStream(t, a, b), heldStream(t, b, a)}
	wantOtherAtLimit(t, a, b)

	_, err := b.Open(bounded(t), a.ID(), echo.Protocol)
	wantError(t, err, troupe.ErrLimit)
	var why *actors.Exhausted
	if !errors.As(err, &why) || why.Limit != "Limits.Streams" || why.Cap != 3 || why.Used != 3 || why.HolderUsed != 3 {
		t.Fatalf("%+v", why)
	}
	if !strings.HasPrefix(why.Holder, a.ID().Short()) || !strings.Contains(err.Error(), why.Holder) {
		t.Fatalf("%v does not say who holds the streams", err)
	}
	for _, s := range held[1:] {
		if err := s.Reset(0); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the streams to be gone", func() bool { return streams(b) == 1 })
	heldStream(t, b, a)
	heldStream(t, a, b)

	// The end of the connection gives all of it back.
	a.Disconnect(b.ID())
	wantConns(t, b, 0)
	until(t, "no stream", func() bool { return streams(b) == 0 })
	connect(t, a, b)
	if err := echoes(bounded(t), a, b, "again"); err != nil {
		t.Fatal(err)
	}
}

func TestLimitStreamsOfNoneAtAll(t *testing.T) {
	w := newRealm(t)
	n := w.node(limited(func(l *troupe.Limits) { l.Streams = -1 }))
	other := w.node()
	register(t, other, echo.Protocol, echo.Handler())
	connect(t, n, other)
	wantConns(t, other, 1)
	_, err := n.Open(bounded(t), other.ID(), echo.Protocol)
	wantError(t, err, troupe.ErrLimit)
	wantOtherAtLimit(t, other, n)
}

// sink counts what it gets, and holds it when it is told to: then no credit goes back.
type sink struct {
	got  *atomic.Int64
	hold *atomic.Bool
}

func (s sink) Receive(ctx actor.Context) {
	if d, ok := ctx.Message().(*troupe.StreamData); ok {
		s.got.Add(int64(len(d.B)))
		if s.hold.Load() {
			d.Hold()
		}
	}
}

// Windows grow with the traffic as far as BufferBytes reaches, and no further.
func TestLimitBufferBytes(t *testing.T) {
	const first = 256 << 10 // what the protocol gives every stream
	for _, row := range []struct {
		name  string
		limit int
		most  int64
	}{
		{"none", -1, first},
		{"less than one step", 1<<16 - 1, first + 1<<16},
		{"a little", 1 << 19, first + 1<<19},
		{"more", 1 << 20, first + 1<<20},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got atomic.Int64
			var hold atomic.Bool
			a, b := quiet(t, func(l *troupe.Limits) { l.BufferBytes = row.limit })
			register(t, b, "/sink", troupe.ActorHandler(func() actor.Actor { return sink{&got, &hold} }))
			for range 20 {
				got.Store(0)
				hold.Store(false)
				s := open(t, a, b.ID(), "/sink")
				body := make([]byte, 64<<10)
				var sent int64
				for sent < 8<<20 { // the window grows, if it may
					n, err := s.Write(body)
					if sent += int64(n); err != nil {
						t.Fatal(err)
					}
				}
				until(t, "all to arrive", func() bool { return got.Load() == sent })
				hold.Store(true)
				// What can be sent now is the window, for nothing of it is taken.
				for {
					_ = s.SetWriteDeadline(b.Runtime().Now().Add(patience / 100))
					n, err := s.Write(body)
					if sent += int64(n); err != nil {
						wantError(t, err, troupe.ErrDeadline)
						break
					}
				}
				window := sent - 8<<20
				if window > row.most {
					t.Fatalf("a window of %d bytes, want at most %d", window, row.most)
				}
				if row.most == first && window == first || window > first {
					return // as large as it was to become
				}
				_ = s.Reset(0)
				until(t, "no stream", func() bool { return streams(b) == 0 })
			}
			t.Fatal("the window never grew")
		})
	}
}
