package actors

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// world is a small tree in which anything may happen, and a ledger of what has been promised:
// every question is answered once, every parcel is received or discarded once, every watcher is
// told once, every incarnation that started is stopped or replaced, and all come to an end.
type world struct {
	t  testing.TB
	rt *Runtime
	h  *virtual // nil: live

	mu        sync.Mutex
	refs      []Ref[any]
	parcels   []*parcel
	questions []*atomic.Int32
	ends      []*atomic.Int32
	up, down  int // incarnations that were told Started, and later Restarting or Stopped
}

// member is an actor of the world: it does what its messages say.
type member struct {
	w       *world
	traits  byte
	started bool
	held    []Reply[int]
}

func (m *member) Receive(ctx actor.Context) {
	w := m.w
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		w.mu.Lock()
		w.up++
		w.mu.Unlock()
		m.started = true
		if m.traits&1 != 0 {
			NewTimer(ctx, "tick").After(time.Millisecond)
		}
		if m.traits&2 != 0 {
			_, _ = Spawn[any](ctx, Spec{Name: "born", New: func() actor.Actor { return &member{w: w} }})
		}
	case *actor.Stopping, *actor.Restarting:
		if _, ok := msg.(*actor.Restarting); ok {
			m.gone()
		}
		if m.traits&4 != 0 {
			panic("in Stopping or Restarting")
		}
		_, _ = Spawn[any](ctx, Spec{New: func() actor.Actor { w.t.Error("born too late"); return &member{w: w} }})
	case *actor.Stopped:
		m.gone()
		if m.traits&8 != 0 {
			panic("in Stopped")
		}
	case *actor.Terminated:
		if m.traits&16 != 0 {
			panic("in Terminated")
		}
	case *parcel:
		msg.receive(ctx)
	case Reply[int]:
		if m.traits&32 != 0 {
			m.held = append(m.held, msg)
			return
		}
		msg.Answer(1)
	}
}

func (m *member) gone() {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	if m.started {
		m.started = false
		m.w.down++
	}
}

func (w *world) parcel(f func(ctx actor.Context)) *parcel {
	p := &parcel{f: f}
	w.mu.Lock()
	w.parcels = append(w.parcels, p)
	w.mu.Unlock()
	return p
}

func (w *world) pick(b byte) Ref[any] {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refs[int(b)%len(w.refs)]
}

func (w *world) add(r Ref[any], err error) {
	if err != nil {
		return
	}
	w.mu.Lock()
	w.refs = append(w.refs, r)
	w.mu.Unlock()
}

func (w *world) reply(to Ref[any]) Reply[int] {
	n := new(atomic.Int32)
	w.mu.Lock()
	w.questions = append(w.questions, n)
	w.mu.Unlock()
	return NewReply(to, func(int, error) { n.Add(1) })
}

func (w *world) spec(a, b byte) Spec {
	s := Spec{
		Restart: Restart(a % 3), Inline: a&4 != 0, StopOrdered: a&8 != 0, StopTimeout: time.Millisecond,
		Mailbox:  Mailbox{Data: 1 + int(b%8), Full: Full(a / 16 % 4)},
		Children: Strategy{Scope: Scope(b & 1), Exceeded: Exceeded(b / 2 % 3), Intensity: int(b/8%4) - 1, Backoff: 1, MaxBackoff: time.Millisecond, ParkFor: time.Millisecond},
		New:      func() actor.Actor { return &member{w: w, traits: a ^ b} },
	}
	if b&64 != 0 {
		s.Name = fmt.Sprint("n", b%4) // names collide and are used again
	}
	return s
}

