package mux_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/negotiation/multistream"
	"github.com/troupe-p2p/troupe/testkit/muxtest"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// remote is a peer that the test plays by hand: it has streams and no session.
type remote interface {
	// open opens a stream and says so to the other side.
	open(t testing.TB) *hand
	// stop makes it read nothing any more.
	stop()
}

// hand is one stream of a remote.
type hand struct {
	mu      sync.Mutex
	cond    *sync.Cond
	got     []byte
	eof     bool
	reset   bool
	code    uint32
	write   func(p []byte)
	finish  func()
	abandon func(code uint32)
}

func newHand() *hand {
	h := &hand{}
	h.cond = sync.NewCond(&h.mu)
	return h
}

func (h *hand) note(f func()) {
	h.mu.Lock()
	f()
	h.mu.Unlock()
	h.cond.Broadcast()
}

// wait waits until something of the stream is as it has to be.
func (h *hand) wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	late := time.AfterFunc(muxtest.Patience, func() { h.note(func() { h.cond = nil }) })
	defer late.Stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	for !ok() {
		if h.cond == nil {
			t.Fatalf("%s: did not happen; got %q, eof %v, reset %v with %#x", what, h.got, h.eof, h.reset, h.code)
		}
		h.cond.Wait()
	}
}

func (h *hand) wantReset(t testing.TB, what string, code uint32) {
	t.Helper()
	h.wait(t, what, func() bool { return h.reset })
	if h.code != code {
		t.Fatalf("%s: code %#x, want %#x", what, h.code, code)
	}
}

func (h *hand) wantBytes(t testing.TB, what, want string) {
	t.Helper()
	h.wait(t, what, func() bool { return len(h.got) >= len(want) || h.reset })
	if string(h.got) != want {
		t.Fatalf("%s: got %q, want %q", what, h.got, want)
	}
}

// propose is what a dialler sends first.
func propose(protocols ...string) []byte {
	d, err := multistream.NewDialer(protocols...)
	if err != nil {
		panic(err)
	}
	return d.AppendOutput(nil)
}

// agreement is what a listener answers.
func agreement(protocol string) string {
	l := multistream.NewListener(multistream.OneOf(protocol))
	if _, err := l.HandleBytes(propose(protocol)); err != nil {
		panic(err)
	}
	return string(l.AppendOutput(nil))
}

func newRemote(w *muxtest.World) remote {
	if w.A.Link.Muxed != nil {
		m := &muxedRemote{c: w.A.Link.Muxed}
		m.c.Bind(m)
		return m
	}
	return newYamuxRemote(w)
}

// recorder is a Raw conduit that counts writes and notes how it was ended.
type recorder struct {
	conduit.Raw
	writes        atomic.Int32
	closed, reset atomic.Bool
}

func (e *recorder) TryWrite(p []byte) (int, error) {
	e.writes.Add(1)
	return e.Raw.TryWrite(p)
}

func (e *recorder) Close() error {
	e.closed.Store(true)
	return e.Raw.Close()
}

func (e *recorder) Reset() error {
	e.reset.Store(true)
	return e.Raw.Close()
}

// record notes what the second side of a link does with it.
func record(s muxtest.Subject) (*recorder, muxtest.Subject) {
	end := &recorder{}
	s.Link = func(t testing.TB, rt *actors.Runtime, o muxtest.LinkOptions) (a, b *messages.Link) {
		a, b = muxtest.RawLink(t, rt, o)
		end.Raw = b.Secured.Raw
		b.Secured.Raw = end
		return a, b
	}
	return end, s
}

// ---- over yamux ----

type yamuxRemote struct {
	mu      sync.Mutex
	raw     conduit.Raw
	core    *yamux.Session
	rx      muxtest.Opener
	hands   map[uint32]*hand
	stopped bool
	over    chan struct{}
	last    uint32 // stream that the other side has opened
	log     []byte // all that was received
}

