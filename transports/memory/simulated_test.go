package memory

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// world is an event queue on the test's goroutine: each turn draws one of the waiting steps.
type world struct {
	rnd   *rand.Rand
	queue []func()
	trace []string
}

func newWorld(seed uint64) *world { return &world{rnd: rand.New(rand.NewPCG(seed, 1))} }

func (w *world) post(f func()) { w.queue = append(w.queue, f) }

func (w *world) run() {
	for len(w.queue) > 0 {
		i := w.rnd.IntN(len(w.queue))
		f := w.queue[i]
		w.queue[i] = w.queue[len(w.queue)-1]
		w.queue = w.queue[:len(w.queue)-1]
		f()
	}
}

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

// talker is a node's end of a Raw conduit: it sends its bytes in pieces and counts what comes.
type talker struct {
	w    *world
	name string
	c    conduit.Raw
	out  []byte
	got  int
	want int
}

func (k *talker) write() {
	for len(k.out) > 0 {
		piece := k.out[:min(len(k.out), 1+k.w.rnd.IntN(30<<10))]
		k.out = k.out[len(piece):]
		n, err := k.c.TryWrite(piece)
		if err != nil {
			k.w.note("%s cannot write: %v", k.name, err)
			return
		}
		if n < len(piece) {
			k.w.note("%s drains %d", k.name, len(piece)-n)
			k.c.Drain(piece[n:])
			return
		}
	}
}

func (k *talker) Offer(b *buf.Buf) {
	k.got += len(b.B)
	k.w.note("%s got %d %x", k.name, len(b.B), sha256.Sum256(b.B))
	b.Release()
	k.c.More()
	if k.got == k.want {
		_ = k.c.Close()
	}
}
func (k *talker) Drained(err error) { k.w.note("%s drained %v", k.name, err); k.write() }
func (k *talker) Ended(err error)   { k.w.note("%s ended %v", k.name, err) }

// accepting is an AcceptSink in a world.
type accepting struct {
	w *world
	f func(c conduit.Conduit)
}

func (a *accepting) Accepted(c conduit.Conduit) { a.f(c) }
func (a *accepting) Failed(err error)           { a.w.note("failed %v", err) }
func (a *accepting) Degraded(err error)         { a.w.note("degraded %v", err) }

// story plays five diallers against one listener and returns what happened.
func story(t *testing.T, rt *actors.Runtime, seed uint64) string {
	t.Helper()
	w := newWorld(seed)
	tr := New(rt, Config{Window: 8 << 10, ReadBuffer: 3000, Executor: Posted(rt, w.post)})
	const bytes = 100 << 10
	var all []*talker
	start := func(name string, c conduit.Raw) {
		k := &talker{w: w, name: name, c: c, out: make([]byte, bytes), want: bytes}
		all = append(all, k)
		c.Bind(k, 1+w.rnd.IntN(3))
		k.write()
	}
	n := 0
	l, err := tr.Listen(anyAddr, &accepting{w, func(c conduit.Conduit) { n++; start(fmt.Sprint("in", n), c.Raw) }})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		tr.Dial(context.Background(), l.Addr(), "", func(c conduit.Conduit, err error) {
			if err != nil {
				t.Error(err)
				return
			}
			start(fmt.Sprint("out", i), c.Raw)
		})
	}
	w.run()
	if len(all) != 10 {
		t.Fatalf("seed %d: %d ends", seed, len(all))
	}
	for i, k := range all {
		// The first end that has all closes; the other has what was on its way by then.
		if k.got > bytes {
			t.Errorf("seed %d: %s got %d bytes", seed, all[i].name, k.got)
		}
		_ = k.c.Close()
	}
	w.run()
	_ = l.Close()
	return strings.Join(w.trace, "\n")
}

func TestOneGoroutineDrivesAWorldAndASeedReplays(t *testing.T) {
	rt := transporttest.Runtime(t)
	before := runtime.NumGoroutine()
	stories := map[string]bool{}
	for seed := range uint64(40) {
		first := story(t, rt, seed)
		if again := story(t, rt, seed); again != first {
			t.Fatalf("seed %d told two stories", seed)
		}
		stories[first] = true
	}
	if len(stories) < 30 {
		t.Errorf("40 seeds told %d stories", len(stories))
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines were started", n-before)
	}
}

func TestAPostedPanicGoesToItsOwner(t *testing.T) {
	rt := transporttest.Runtime(t)
	w := newWorld(1)
	tr := New(rt, Config{Executor: Posted(rt, w.post)})
	bug := errors.New("a bug in the owner")
	l, err := tr.Listen(anyAddr, &accepting{w, func(conduit.Conduit) { panic(bug) }})
	if err != nil {
		t.Fatal(err)
	}
	k := &talker{w: w, name: "out"}
	tr.Dial(t.Context(), l.Addr(), "", func(c conduit.Conduit, err error) {
		if err != nil {
			t.Error(err)
			return
		}
		k.c = c.Raw
		c.Raw.Bind(k, 1)
	})
	tr.Dial(t.Context(), l.Addr(), "", func(c conduit.Conduit, err error) {
		c.Abandon()
		panic(bug) // has no other owner than the step
	})
	w.run()
	got := strings.Join(w.trace, "; ")
	if !strings.Contains(got, "failed panic") || !strings.Contains(got, "out ended EOF") {
		t.Errorf("told: %s", got)
	}
}
