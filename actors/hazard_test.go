package actors

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Each test here and in the hazard files beside it is about something that stock proto.actor does
// and that would make a network node unsafe. docs/kit.md lists them.

func TestSendingToANameThatIsBeingSpawnedNeitherPanicsNorLosesTheActor(t *testing.T) {
	rt := run(t)
	pid := func() *actor.PID { return actor.NewPID(rt.sys.ProcessRegistry.Address, "n") }
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !stop.Load() {
				rt.sys.Root.Send(pid(), "by name")
			}
		})
	}
	for range 200 {
		r := root(t, rt, spec("n", func(ctx actor.Context) {
			if rep, ok := ctx.Message().(Reply[string]); ok {
				rep.Answer("alive")
			}
		}))
		if v, err := AskControl(t.Context(), r, func(rep Reply[string]) any { return rep }); v != "alive" {
			t.Fatal(v, err)
		}
		r.Stop()
		within(t, "end", r.Done())
	}
	stop.Store(true)
	wg.Wait()
}

func TestAStopByNameBeforeTheFirstTurnStartsAPermanentActorOnlyOnce(t *testing.T) {
	rt, h := standStill(t)
	starts := 0
	var k Ref[any]
	p := parent(t, rt, spec("p", nil), nil)
	_ = p.Send(do(func(ctx actor.Context) {
		k, _ = Spawn[any](ctx, spec("k", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				starts++
			}
		}))
		k.c.mu.Lock()
		k.c.sys = sysQueue{}
		k.c.sys.push(stopMessage) // as if it had come before Started
		k.c.sys.push(startedMessage)
		k.c.mu.Unlock()
	}))
	h.pass(time.Second)
	if starts != 1 || !k.c.is(Alive) {
		t.Fatalf("started %d times, %v", starts, Phase(k.c.phase.Load()))
	}
}

func TestAFullMailboxRefusesAtOnceEvenFromTheActorItself(t *testing.T) {
	rt := run(t)
	let, full := make(chan struct{}), make(chan error, 1)
	s := spec("a", func(ctx actor.Context) {
		switch ctx.Message() {
		case "fill":
			self := Self[any](ctx)
			var err error
			for range 9 {
				err = self.Send("x")
			}
			full <- err // stock's bounded mailbox spins here for ever, and no Stop can end it
			<-let
		}
	})
	s.Mailbox.Data = 8
	r := root(t, rt, s)
	_ = r.Send("fill")
	if err := within(t, "refusal", full); !errors.Is(err, ErrMailboxFull) {
		t.Fatal(err)
	}
	if err := r.Send("y"); !errors.Is(err, ErrMailboxFull) {
		t.Fatal(err)
	}
	if err := r.Control("control has a lane of its own"); err != nil {
		t.Fatal(err)
	}
	close(let)
	r.Stop()
	within(t, "end", r.Done())
}

func TestAMailboxThatDroppedComesToRest(t *testing.T) {
	rt, h := standStill(t) // settle returns only when no actor has anything to do
	n := 0
	s := spec("a", func(ctx actor.Context) {
		if _, ok := ctx.Message().(string); ok {
			n++
		}
	})
	s.Mailbox = Mailbox{Data: 4, Full: Drop}
	r := root(t, rt, s)
	for range 10 {
		if err := r.Send("x"); err != nil {
			t.Fatal(err)
		}
	}
	h.settle()
	if node := rt.Tree("").Roots[0]; n != 4 || node.Refused != 6 || node.Queued != 0 {
		t.Fatalf("handled %d: %+v", n, node)
	}
}

// S1, S2: stock loses 3,991 of 4,000 stops here, because the message that panics after Stopping
// turns the stop into a restart.
func TestAStopIsNotLostWhenAnActorWithChildrenPanicsOnAQueuedMessage(t *testing.T) {
	rt := run(t)
	tries := 2000
	if testing.Short() {
		tries = 200
	}
	for range tries {
		r := parent(t, rt, Spec{Name: "p"}, func(ctx actor.Context) {
			if ctx.Message() == "boom" {
				panic("boom")
			}
		})
		in(t, r, func(ctx actor.Context) {
			for range 3 {
				_, _ = Spawn[any](ctx, spec("", func(actor.Context) {}))
			}
			_ = Self[any](ctx).Send("boom")
			Self[any](ctx).Stop()
			_ = Self[any](ctx).Send("boom")
		})
		_ = r.Send("boom")
		within(t, "end", r.Done())
	}
}

func TestNothingButStoppedReachesAnActorAfterStopping(t *testing.T) {
	rt := run(t)
	var l trace
	r := parent(t, rt, spec("p", nil), func(ctx actor.Context) { l.life("p", ctx) })
	_ = child(t, r, spec("k", func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Stopping); ok {
			// The parent waits for this child: S1 delivers to it now.
			ctx.Send(r.PID(), "late")
		}
	}))
	r.Stop()
	within(t, "end", r.Done())
	if got, want := l.String(), "p:Started p:Stopping p:Stopped"; got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

// S3.
func TestASiblingThatIsStoppingIsNotBroughtBackByAGroupRestart(t *testing.T) {
	rt, h := standStill(t)
	var l trace
	s := spec("p", nil)
	s.Children.Scope = RestForOne
	r := parent(t, rt, s, nil)
	var first, second Ref[any]
	_ = r.Send(do(func(ctx actor.Context) {
		first, _ = Spawn[any](ctx, spec("a", func(ctx actor.Context) {
			if ctx.Message() == "boom" {
				panic("boom")
			}
		}))
		second, _ = Spawn[any](ctx, spec("b", func(ctx actor.Context) { l.life("b", ctx) }))
	}))
	h.settle()
	second.Stop()
	_ = first.Send("boom")
	h.pass(time.Minute)
	if got, want := l.String(), "b:Started b:Stopping b:Stopped"; got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

// S8, S9: stock lets all of them vanish.
func TestWhatIsQueuedAtAStopOrSentLaterIsDiscardedAndItsSenderAnswered(t *testing.T) {
	rt := run(t)
	busy, let := make(chan struct{}), make(chan struct{})
	r := root(t, rt, spec("a", func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case string:
			close(busy)
			<-let
		case *parcel:
			m.receive(ctx)
		}
	}))
	_ = r.Send("hold")
	within(t, "busy", busy)
	var queued []*parcel
	for i := range 100 {
		p := &parcel{}
		queued = append(queued, p)
		if err := [...]func(any) error{r.Send, r.Control, r.Offer}[i%3](p); err != nil {
			t.Fatal(err)
		}
	}
	request := rt.sys.Root.RequestFuture(r.PID(), "of stock proto.actor", patience)
	r.Stop()
	close(let)
	within(t, "end", r.Done())
	late := &parcel{}
	if err := r.Send(late); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	for _, p := range append(queued, late) {
		if err := p.fate(); err != nil || p.received > 0 || !errors.Is(p.discarded[0], ErrStopped) {
			t.Fatal(err, p.received, p.discarded)
		}
	}
	if _, err := request.Result(); !errors.Is(err, actor.ErrDeadLetter) {
		t.Fatalf("the requester waited for its timeout: %v", err)
	}
}
