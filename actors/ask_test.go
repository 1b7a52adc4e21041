package actors

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func answering(t *testing.T, rt *Runtime, f func(Reply[int])) Ref[any] {
	return root(t, rt, spec("", func(ctx actor.Context) {
		if r, ok := ctx.Message().(Reply[int]); ok {
			f(r)
		}
	}))
}

func TestAnAskIsAnsweredWhateverHappens(t *testing.T) {
	cause := errors.New("the test's own reason")
	for name, c := range map[string]struct {
		f    func(Reply[int])
		then func(rt *Runtime, r Ref[any], cancel func())
		want func(v int, err error) bool
	}{
		"an answer": {
			f:    func(r Reply[int]) { r.Answer(7); r.Answer(8); r.Fail(cause) },
			want: func(v int, err error) bool { return v == 7 && err == nil },
		},
		"an error": {
			f:    func(r Reply[int]) { r.Fail(cause); r.Answer(7) },
			want: func(v int, err error) bool { return v == 0 && err == cause },
		},
		"its actor fails": {
			f: func(Reply[int]) { panic("boom") },
			want: func(_ int, err error) bool {
				var pe *PanicError
				return errors.As(err, &pe) && pe.Value == "boom"
			},
		},
		"its actor stops": {
			f:    func(Reply[int]) {},
			then: func(_ *Runtime, r Ref[any], _ func()) { r.Stop() },
			want: func(_ int, err error) bool { return errors.Is(err, ErrStopped) },
		},
		"its actor fails later": {
			f:    func(Reply[int]) {},
			then: func(rt *Runtime, r Ref[any], _ func()) { rt.Kill(r.Path(), "test") },
			want: func(_ int, err error) bool { var inj *Injected; return errors.As(err, &inj) },
		},
		"it is given up": {
			f:    func(Reply[int]) {},
			then: func(_ *Runtime, _ Ref[any], cancel func()) { cancel() },
			want: func(_ int, err error) bool { return errors.Is(err, cause) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			rt := run(t)
			seen := make(chan struct{}, 1)
			r := answering(t, rt, func(r Reply[int]) { defer func() { seen <- struct{}{} }(); c.f(r) })
			ctx, cancel := context.WithCancelCause(t.Context())
			if c.then != nil {
				go func() { <-seen; c.then(rt, r, func() { cancel(cause) }) }()
			}
			v, err := Ask(ctx, r, func(rep Reply[int]) any { return rep })
			if !c.want(v, err) {
				t.Fatal(v, err)
			}
			cancel(nil)
			if !eventually(func() bool {
				r.c.mu.Lock()
				defer r.c.mu.Unlock()
				return r.c.x == nil || r.c.x.asks == nil
			}) {
				t.Fatal("an answered question is kept in memory")
			}
		})
	}
}

func TestWhoIsAskedHearsThatNobodyWaitsAnyMore(t *testing.T) {
	rt := run(t)
	asked, gone := make(chan Reply[int], 1), make(chan string, 10)
	r := answering(t, rt, func(r Reply[int]) {
		r.OnGivenUp(func() { gone <- "replaced" })
		r.OnGivenUp(func() { gone <- "hook" })
		asked <- r
	})
	ask := func() (Reply[int], context.CancelFunc, chan error) {
		ctx, cancel := context.WithCancel(t.Context())
		end := make(chan error, 1)
		go func() {
			_, err := Ask(ctx, r, func(rep Reply[int]) any { return rep })
			end <- err
		}()
		return within(t, "the question", asked), cancel, end
	}

	rep, cancel, end := ask()
	cancel()
	if err := within(t, "it is given up", end); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if got := within(t, "the hook", gone); got != "hook" || !rep.Gone() {
		t.Fatalf("called %q", got)
	}
	rep.OnGivenUp(func() { gone <- "at once" })
	if got := within(t, "a hook that comes too late", gone); got != "at once" {
		t.Fatalf("called %q", got)
	}

	rep, cancel, end = ask()
	rep.Answer(1)
	if err := within(t, "the answer", end); err != nil {
		t.Fatal(err)
	}
	cancel()
	rep.OnGivenUp(func() { gone <- "after an answer" })

	_, cancel, end = ask()
	r.Stop()
	if err := within(t, "the end of who was asked", end); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	cancel()
	Reply[int]{}.OnGivenUp(func() { gone <- "nobody" })
	select {
	case got := <-gone:
		t.Fatalf("called %q though nobody gave up", got)
	default:
	}
}

func TestAskingNobody(t *testing.T) {
	rt := run(t)
	var nobody Ref[any]
	if _, err := Ask(t.Context(), nobody, func(r Reply[int]) any { t.Error("asked"); return r }); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	r := answering(t, rt, func(r Reply[int]) {})
	r.Stop()
	within(t, "end", r.Done())
	if _, err := AskControl(t.Context(), r, func(r Reply[int]) any { t.Error("asked"); return r }); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	var none Reply[int]
	none.Answer(1)
	none.Fail(nil)
	MoveTo(none, r)
	if !none.IsZero() || !none.Gone() {
		t.Fatal("the zero Reply waits")
	}
	OnEnd(nobody, func(err error) {
		if !errors.Is(err, ErrStopped) {
			t.Error(err)
		}
	})()
}

