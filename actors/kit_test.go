package actors

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// patience is how long a test waits for what must happen. Nothing waits that long unless it
// fails.
const patience = 20 * time.Second

// TestMain fails the package when a goroutine of the kit outlives the tests.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		var left []string
		if !eventually(func() bool { left = leftGoroutines(); return len(left) == 0 }) {
			fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", strings.Join(left, "\n\n"))
			code = 1
		}
	}
	os.Exit(code)
}

// leftGoroutines are the goroutines that the kit or its tests have started.
func leftGoroutines() (left []string) {
	for _, s := range allStacks() { // order-free: only shown to people
		if strings.Contains(s, "created by github.com/troupe-p2p/troupe/actors") {
			left = append(left, s)
		}
	}
	return left
}

// eventually polls for a state that announces itself by no event, such as a goroutine's exit.
func eventually(ok func() bool) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if ok() {
			return true
		}
		runtime.Gosched()
	}
	return ok()
}

// run makes a runtime that must be empty at the end of the test. No actor is taken for stuck.
func run(t testing.TB) *Runtime { return runStuck(t, 10*patience) }

// runStuck makes one that abandons actors which are stuck for d.
func runStuck(t testing.TB, d time.Duration) *Runtime {
	t.Helper()
	rt := Live(Options{StuckAfter: d})
	t.Cleanup(func() { closeClean(t, rt) })
	return rt
}

func closeClean(t testing.TB, rt *Runtime) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if s := rt.Close(ctx); len(s) > 0 {
		t.Errorf("left behind: %v", s)
	}
}

type fn func(ctx actor.Context)

func (f fn) Receive(ctx actor.Context) { f(ctx) }

func spec(name string, f func(ctx actor.Context)) Spec {
	return Spec{Name: name, New: func() actor.Actor { return fn(f) }}
}

func temporary(name string, f func(ctx actor.Context)) Spec {
	s := spec(name, f)
	s.Restart = Temporary
	return s
}

func root(t testing.TB, rt *Runtime, s Spec) Ref[any] {
	t.Helper()
	r, err := Root[any](rt, s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// do is a message of the parent below: it runs in the parent's turn.
type do func(ctx actor.Context)

// parent makes a root that does as it is told and keeps quiet else.
func parent(t testing.TB, rt *Runtime, s Spec, also func(ctx actor.Context)) Ref[any] {
	t.Helper()
	s.New = func() actor.Actor {
		return fn(func(ctx actor.Context) {
			if f, ok := ctx.Message().(do); ok {
				f(ctx)
			} else if also != nil {
				also(ctx)
			}
		})
	}
	return root(t, rt, s)
}

// in runs f in r's turn and waits for it.
func in(t testing.TB, r Ref[any], f func(ctx actor.Context)) {
	t.Helper()
	done := make(chan struct{})
	if err := r.Send(do(func(ctx actor.Context) { defer close(done); f(ctx) })); err != nil {
		t.Fatal(err)
	}
	within(t, "the turn of "+r.Path(), done)
}

func child(t testing.TB, r Ref[any], s Spec) (k Ref[any]) {
	t.Helper()
	in(t, r, func(ctx actor.Context) {
		var err error
		if k, err = Spawn[any](ctx, s); err != nil {
			t.Error(err)
		}
	})
	return k
}

func within[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("did not happen: %s", what)
		panic("unreachable")
	}
}

// atRest waits until r has nothing to do.
func atRest(t testing.TB, r Ref[any]) {
	t.Helper()
	if !eventually(func() bool {
		r.c.mu.Lock()
		defer r.c.mu.Unlock()
		return r.c.run == runIdle
	}) {
		t.Fatalf("%s does not come to rest", r.Path())
	}
}

func want[T comparable](t testing.TB, what string, ch <-chan T, values ...T) {
	t.Helper()
	for _, v := range values {
		if got := within(t, what, ch); got != v {
			t.Fatalf("%s: got %v, want %v", what, got, v)
		}
	}
}

// trace takes notes from several goroutines.
type trace struct {
	mu    sync.Mutex
	lines []string
}

func (l *trace) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

func (l *trace) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, " ")
}

// life notes lifecycle messages and strings.
func (l *trace) life(name string, ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started, *actor.Stopping, *actor.Stopped, *actor.Restarting:
		l.add("%s:%s", name, strings.TrimPrefix(fmt.Sprintf("%T", m), "*actor."))
	case *actor.Terminated:
		l.add("%s:Terminated(%s)", name, m.Who.Id[strings.LastIndexByte(m.Who.Id, '/')+1:])
	case string:
		l.add("%s:%s", name, m)
	}
}

// parcel is a Discarder that knows what became of it.
type parcel struct {
	mu        sync.Mutex
	received  int
	finished  int
	discarded []error
	f         func(ctx actor.Context) // what its receiver does with it
	gone      chan error              // if set, gets what Discard gets
}

func (p *parcel) Discard(why error) {
	p.mu.Lock()
	p.discarded = append(p.discarded, why)
	p.mu.Unlock()
	if p.gone != nil {
		p.gone <- why
	}
}

func (p *parcel) Finish() {
	p.mu.Lock()
	p.finished++
	p.mu.Unlock()
}

func (p *parcel) receive(ctx actor.Context) {
	p.mu.Lock()
	p.received++
	p.mu.Unlock()
	if p.f != nil {
		p.f(ctx)
	}
}

// fate checks that p was received and finished, or else discarded, and exactly once.
func (p *parcel) fate() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.received == 1 && p.finished == 1 && len(p.discarded) == 0:
	case p.received <= 1 && p.finished == 0 && len(p.discarded) == 1:
	default:
		return fmt.Errorf("received %d times, finished %d times, discarded with %v", p.received, p.finished, p.discarded)
	}
	return nil
}

// events collects what the runtime tells.
func events(rt *Runtime, kinds ...EventKind) <-chan Event {
	ch := make(chan Event, 4096)
	rt.OnEvent(func(e Event) {
		for _, k := range kinds {
			if e.Kind == k {
				ch <- e
			}
		}
	})
	return ch
}

func (q *sysQueue) len() (n int) {
	q.each(func(any) { n++ })
	return n
}

// watched is how many actors the reaper looks at, for whatever reason.
func watched(rt *Runtime) (n int) {
	r := &rt.reaper
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, in := range []*waits{&r.stops, &r.turns, &r.graces} {
		for w := in.first; w != nil; w = w.next {
			n++
		}
	}
	return n
}
