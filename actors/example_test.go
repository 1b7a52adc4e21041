package actors_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/troupe-p2p/troupe/actors"

	"github.com/asynkron/protoactor-go/actor"
)

// Counting is the closed set of messages that a counter understands.
type Counting interface{ counting() }

type (
	Add   struct{ N int }
	Total struct{ Reply actors.Reply[int] }
)

func (*Add) counting()   {}
func (*Total) counting() {}

// Discard gives the right to an answer back when nobody will read the question.
func (m *Total) Discard(why error) { m.Reply.Fail(why) }

type counter struct{ n int }

func (c *counter) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *Add:
		if m.N < 0 {
			panic("this counter only grows")
		}
		c.n += m.N
	case *Total:
		m.Reply.Answer(c.n)
	}
}

func Example() {
	rt := actors.Live(actors.Options{})
	defer rt.Close(context.Background())
	ref, err := actors.Root[Counting](rt, actors.Spec{
		Name: "counter",
		New:  func() actor.Actor { return &counter{} },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = ref.Send(&Add{2})
	_ = ref.Send(&Add{3})
	n, err := actors.Ask(context.Background(), ref, func(r actors.Reply[int]) Counting { return &Total{r} })
	fmt.Println(n, err)
	// Output: 5 <nil>
}

// A panic costs the state of one actor. What waits for it is handled by the next incarnation.
func ExampleStrategy() {
	rt := actors.Live(actors.Options{})
	defer rt.Close(context.Background())
	ref, _ := actors.Root[Counting](rt, actors.Spec{Name: "counter", New: func() actor.Actor { return &counter{} }})
	_ = ref.Send(&Add{2})
	_, err := actors.Ask(context.Background(), ref, func(r actors.Reply[int]) Counting {
		_ = ref.Send(&Add{-1})
		return &Total{r}
	})
	var bug *actors.PanicError
	fmt.Println(errors.As(err, &bug), bug.Value)
	n, err := actors.Ask(context.Background(), ref, func(r actors.Reply[int]) Counting { return &Total{r} })
	fmt.Println(n, err)
	// Output:
	// true this counter only grows
	// 0 <nil>
}

// receive makes an actor of a function.
type receive func(actor.Context)

func (f receive) Receive(ctx actor.Context) { f(ctx) }

func named(name string, f func(actor.Context)) actors.Spec {
	return actors.Spec{Name: name, New: func() actor.Actor { return receive(f) }}
}

// A supervisor starts its children in order; rest_for_one restarts those that came after a child
// that failed. Slots let them know each other before any of them runs.
func ExampleSupervisor() {
	rt := actors.Live(actors.Options{})
	defer rt.Close(context.Background())
	var consumer actors.Slot
	lines := make(chan string, 4)
	_, _ = actors.Root[any](rt, actors.Supervisor("pipeline", actors.Strategy{Scope: actors.RestForOne}, func() []actors.Spec {
		c := named("consumer", func(ctx actor.Context) {
			if s, ok := ctx.Message().(string); ok {
				lines <- "consumer got " + s
			}
		})
		c.Slot = &consumer
		p := named("producer", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				_ = actors.SlotRef[any](&consumer).Send("something")
			}
		})
		return []actors.Spec{c, p}
	}))
	fmt.Println(<-lines)
	rt.Kill("pipeline/consumer", "to show what happens")
	fmt.Println(<-lines) // the producer was restarted with it
	// Output:
	// consumer got something
	// consumer got something
}

// Blocking work runs in a task; its result is a message, and it is cancelled with its owner.
func ExampleStartTask() {
	rt := actors.Live(actors.Options{})
	defer rt.Close(context.Background())
	done := make(chan any, 1)
	_, _ = actors.Root[any](rt, named("dialer", func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *actor.Started:
			actors.StartTask(ctx, "dial",
				func(context.Context) any { return "connected" },
				func(e *actors.PanicError) any { return e })
		case string:
			done <- m
		}
	}))
	fmt.Println(<-done)
	// Output: connected
}

// A timer is a message. Moving it costs nothing, so that it may be moved with every packet.
func ExampleTimer() {
	rt := actors.Live(actors.Options{})
	defer rt.Close(context.Background())
	type idle struct{}
	done := make(chan struct{})
	_, _ = actors.Root[any](rt, actors.Spec{Name: "conn", New: func() actor.Actor {
		var timer *actors.Timer
		return receive(func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Started:
				timer = actors.NewTimer(ctx, idle{})
				timer.After(time.Hour)
				timer.After(time.Millisecond)
			case idle:
				close(done)
			}
		})
	}})
	<-done
	fmt.Println("idle")
	// Output: idle
}

// OnEnd tells goroutines outside of the actor world that an actor is gone.
func ExampleOnEnd() {
	rt := actors.Live(actors.Options{})
	defer rt.Close(context.Background())
	ref, _ := actors.Root[any](rt, named("a", func(actor.Context) {}))
	gone := make(chan error, 1)
	actors.OnEnd(ref, func(err error) { gone <- err })
	ref.Stop()
	fmt.Println(<-gone)
	// Output: actors: the actor has ended
}