// step plays one operation of three bytes.
func (w *world) step(op, a, b byte) {
	r := w.pick(a)
	switch op % 20 {
	case 0, 1, 2:
		s := w.spec(a, b)
		_ = r.Send(w.parcel(func(ctx actor.Context) {
			k, err := Spawn[any](ctx, s)
			w.add(k, err)
			if err == nil && b&128 != 0 {
				_ = k.Send(w.parcel(nil))
				k.Stop()
			}
		}))
	case 3:
		_ = r.Send(w.parcel(nil))
	case 4:
		_ = r.Control(w.parcel(nil))
	case 5:
		_ = r.Offer(w.parcel(nil))
	case 6:
		_ = r.Send(w.parcel(func(actor.Context) { panic("boom") }))
	case 7:
		_ = r.Offer(w.parcel(func(actor.Context) { panic("boom") }))
	case 8:
		r.Stop()
	case 9:
		r.StopAfter()
	case 10:
		w.rt.sys.Root.Stop(r.PID())
	case 11:
		w.rt.sys.Root.Poison(r.PID())
	case 12:
		w.rt.Kill(r.Path(), "fuzz")
	case 13:
		rep := w.reply(r)
		if err := r.Send(rep); err != nil {
			rep.Fail(err)
		}
	case 14:
		rep := w.reply(r)
		to := w.pick(b)
		_ = r.Send(w.parcel(func(actor.Context) { MoveTo(rep, to); _ = to.Send(rep) }))
	case 15:
		n := new(atomic.Int32)
		w.mu.Lock()
		w.ends = append(w.ends, n)
		w.mu.Unlock()
		OnEnd(r, func(error) { n.Add(1) })
	case 16:
		_ = r.Send(w.parcel(func(ctx actor.Context) {
			result := w.parcel(func(actor.Context) {
				if b&1 != 0 {
					panic("on a task's result")
				}
			})
			StartTask(ctx, "t", func(ctx context.Context) any {
				if b&2 != 0 && w.h == nil {
					<-ctx.Done()
				}
				if b&4 != 0 {
					result.Discard(nil)
					panic("in a task")
				}
				return result
			}, nil)
		}))
	case 17:
		_ = r.Send(w.parcel(func(ctx actor.Context) {
			props := actor.PropsFromProducer(func() actor.Actor { return &member{w: w, traits: b} })
			if pid, err := ctx.SpawnNamed(props, fmt.Sprint("f", b%4)); err == nil {
				w.add(Ref[any]{c: w.rt.find(pid.Id)}, nil)
			}
		}))
	case 18:
		other := w.pick(b)
		_ = r.Send(w.parcel(func(ctx actor.Context) { ctx.Watch(other.PID()) }))
	case 19:
		if w.h != nil {
			w.h.pass(time.Duration(a) * time.Microsecond)
		}
		w.rt.Tree("")
	}
	if w.h != nil && b&32 != 0 {
		w.h.settle()
	}
}

// end closes the world and checks the ledger.
func (w *world) end() {
	t := w.t
	if w.h != nil {
		for _, r := range w.rt.Tree("").Roots {
			w.rt.find(r.Path).stopNow()
		}
		w.h.pass(time.Minute)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if s := w.rt.Close(ctx); len(s) > 0 {
		t.Fatalf("did not end: %v\n%+v", s, w.rt.Tree(""))
	}
	if w.h != nil {
		w.h.pass(time.Minute)
	}
	for i, p := range w.parcels {
		if err := p.fate(); err != nil {
			t.Errorf("parcel %d of %d: %v", i, len(w.parcels), err)
		}
	}
	for i, n := range w.questions {
		if n.Load() != 1 {
			t.Errorf("question %d of %d was answered %d times", i, len(w.questions), n.Load())
		}
	}
	for i, n := range w.ends {
		if n.Load() != 1 {
			t.Errorf("end %d of %d was told %d times", i, len(w.ends), n.Load())
		}
	}
	for _, r := range w.refs {
		if p := r.c.at(); p != Ended {
			t.Errorf("%s is %v", r.Path(), p)
		}
		x, rare := r.c.x, r.c.seldom()
		if r.c.inv != nil || x.asks != nil || x.tasks != nil || x.timers != nil || x.watch != nil || rare.delayed != nil || x.kids.len() > 0 || r.c.data.n+r.c.control.n > 0 {
			t.Errorf("the dead %s holds on to something: %+v", r.Path(), x)
		}
	}
	if w.up != w.down {
		t.Errorf("%d incarnations were started, %d told of their end", w.up, w.down)
	}
	if watched(w.rt) > 0 || len(w.rt.orphans)+len(w.rt.abandoned)+len(w.rt.strays)+len(w.rt.roots) > 0 {
		t.Error("the runtime holds on to somebody")
	}
}

func newWorld(t testing.TB, virtually bool) *world {
	w := &world{t: t}
	if virtually {
		w.h = &virtual{ns: int64(time.Hour), single: true}
		w.rt = newRuntime(w.h, true, Options{})
	} else {
		w.rt = Live(Options{StuckAfter: 10 * patience})
	}
	r, err := Root[any](w.rt, Spec{Name: "root", New: func() actor.Actor { return &member{w: w} }})
	if err != nil {
		t.Fatal(err)
	}
	w.add(r, nil)
	return w
}

// FuzzLife plays sequences of operations, three bytes each, one after another in virtual time.
func FuzzLife(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(randomOps(seed, 60))
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		w := newWorld(t, true)
		for len(ops) >= 3 && len(w.parcels) < 500 {
			w.step(ops[0], ops[1], ops[2])
			ops = ops[3:]
		}
		w.end()
	})
}

func randomOps(seed uint64, n int) []byte {
	rnd := rand.New(rand.NewPCG(seed, 11))
	ops := make([]byte, 3*n)
	for i := range ops {
		ops[i] = byte(rnd.Uint32())
	}
	return ops
}

// The same from four goroutines at once in real time, for the race detector.
func TestLifeInAStorm(t *testing.T) {
	rounds := uint64(40)
	if testing.Short() {
		rounds = 5
	}
	for seed := range rounds {
		w := newWorld(t, false)
		var wg sync.WaitGroup
		for g := range uint64(4) {
			wg.Go(func() {
				for ops := randomOps(4*seed+g, 200); len(ops) >= 3; ops = ops[3:] {
					w.step(ops[0], ops[1], ops[2])
				}
			})
		}
		wg.Wait()
		w.end()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
