package actors

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// What docs/kit.md states is measured here, beside stock proto.actor and a goroutine with a
// channel in the same run:
//
//	go test -run '^$' -bench . -benchmem -count 5 ./actors

type echo struct{ back chan struct{} }

func (e *echo) Receive(ctx actor.Context) {
	if _, ok := ctx.Message().(*int); ok {
		useStack(needed)
		e.back <- struct{}{}
	}
}

// BenchmarkWake is one message to an idle receiver and the answer through a channel.
func BenchmarkWake(b *testing.B) {
	for _, c := range wakers() {
		b.Run(c.name, func(b *testing.B) {
			round, stop := c.start()
			defer stop()
			b.ReportAllocs()
			for b.Loop() {
				round()
			}
		})
	}
}

// BenchmarkWakeInTurns is the same in turns of 500 round trips each, so that whatever else the
// machine does falls on all of them alike. It reports medians, and the ratio to the goroutine.
func BenchmarkWakeInTurns(b *testing.B) { inTurns(b) }

// BenchmarkWakeDeep is the same for a receiver that needs 8 KiB of stack, as one does that decrypts
// and parses. Stock proto.actor starts a goroutine with a small stack for every wake-up.
func BenchmarkWakeDeep(b *testing.B) {
	needed = 8 << 10
	defer func() { needed = 0 }()
	inTurns(b)
}

var needed int // stack that the receivers use

//go:noinline
func useStack(n int) byte {
	if n <= 0 {
		return 0
	}
	var b [1 << 10]byte
	b[n%len(b)] = 1
	return useStack(n-len(b)) + b[n%7]
}

func inTurns(b *testing.B) {
	all := wakers()
	took := make([][]float64, len(all))
	rounds := make([]func(), len(all))
	for i, c := range all {
		var stop func()
		rounds[i], stop = c.start()
		defer stop()
	}
	const each = 500
	for b.Loop() {
		for i, round := range rounds {
			start := time.Now()
			for range each {
				round()
			}
			took[i] = append(took[i], float64(time.Since(start).Nanoseconds())/each)
		}
	}
	median := func(i int) float64 {
		slices.Sort(took[i])
		return took[i][len(took[i])/2]
	}
	for i, c := range all {
		b.ReportMetric(median(i), c.name+"-ns")
		b.ReportMetric(median(i)/median(len(all)-1), c.name+"-ratio")
	}
	b.ReportMetric(0, "ns/op")
}

type waker struct {
	name  string
	start func() (round, stop func())
}

func wakers() []waker {
	m := new(int)
	kit := func(inline bool) func() (round, stop func()) {
		return func() (round, stop func()) {
			back := make(chan struct{}, 1)
			rt := Live(Options{})
			r, _ := Root[any](rt, Spec{Name: "a", Inline: inline, New: func() actor.Actor { return &echo{back} }})
			send := r.Send
			if inline {
				send = r.Offer
			}
			return func() { _ = send(m); <-back }, func() { rt.Close(context.Background()) }
		}
	}
	return []waker{
		{"kit", kit(false)},
		{"kit-inline", kit(true)},
		{"stock", func() (round, stop func()) {
			back := make(chan struct{}, 1)
			sys := stock()
			pid := sys.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return &echo{back} }))
			return func() { sys.Root.Send(pid, m); <-back }, func() { _ = sys.Root.StopFuture(pid).Wait() }
		}},
		{"goroutine", func() (round, stop func()) {
			in, back := make(chan *int, 16), make(chan struct{}, 1)
			go func() {
				for range in {
					useStack(needed)
					back <- struct{}{}
				}
			}()
			return func() { in <- m; <-back }, func() { close(in) }
		}},
	}
}

func stock() *actor.ActorSystem {
	rt := Live(Options{}) // for its silent logger
	rt.Close(context.Background())
	return actor.NewActorSystem(actor.WithLoggerFactory(rt.sys.Config.LoggerFactory))
}

