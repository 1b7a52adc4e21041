package protocols_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation/multistream"
	"github.com/troupe-p2p/troupe/protocols"
	"github.com/troupe-p2p/troupe/protocols/echo"
	"github.com/troupe-p2p/troupe/stream"
)

// routing is a router with somebody to tell.
type routing struct {
	t     *testing.T
	rt    *actors.Runtime
	table *protocols.Table
	ref   actors.Ref[messages.Router]
	told  chan []string
}

func newRouting(t *testing.T) *routing {
	s := newSide(t, runtime(t), "x", 1)
	r := &routing{t: t, rt: s.rt, table: s.table, ref: s.router, told: make(chan []string, 64)}
	identify := root[messages.Identify](t, r.rt, probe("identify", func(_ actor.Context, m any) {
		if p, ok := m.(*messages.Protocols); ok {
			r.told <- p.IDs
		}
	}))
	_ = r.ref.Control(&messages.IntroduceIdentify{Identify: identify})
	r.wantTold("who comes late is told what there is")
	return r
}

func runtime(t *testing.T) *actors.Runtime {
	rt := actors.Live(actors.Options{})
	t.Cleanup(func() {
		if left := rt.Close(context.Background()); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	return rt
}

func (r *routing) set(protocol string, h stream.Handler) error {
	_, err := actors.Ask(r.t.Context(), r.ref, func(reply actors.Reply[struct{}]) messages.Router {
		return &messages.Handle{Protocol: protocol, Handler: h, Reply: reply}
	})
	return err
}

func (r *routing) wantTold(why string, want ...string) {
	r.t.Helper()
	if got := within(r.t, why, r.told); !slices.Equal(got, want) {
		r.t.Errorf("%s: identify was told %q, want %q", why, got, want)
	}
}

func named(kind string) stream.Handler {
	return stream.Handler{Actor: func(*stream.Stream) actors.Spec { return actors.Spec{Kind: kind} }}
}

func TestRouterKeepsTheTableAndTellsIdentify(t *testing.T) {
	r := newRouting(t)
	steps := []struct {
		why      string
		protocol string
		h        stream.Handler
		want     []string
	}{
		{"the first", "/b", named("b"), []string{"/b"}},
		{"in order of the names", "/a", named("a"), []string{"/a", "/b"}},
		{"a blocking handler", "/c", stream.Handler{Run: func(context.Context, *stream.Blocking) {}}, []string{"/a", "/b", "/c"}},
		{"a second one replaces the first", "/a", named("a2"), []string{"/a", "/b", "/c"}},
		{"no handler removes", "/b", stream.Handler{}, []string{"/a", "/c"}},
		{"removing what is not there", "/nowhere", stream.Handler{}, []string{"/a", "/c"}},
	}
	for _, s := range steps {
		if err := r.set(s.protocol, s.h); err != nil {
			t.Fatalf("%s: %v", s.why, err)
		}
		r.wantTold(s.why, s.want...)
		if got := r.table.IDs(); !slices.Equal(got, s.want) {
			t.Errorf("%s: IDs are %q, want %q", s.why, got, s.want)
		}
	}
	name, h, ok := r.table.Lookup([]byte("/a"))
	if !ok || name != "/a" || h.Actor(nil).Kind != "a2" {
		t.Errorf("look-up of /a: %q, %v", name, ok)
	}
	for _, gone := range []string{"/b", "", "/A", "/a/"} {
		if _, _, ok := r.table.Lookup([]byte(gone)); ok {
			t.Errorf("%q is found", gone)
		}
	}
}

func TestRouterRefusesWhatCannotBeNegotiated(t *testing.T) {
	r := newRouting(t)
	for _, name := range []string{"", "na", multistream.ID, "/a\n", strings.Repeat("x", multistream.MaxMessage)} {
		if err := r.set(name, echo.Handler()); !errors.Is(err, multistream.ErrName) || !strings.HasPrefix(err.Error(), "local:") {
			t.Errorf("%.20q: %v", name, err)
		}
	}
	both := echo.Handler()
	both.Run = func(context.Context, *stream.Blocking) {}
	if err := r.set("/both", both); err == nil {
		t.Error("a handler of both kinds was taken")
	}
	if ids := r.table.IDs(); len(ids) != 0 {
		t.Errorf("refused, and in the table: %q", ids)
	}
}

func TestRouterForgetsNothingWhenItCrashes(t *testing.T) {
	r := newRouting(t)
	if err := r.set("/a", named("a")); err != nil {
		t.Fatal(err)
	}
	r.wantTold("the first", "/a")
	for range 3 {
		r.rt.Kill("x-router", "test")
		r.wantTold("the next incarnation says again what there is", "/a")
		if _, _, ok := r.table.Lookup([]byte("/a")); !ok {
			t.Fatal("the table has lost an entry")
		}
	}
	if err := r.set("/b", named("b")); err != nil {
		t.Fatal(err)
	}
	r.wantTold("and goes on", "/a", "/b")
}

func TestTableIsReadWhileItChanges(t *testing.T) {
	r := newRouting(t)
	if err := r.set("/always", named("a")); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, _, ok := r.table.Lookup([]byte("/always")); !ok {
					t.Error("a look-up missed what is always there")
					return
				}
			}
		})
	}
	for i := range 200 {
		name := fmt.Sprintf("/p%d", i%10)
		h := named("h")
		if i%3 == 0 {
			h = stream.Handler{}
		}
		if err := r.set(name, h); err != nil {
			t.Fatal(err)
		}
		within(t, "identify is told", r.told)
	}
	close(done)
	wg.Wait()
}

func TestLookupDoesNotAllocate(t *testing.T) {
	r := newRouting(t)
	if err := r.set(echo.Protocol, echo.Handler()); err != nil {
		t.Fatal(err)
	}
	name := []byte(echo.Protocol)
	if n := testing.AllocsPerRun(1000, func() { r.table.Lookup(name) }); n != 0 {
		t.Errorf("a look-up allocates %v times", n)
	}
	var none protocols.Table
	if _, _, ok := none.Lookup(name); ok || none.IDs() != nil {
		t.Error("the zero table has something in it")
	}
}
