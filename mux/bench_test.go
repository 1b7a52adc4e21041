package mux_test

import (
	"io"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/stream"
)

// request opens a stream, sends a request of 100 bytes and reads the answer to its end.
func request(b *testing.B, s *side, p []byte) {
	st := s.open("/echo")
	if _, err := st.Write(p); err != nil {
		b.Error(err)
	}
	if err := st.CloseWrite(); err != nil {
		b.Error(err)
	}
	if _, err := io.ReadFull(st, p); err != nil {
		b.Error(err)
	}
	if _, err := st.Read(p); err != io.EOF {
		b.Error(err)
	}
	if err := st.Close(); err != nil {
		b.Error(err)
	}
}

func BenchmarkRequest(b *testing.B) {
	for _, k := range kinds {
		for _, e := range echoes {
			for _, c := range []struct {
				name string
				n    int
			}{{"1", 1}, {"32", 32}} {
				b.Run(k.name+"/"+e.name+"/"+c.name, func(b *testing.B) {
					w := newWorld(b, k, setup{})
					w.b.handle("/echo", e.h)
					b.ReportAllocs()
					b.ResetTimer()
					var next atomic.Int64
					gather(w, c.n, func(int) {
						p := make([]byte, 100)
						for next.Add(1) <= int64(b.N) {
							request(b, w.a, p)
						}
					})
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "streams/s")
				})
			}
		}
	}
}

// BenchmarkRequestActors has actors on both sides: the client is told the answer by messages.
func BenchmarkRequestActors(b *testing.B) {
	w := newWorld(b, raw, setup{})
	w.b.handle("/echo", echoByActor)
	tokens := make(chan struct{}, 32)
	client := actorHandler(func(*stream.Stream) actor.Actor {
		return supervisor(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *stream.Opened:
				m.Stream.WriteCopy(make([]byte, 100))
				m.Stream.CloseWrite()
			case *stream.Ended:
				tokens <- struct{}{}
			}
		})
	})
	for range cap(tokens) {
		tokens <- struct{}{}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		<-tokens
		_ = w.a.session.Send(&messages.OpenStream{
			Protocols: []string{"/echo"}, Handler: client,
			Reply: actors.NewReply(w.a.session, func(_ *stream.Stream, err error) {
				if err != nil {
					b.Error(err)
					tokens <- struct{}{}
				}
			}),
		})
	}
	for range cap(tokens) {
		<-tokens
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "streams/s")
}

func BenchmarkEchoOneByte(b *testing.B) {
	for _, e := range echoes {
		b.Run(e.name, func(b *testing.B) {
			w := newWorld(b, raw, setup{})
			w.b.handle("/echo", e.h)
			s := w.a.open("/echo")
			p := make([]byte, 1)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if _, err := s.Write(p); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Read(p); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			_ = s.Close()
		})
	}
}

func BenchmarkBulk64KiB(b *testing.B) {
	sinks := map[string]stream.Handler{
		"task": runHandler(func(_ ctx, s *stream.Blocking) {
			p := make([]byte, 256<<10)
			for {
				if _, err := s.Read(p); err != nil {
					return
				}
			}
		}),
		"actor": actorHandler(func(*stream.Stream) actor.Actor {
			return supervisor(func(ctx actor.Context) {
				if m, ok := ctx.Message().(*stream.RemoteClosed); ok {
					m.Stream.CloseWrite()
				}
			})
		}),
	}
	for _, k := range kinds {
		for name, h := range sinks {
			b.Run(k.name+"/"+name, func(b *testing.B) {
				set := setup{}
				set.memory.Window = 1 << 20
				w := newWorld(b, k, set)
				w.b.handle("/sink", h)
				s := w.a.open("/sink")
				p := make([]byte, 64<<10)
				b.SetBytes(int64(len(p)))
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					if _, err := s.Write(p); err != nil {
						b.Fatal(err)
					}
				}
				_ = s.CloseWrite()
				if _, err := s.Read(p); err != io.EOF {
					b.Fatal(err)
				}
				b.StopTimer()
				_ = s.Close()
			})
		}
	}
}

// BenchmarkOpenStreams reports what one open stream costs in memory, both ends together.
func BenchmarkOpenStreams(b *testing.B) {
	idle := actorHandler(func(*stream.Stream) actor.Actor { return supervisor(func(actor.Context) {}) })
	wait := runHandler(func(c ctx, s *stream.Blocking) { _, _ = s.Read(make([]byte, 1)) })
	for _, c := range []struct {
		name         string
		dial, listen stream.Handler
	}{{"actors", idle, idle}, {"handle to actor", stream.Handler{}, idle}, {"tasks", wait, wait}} {
		b.Run(c.name, func(b *testing.B) {
			const n = 2000
			for range b.N {
				w := newWorld(b, raw, setup{})
				w.b.handle("/idle", c.listen)
				open := func() {
					if _, err := w.a.ask(messages.OpenStream{Protocols: []string{"/idle"}, Confirm: true, Handler: c.dial}); err != nil {
						b.Fatal(err)
					}
				}
				for range 10 {
					open()
				}
				before := inMemory()
				for range n {
					open()
				}
				b.ReportMetric(float64(inMemory()-before)/n, "B/stream")
				w.once.Do(w.check)
			}
		})
	}
}

// inMemory is heap and stacks in use after a collection.
func inMemory() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