// BenchmarkThroughput is one sender with at most 512 messages under way.
func BenchmarkThroughput(b *testing.B) {
	m := new(int)
	flow := func(b *testing.B, senders int, credit chan struct{}, send func()) {
		b.ReportAllocs()
		var n atomic.Int64
		var wg sync.WaitGroup
		b.ResetTimer()
		for range senders {
			wg.Go(func() {
				for n.Add(1) <= int64(b.N) {
					credit <- struct{}{}
					send()
				}
			})
		}
		wg.Wait()
		for range cap(credit) {
			credit <- struct{}{}
		}
	}
	for _, senders := range []int{1, 8} {
		name := map[int]string{1: "1", 8: "8"}[senders]
		b.Run("kit/"+name, func(b *testing.B) {
			credit := make(chan struct{}, 512)
			rt := Live(Options{})
			r, _ := Root[any](rt, spec("a", func(ctx actor.Context) {
				if _, ok := ctx.Message().(*int); ok {
					<-credit
				}
			}))
			flow(b, senders, credit, func() { _ = r.Send(m) })
			rt.Close(context.Background())
		})
		b.Run("stock/"+name, func(b *testing.B) {
			credit := make(chan struct{}, 512)
			sys := stock()
			pid := sys.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
				if _, ok := ctx.Message().(*int); ok {
					<-credit
				}
			}))
			flow(b, senders, credit, func() { sys.Root.Send(pid, m) })
			_ = sys.Root.StopFuture(pid).Wait()
		})
		b.Run("goroutine/"+name, func(b *testing.B) {
			credit := make(chan struct{}, 512)
			in := make(chan *int, 512)
			go func() {
				for range in {
					<-credit
				}
			}()
			flow(b, senders, credit, func() { in <- m })
			close(in)
		})
	}
}

// BenchmarkSpawnStop spawns a child, stops it and waits for its end, one after another.
func BenchmarkSpawnStop(b *testing.B) {
	b.Run("kit", func(b *testing.B) {
		rt := Live(Options{})
		step, ended := make(chan struct{}), make(chan struct{}, 1)
		idle := spec("c", func(actor.Context) {})
		idle.Restart = Temporary
		r, _ := Root[any](rt, spec("p", func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *int:
				c, err := Spawn[any](ctx, idle)
				if err != nil {
					b.Error(err)
				}
				c.Stop()
			case *actor.Terminated:
				ended <- struct{}{}
			}
		}))
		close(step)
		m := new(int)
		b.ReportAllocs()
		for b.Loop() {
			_ = r.Send(m)
			<-ended
		}
		rt.Close(context.Background())
	})
	b.Run("stock", func(b *testing.B) {
		sys := stock()
		ended := make(chan struct{}, 1)
		props := actor.PropsFromFunc(func(actor.Context) {})
		pid := sys.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
			switch ctx.Message().(type) {
			case *int:
				ctx.Stop(ctx.Spawn(props))
			case *actor.Terminated:
				ended <- struct{}{}
			}
		}))
		m := new(int)
		b.ReportAllocs()
		for b.Loop() {
			sys.Root.Send(pid, m)
			<-ended
		}
		_ = sys.Root.StopFuture(pid).Wait()
	})
	b.Run("goroutine", func(b *testing.B) {
		ended := make(chan struct{}, 1)
		b.ReportAllocs()
		for b.Loop() {
			in := make(chan *int, 16)
			go func() {
				for range in {
				}
				ended <- struct{}{}
			}()
			close(in)
			<-ended
		}
	})
}