// The parent of a child learns how it ended and releases what the child had.
func ExampleChildEnd() {
	rt := actors.Live(actors.Options{})
	defer rt.Close(context.Background())
	budget := actors.NewBudget("streams", 1)
	lines := make(chan string, 2)
	_, _ = actors.Root[any](rt, actors.Spec{Name: "session", New: func() actor.Actor {
		var h *actors.Holder
		return receive(func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *actor.Started:
				h = budget.Holder("session")
				h.Take(1)
				lines <- h.Why().Error()
				k, _ := actors.Spawn[any](ctx, actors.Spec{Name: "stream", Restart: actors.Temporary, New: func() actor.Actor {
					return receive(func(ctx actor.Context) {
						if ctx.Message() == "hostile byte" {
							panic("a bug")
						}
					})
				}})
				_ = k.Send("hostile byte")
			case *actor.Terminated:
				end, _ := actors.ChildEnd(ctx)
				h.Close()
				used, _ := budget.Used()
				lines <- fmt.Sprintf("%s: %v; %d in use", end.Path, end.Err, used)
			}
		})
	}})
	fmt.Println(<-lines)
	fmt.Println(<-lines)
	// Output:
	// limit streams: 1 of 1 in use, most by session (1)
	// session/stream: panic in session/stream on string: a bug; 0 in use
}

// A hub never waits for its subscribers: a slow one is told how much it has lost.
func ExampleHub() {
	var hub actors.Hub[int]
	feed := hub.Subscribe(context.Background(), 2)
	for i := range 5 {
		hub.Emit(i)
	}
	hub.Close(io.EOF)
	for {
		v, lost, err := feed.Next(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(v, "after", lost, "lost")
	}
	// Output:
	// 3 after 3 lost
	// 4 after 0 lost
	// EOF
}

// The tree shows what lives, what died and why.
func ExampleRuntime_Tree() {
	rt := actors.Live(actors.Options{})
	defer rt.Close(context.Background())
	up := make(chan struct{})
	_, _ = actors.Root[any](rt, named("node", func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Started); !ok {
			return
		}
		actors.Publish(ctx, "peer", "12D3Koo")
		k, _ := actors.Spawn[any](ctx, named("listener", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				close(up)
			}
		}))
		_ = k
	}))
	<-up
	n := rt.Tree("").Roots[0]
	fmt.Println(n.Path, n.Info[0].Key, n.Info[0].Value)
	fmt.Println(n.Children[0].Path, n.Children[0].Kind, n.Children[0].Restarts)
	// Output:
	// node peer 12D3Koo
	// node/listener listener 0
}

// A pipe is where an actor leaves bytes for a goroutine that reads them.
func ExampleRuntime_NewPipe() {
	rt := actors.Live(actors.Options{})
	defer rt.Close(context.Background())
	pipe := rt.NewPipe(func(n int) actors.Chunk { return &chunk{} }, 1, func(n int) { fmt.Println(n, "bytes of window again") })
	pipe.Put([]byte("hello"))
	pipe.End(io.EOF)
	b, err := io.ReadAll(pipe)
	fmt.Println(string(b), err)
	// Output:
	// 5 bytes of window again
	// hello <nil>
}

// chunk would come from a pool.
type chunk struct{ b []byte }

func (c *chunk) Bytes() []byte       { return c.b }
func (c *chunk) Append(p []byte) int { c.b = append(c.b, p...); return len(p) }
func (c *chunk) Release()            {}

// A crossing lets a goroutine wait for an actor's answer without allocating: a blocking Write.
func ExampleRuntime_NewCrossing() {
	rt := actors.Live(actors.Options{})
	defer rt.Close(context.Background())
	x := rt.NewCrossing()
	writer, _ := actors.Root[any](rt, named("session", func(ctx actor.Context) {
		if p, ok := ctx.Message().([]byte); ok {
			x.Done(len(p), nil)
		}
	}))
	x.Begin()
	defer x.End()
	_ = writer.Send([]byte("hello"))
	n, err, late := x.Wait()
	fmt.Println(n, err, late)
	// Output: 5 <nil> false
}

// A pump is a goroutine of an adapter: what it reads goes to an actor, and a panic in it too.
func ExampleRuntime_Pump() {
	rt := actors.Live(actors.Options{})
	defer rt.Close(context.Background())
	got := make(chan any, 1)
	owner, _ := actors.Root[any](rt, named("conn", func(ctx actor.Context) {
		if e, ok := ctx.Message().(*actors.PanicError); ok {
			got <- e.Value
		}
	}))
	rt.Pump("reader", func() { panic("a byte that the parser does not like") },
		func(e *actors.PanicError) { _ = owner.Control(e) })
	fmt.Println(<-got)
	// Output: a byte that the parser does not like
}
