package actors

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"
)

// A hundred times its cap goes into each container, and none holds more than its cap.
func TestBoundsHold(t *testing.T) {
	feeders := map[string]func(t *testing.T, n int) (most int){
		"data messages": func(t *testing.T, n int) int { return flood(t, n, Refuse, Ref[any].Send, (*cell).UserMessageCount) },
		"control messages": func(t *testing.T, n int) int {
			return flood(t, n, Refuse, Ref[any].Control, (*cell).UserMessageCount)
		},
		"stops that wait": func(t *testing.T, n int) int {
			return flood(t, n+defaultData, StopActor, Ref[any].Send, func(c *cell) int {
				c.mu.Lock()
				defer c.mu.Unlock()
				return c.sys.len()
			})
		},
		"entries of one actor": func(t *testing.T, n int) int {
			return flood(t, n+defaultData, StopActor, Ref[any].Send, func(c *cell) int { return watched(c.rt) })
		},
		"places that an empty lane keeps": func(_ *testing.T, n int) int {
			var l lane
			now := func() int64 { return 0 }
			for range n {
				l.push(1, now)
			}
			for range n {
				l.pop(now)
			}
			return len(l.ring)
		},
		"places of children kept": func(t *testing.T, n int) int {
			rt, h := standStill(t)
			p := parent(t, rt, spec("p", nil), nil)
			_ = p.Send(do(func(ctx actor.Context) {
				for range n {
					k, _ := Spawn[any](ctx, temporary("", func(actor.Context) {}))
					k.Stop()
				}
			}))
			h.settle()
			return cap(p.c.x.kids.few) + len(p.c.x.kids.many)
		},
		"actors remembered": func(t *testing.T, n int) int {
			rt, _ := standStill(t)
			c := &cell{rt: rt, name: "x", pol: &policy{}}
			for range n {
				rt.graves.bury(rt, c, nil)
			}
			return len(rt.Tree("").Dead)
		},
		"panics remembered": func(t *testing.T, n int) int {
			rt, _ := standStill(t)
			for range n {
				rt.record(&PanicError{}, "x")
			}
			return len(rt.Tree("").Failures)
		},
		"idle workers": func(t *testing.T, n int) int {
			rt := run(t)
			var all sync.WaitGroup
			all.Add(n)
			for range n {
				r := root(t, rt, spec("", func(actor.Context) { all.Done() }).once())
				r.Stop()
			}
			all.Wait()
			l := rt.host.(*live)
			most := 0
			for range 1000 {
				l.mu.Lock()
				most = max(most, len(l.idle))
				l.mu.Unlock()
				runtime.Gosched()
			}
			return most
		},
	}
	used := 0
	for _, b := range Bounds() {
		for name, feed := range feeders {
			if !strings.Contains(b.Name, name) {
				continue
			}
			used++
			t.Run(name, func(t *testing.T) {
				n := min(100*b.Cap, 300_000)
				if most := feed(t, n); most > b.Cap {
					t.Fatalf("%s: %d where at most %d may be", b.Name, most, b.Cap)
				}
			})
		}
		if b.Attack == "" || b.Cap <= 0 {
			t.Errorf("%+v", b)
		}
	}
	if used != len(feeders) || used != len(Bounds()) {
		t.Fatalf("%d of %d bounds are fed, by %d feeders", used, len(Bounds()), len(feeders))
	}
}

// flood sends n messages to an actor that does not handle any.
func flood(t *testing.T, n int, full Full, send func(Ref[any], any) error, held func(*cell) int) (most int) {
	rt := run(t)
	busy, let := make(chan struct{}), make(chan struct{})
	s := spec("a", func(ctx actor.Context) {
		if ctx.Message() == "hold" {
			close(busy)
			<-let
		}
	})
	s.Mailbox.Full = full
	r := root(t, rt, s)
	_ = r.Send("hold")
	within(t, "hold", busy)
	for i := range n {
		if err := send(r, i); err != nil && !errors.Is(err, ErrMailboxFull) {
			t.Error(fmt.Errorf("message %d: %w", i, err))
			break
		}
		if i%1000 == 0 || i == n-1 {
			most = max(most, held(r.c))
		}
	}
	close(let)
	return most
}

// A stream has two actors, and there are many streams: these are sizes that Go allocates without loss.
func TestAnActorIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(cell{}); n > 288 {
		t.Errorf("a cell has %d bytes", n)
	}
	if n := unsafe.Sizeof(extras{}); n > 96 {
		t.Errorf("extras have %d bytes", n)
	}
}