// BenchmarkIdleMemory reports what one of 100,000 idle actors costs: 1,000 parents with 100
// children each.
func BenchmarkIdleMemory(b *testing.B) {
	const parents, each = 1000, 100
	report := func(b *testing.B, start func() (stop func())) {
		for b.Loop() {
			before, goros := memory(), runtime.NumGoroutine()
			stop := start()
			after := memory()
			n := float64(parents * (each + 1))
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heapB/actor")
			b.ReportMetric(float64(int64(after.StackInuse)-int64(before.StackInuse))/n, "stackB/actor")
			b.ReportMetric(float64(after.HeapObjects-before.HeapObjects)/n, "objects/actor")
			b.ReportMetric(float64(runtime.NumGoroutine()-goros), "goroutines")
			b.ReportMetric(0, "ns/op")
			stop()
		}
	}
	type idle struct{ actor.Actor }
	b.Run("kit", func(b *testing.B) {
		report(b, func() func() {
			rt := Live(Options{})
			var up sync.WaitGroup
			up.Add(parents * each)
			child := Spec{Kind: "stream", Restart: Temporary, New: func() actor.Actor {
				up.Done()
				return &idle{fn(func(actor.Context) {})}
			}}
			for range parents {
				_, _ = Root[any](rt, Spec{Kind: "session", New: func() actor.Actor {
					return fn(func(ctx actor.Context) {
						if _, ok := ctx.Message().(*actor.Started); !ok {
							return
						}
						for range each {
							if _, err := Spawn[any](ctx, child); err != nil {
								b.Error(err)
							}
						}
					})
				}})
			}
			up.Wait()
			return func() { rt.Close(context.Background()) }
		})
	})
	b.Run("stock", func(b *testing.B) {
		report(b, func() func() {
			sys := stock()
			var up sync.WaitGroup
			up.Add(parents * each)
			child := actor.PropsFromFunc(func(ctx actor.Context) {
				if _, ok := ctx.Message().(*actor.Started); ok {
					up.Done()
				}
			})
			var pids []*actor.PID
			for range parents {
				pids = append(pids, sys.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
					if _, ok := ctx.Message().(*actor.Started); ok {
						for range each {
							ctx.Spawn(child)
						}
					}
				})))
			}
			up.Wait()
			return func() {
				for _, p := range pids {
					_ = sys.Root.StopFuture(p).Wait()
				}
			}
		})
	})
	b.Run("goroutine", func(b *testing.B) {
		report(b, func() func() {
			stop := make(chan struct{})
			ins := make([]chan *int, parents*(each+1))
			var up, down sync.WaitGroup
			up.Add(len(ins))
			for i := range ins {
				in := make(chan *int, 16)
				ins[i] = in
				down.Go(func() {
					up.Done()
					select {
					case <-in:
					case <-stop:
					}
				})
			}
			up.Wait()
			return func() { close(stop); down.Wait() }
		})
	})
}

// memory is what is in use once nothing changes any more: turns under way have ended.
func memory() (m runtime.MemStats) {
	for range 5 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m
}

// BenchmarkAsk is a question from outside of the actor world.
func BenchmarkAsk(b *testing.B) {
	rt := Live(Options{})
	r, _ := Root[any](rt, spec("a", func(ctx actor.Context) {
		if rep, ok := ctx.Message().(Reply[int]); ok {
			rep.Answer(1)
		}
	}))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Ask(context.Background(), r, func(rep Reply[int]) any { return rep }); err != nil {
			b.Fatal(err)
		}
	}
	rt.Close(context.Background())
}

// BenchmarkRestart is a panic and the next incarnation's first message.
func BenchmarkRestart(b *testing.B) {
	rt := Live(Options{})
	back := make(chan struct{}, 1)
	r, _ := Root[any](rt, Spec{Name: "p", Children: Strategy{Intensity: 1 << 20, Window: time.Nanosecond}, New: func() actor.Actor {
		return fn(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); !ok {
				return
			}
			_, _ = Spawn[any](ctx, spec("c", func(ctx actor.Context) {
				switch m := ctx.Message().(type) {
				case *actor.Started:
					back <- struct{}{}
				case *int:
					panic(m)
				}
			}))
		})
	}})
	_ = r
	<-back
	c := Ref[any]{c: rt.find("p/c")}
	m := new(int)
	b.ReportAllocs()
	for b.Loop() {
		_ = c.Send(m)
		<-back
	}
	rt.Close(context.Background())
}

// BenchmarkTree is a snapshot of 10,000 actors.
func BenchmarkTree(b *testing.B) {
	rt := Live(Options{})
	var up sync.WaitGroup
	up.Add(10_000)
	for range 100 {
		_, _ = Root[any](rt, spec("", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); !ok {
				return
			}
			for range 100 {
				_, _ = Spawn[any](ctx, spec("", func(ctx actor.Context) {
					if _, ok := ctx.Message().(*actor.Started); ok {
						up.Done()
					}
				}))
			}
		}))
	}
	up.Wait()
	b.ReportAllocs()
	for b.Loop() {
		rt.Tree("")
	}
	rt.Close(context.Background())
}