func newYamuxRemote(w *muxtest.World) *yamuxRemote {
	r := makeYamuxRemote(w)
	r.raw.Bind(r, 1)
	r.do(func() {})
	return r
}

func makeYamuxRemote(w *muxtest.World) *yamuxRemote {
	core := yamux.New(yamux.Config{}, yamux.Client, time.Now())
	return &yamuxRemote{raw: w.A.Link.Secured.Raw, core: core, hands: map[uint32]*hand{}, over: make(chan struct{})}
}

func (r *yamuxRemote) Offer(b *buf.Buf) {
	defer b.Release()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return
	}
	r.rx.Feed(b.B)
	for p, ok, _ := r.rx.Next(); ok; p, ok, _ = r.rx.Next() {
		r.log = append(r.log, p...)
		_ = r.core.HandleBytes(time.Now(), p)
		r.drain()
	}
	r.raw.More()
}

func (r *yamuxRemote) Drained(error) {}

func (r *yamuxRemote) Ended(error) { close(r.over) }

func (r *yamuxRemote) drain() {
	for e, ok := r.core.Next(); ok; e, ok = r.core.Next() {
		h := r.hands[e.ID]
		if e.Kind == yamux.StreamOpened {
			r.last = e.ID
		}
		if h == nil {
			continue
		}
		switch e.Kind {
		case yamux.Data:
			h.note(func() { h.got = append(h.got, e.P...) })
			r.core.Consumed(time.Now(), e.ID, e.N)
		case yamux.RemoteClosed:
			h.note(func() { h.eof = true })
		case yamux.StreamReset:
			h.note(func() { h.reset, h.code = true, e.Code })
		}
	}
	for {
		hdr, body, ok := r.core.NextWrite()
		if !ok {
			break
		}
		r.send(append(append([]byte(nil), hdr...), body...))
	}
	for _, ok := r.core.Next(); ok; _, ok = r.core.Next() {
	}
}

// send writes frames as they are.
func (r *yamuxRemote) send(p []byte) {
	q, _ := muxtest.Sealer{}.Seal(nil, p)
	_, _ = r.raw.TryWrite(q) // what does not fit is lost: a test sees to it that it fits
}

func (r *yamuxRemote) do(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	r.drain()
}

func (r *yamuxRemote) stop() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
}

func (r *yamuxRemote) open(t testing.TB) *hand {
	h := newHand()
	r.do(func() {
		id, err := r.core.OpenStream(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		r.hands[id] = h
		h.write = func(p []byte) { r.do(func() { _ = r.core.Write(time.Now(), id, p) }) }
		h.finish = func() { r.do(func() { _ = r.core.CloseWrite(time.Now(), id) }) }
		h.abandon = func(code uint32) { r.do(func() { r.core.Reset(time.Now(), id, code) }) }
	})
	return h
}

// ---- over streams of the conduit's own ----

type muxedRemote struct{ c conduit.Muxed }

func (*muxedRemote) Accepted(conduit.MuxedStream) {}

func (*muxedRemote) CanOpen() {}

func (*muxedRemote) Ended(uint32, bool, error) {}

func (*muxedRemote) stop() {}

func (m *muxedRemote) open(t testing.TB) *hand {
	s, err := m.c.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	h := newHand()
	s.Bind(&handSink{h, s}, 1)
	h.write = func(p []byte) { _, _ = s.TryWrite(p) }
	h.finish = func() { _ = s.CloseWrite() }
	h.abandon = func(code uint32) { _ = s.Reset(code) }
	return h
}

type handSink struct {
	h *hand
	s conduit.MuxedStream
}

func (x *handSink) Offer(b *buf.Buf) {
	x.h.note(func() { x.h.got = append(x.h.got, b.B...) })
	b.Release()
	x.s.More()
}

func (x *handSink) Writable() {}

func (x *handSink) RemoteClosed() { x.h.note(func() { x.h.eof = true }) }

func (x *handSink) Reset(code uint32, _ bool, _ error) {
	x.h.note(func() { x.h.reset, x.h.code = true, code })
}
