package simnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// end is a program at one end of a stream: it reads what comes and writes what it is given.
type end struct {
	c     conduit.Raw
	s     *sched
	deaf  bool // grants no credit back
	got   bytes.Buffer
	last  time.Time // of the last offer
	offer []int
	out   []byte
	drain []error
	ended []error
	onEnd func(error)
}

func (e *end) Offer(b *buf.Buf) {
	e.got.Write(b.B)
	e.offer = append(e.offer, len(b.B))
	e.last = e.s.now
	b.Release()
	if !e.deaf {
		e.c.More()
	}
}

func (e *end) Drained(err error) {
	e.drain = append(e.drain, err)
	if err == nil {
		e.flush()
	}
}

func (e *end) Ended(err error) {
	e.ended = append(e.ended, err)
	if e.onEnd != nil {
		e.onEnd(err)
	}
}

func (e *end) flush() {
	for len(e.out) > 0 {
		n, err := e.c.TryWrite(e.out)
		if err != nil {
			return
		}
		if e.out = e.out[n:]; n == 0 {
			rest := e.out
			e.out = nil
			e.c.Drain(rest)
			return
		}
	}
}

func (e *end) write(t testing.TB, p string) {
	t.Helper()
	if n, err := e.c.TryWrite([]byte(p)); n != len(p) || err != nil {
		t.Fatalf("wrote %d of %d: %v", n, len(p), err)
	}
}

// send writes all of p, now and as the window allows.
func (e *end) send(p []byte) { e.out = p; e.flush() }

// world is a network with a scheduler.
type world struct {
	t testing.TB
	s *sched
	n *Network
}

func newWorld(t testing.TB, seed uint64) *world {
	noLeak(t)
	s := newSched(seed)
	return &world{t, s, New(s)}
}

func (w *world) host(name string, o HostOptions) *Host {
	w.t.Helper()
	h, err := w.n.Host(name, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

func (w *world) hosts(names ...string) (all []*Host) {
	w.t.Helper()
	for _, name := range names {
		all = append(all, w.host(name, HostOptions{}))
	}
	return all
}

func (w *world) link(l Link) {
	w.t.Helper()
	if err := w.n.SetDefault(l); err != nil {
		w.t.Fatal(err)
	}
}

// acceptor is a listener that reads from everybody.
type acceptor struct {
	w      *world
	l      conduit.Listener
	deaf   bool
	ends   []*end
	failed []error
}

func (a *acceptor) Accepted(c conduit.Conduit) {
	e := &end{c: c.Raw, s: a.w.s, deaf: a.deaf}
	a.ends = append(a.ends, e)
	c.Raw.Bind(e, 1)
}
func (a *acceptor) Failed(err error)   { a.failed = append(a.failed, err) }
func (a *acceptor) Degraded(err error) { a.w.t.Errorf("degraded: %v", err) }

func (w *world) listen(h *Host, at string) *acceptor {
	w.t.Helper()
	a := &acceptor{w: w}
	var err error
	if a.l, err = h.Transport(nil, TransportConfig{}).Listen(ma.StringCast(at), a); err != nil {
		w.t.Fatal(err)
	}
	return a
}

// dialled is the outcome of a dial.
type dialled struct {
	*end
	err  error
	at   time.Duration // when it came
	done int
}

func (w *world) dial(tr *Transport, to ma.Multiaddr) *dialled {
	return w.dialCtx(context.Background(), tr, to)
}

func (w *world) dialCtx(ctx context.Context, tr *Transport, to ma.Multiaddr) *dialled {
	d := &dialled{}
	tr.Dial(ctx, to, "", func(c conduit.Conduit, err error) {
		d.done++
		d.err, d.at = err, w.s.elapsed()
		if err == nil {
			d.end = &end{c: c.Raw, s: w.s}
			c.Raw.Bind(d.end, 1)
		}
	})
	return d
}

// addrOf is where everybody finds port of h.
func addrOf(h *Host, port uint16) ma.Multiaddr {
	a := h.addrs[0]
	if x, ok := h.External(); ok {
		a = x
	}
	return ma.StringCast(fmt.Sprintf("/ip4/%s/tcp/%d", a, port))
}

// connect opens a stream from one host to the other.
func (w *world) connect(from, to *Host) (a, b *end) {
	w.t.Helper()
	acc := w.listen(to, "/ip4/0.0.0.0/tcp/0")
	defer func() { _ = acc.l.Close() }()
	port, _ := addrs.Port(acc.l.Addr())
	d := w.dial(from.Transport(nil, TransportConfig{}), addrOf(to, port))
	for range 1000 {
		w.s.run(10 * time.Millisecond)
		if d.done > 0 && len(acc.ends) > 0 {
			break
		}
	}
	if d.err != nil || len(acc.ends) != 1 {
		w.t.Fatalf("dial: %v, %d accepted\n%s", d.err, len(acc.ends), w.n)
	}
	return d.end, acc.ends[0]
}

// over closes both ends and runs to the end of everything.
func (w *world) over(ends ...*end) {
	w.t.Helper()
	for _, e := range ends {
		_ = e.c.Close()
	}
	w.s.settle(w.t)
	for _, h := range w.n.hosts {
		if len(h.streams) > 0 {
			w.t.Errorf("streams are left over:\n%s", w.n)
		}
	}
}

func (w *world) wantIs(what string, err, want error) {
	w.t.Helper()
	if !errors.Is(err, want) {
		w.t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func pattern(n int) []byte {
	p := make([]byte, n)
	x := uint32(n)*2654435761 + 1
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	return p
}