func TestAMovedQuestionIsTheNewOwnersOnly(t *testing.T) {
	rt := run(t)
	second := answering(t, rt, func(Reply[int]) {})
	moved := make(chan struct{})
	first := answering(t, rt, func(r Reply[int]) {
		MoveTo(r, second)
		_ = second.Send(r)
		close(moved)
	})
	answer := make(chan error, 1)
	go func() {
		_, err := Ask(t.Context(), first, func(r Reply[int]) any { return r })
		answer <- err
	}()
	within(t, "move", moved)
	first.Stop()
	within(t, "end", first.Done())
	rt.Kill(second.Path(), "test")
	var inj *Injected
	if err := within(t, "answer", answer); !errors.As(err, &inj) {
		t.Fatalf("answered by the first owner's end: %v", err)
	}
	dead := answering(t, rt, func(Reply[int]) {})
	dead.Stop()
	within(t, "end", dead.Done())
	to := answering(t, rt, func(r Reply[int]) { MoveTo(r, dead) })
	if _, err := Ask(t.Context(), to, func(r Reply[int]) any { return r }); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	to = answering(t, rt, func(r Reply[int]) { MoveTo(r, Ref[any]{}) })
	if _, err := Ask(t.Context(), to, func(r Reply[int]) any { return r }); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
}

// Answers, moves, cancels, failures and ends of many questions at once, in every order that the
// scheduler finds: each is answered once, and no owner keeps one.
func TestQuestionsInAStorm(t *testing.T) {
	rt := run(t)
	s := Strategy{Intensity: 1 << 30, Backoff: 1, MaxBackoff: 1}
	p := parent(t, rt, Spec{Name: "p", Children: s}, nil)
	var owners []Ref[any]
	for range 4 {
		owners = append(owners, child(t, p, spec("", func(ctx actor.Context) {
			if r, ok := ctx.Message().(Reply[int]); ok {
				r.Answer(1)
			}
		})))
	}
	const n = 4000
	var answered [n]atomic.Int32
	var all sync.WaitGroup
	all.Add(n)
	replies := make(chan Reply[int], n)
	var work sync.WaitGroup
	for w := range 4 {
		work.Go(func() {
			for i := w; i < n; i += 4 {
				r := NewReply(owners[i%3], func(int, error) {
					if answered[i].Add(1) == 1 {
						all.Done()
					}
				})
				_ = owners[i%3].Send(r)
				replies <- r
			}
		})
		work.Go(func() {
			for i := range n / 4 {
				r := <-replies
				switch i % 4 {
				case 0:
					MoveTo(r, owners[(i+1)%4])
				case 1:
					go r.Fail(ErrClosed)
					MoveTo(r, owners[i%4])
				case 2:
					go MoveTo(r, owners[i%4])
					MoveTo(r, owners[(i+w)%4])
					_ = owners[w].Send(r)
				}
				if i%50 == 0 {
					rt.Kill(owners[i/50%4].Path(), "storm")
				}
			}
		})
	}
	work.Wait()
	p.Stop() // whoever was not answered is answered by the end
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	within(t, "all answers", done)
	for i := range answered {
		if answered[i].Load() != 1 {
			t.Fatalf("question %d was answered %d times", i, answered[i].Load())
		}
	}
	within(t, "end", p.Done())
	for _, o := range owners {
		if o.c.x.asks != nil {
			t.Fatal("a dead actor keeps questions")
		}
	}
}

func TestOnEndIsCalledOnceUnlessCancelled(t *testing.T) {
	for name, end := range map[string]func(rt *Runtime, r Ref[any]){
		"failure": func(rt *Runtime, r Ref[any]) { rt.Kill(r.Path(), "test") },
		"stop":    func(_ *Runtime, r Ref[any]) { r.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			rt, h := standStill(t)
			r := root(t, rt, spec("a", func(actor.Context) {}))
			h.settle()
			n, cancelled := 0, 0
			OnEnd(r, func(error) { n++ })
			cancel := OnEnd(r, func(error) { cancelled++ })
			cancel()
			cancel()
			end(rt, r)
			h.settle()
			r.Stop()
			h.settle()
			if n != 1 || cancelled != 0 {
				t.Fatalf("called %d times, the cancelled one %d", n, cancelled)
			}
		})
	}
}

func TestAnAnswerFromATaskComesThrough(t *testing.T) {
	rt := run(t)
	r := root(t, rt, spec("a", func(ctx actor.Context) {
		if r, ok := ctx.Message().(Reply[int]); ok {
			StartTask(ctx, "t", func(context.Context) any { r.Answer(3); return nil }, nil)
		}
	}))
	ctx, cancel := context.WithTimeout(t.Context(), patience*time.Duration(1))
	defer cancel()
	if v, err := Ask(ctx, r, func(r Reply[int]) any { return r }); v != 3 || err != nil {
		t.Fatal(v, err)
	}
}
