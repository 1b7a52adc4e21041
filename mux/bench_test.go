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
	"github.com/troupe-p2p/troupe/testkit/muxtest"
)

// request opens a stream, sends a request of 100 bytes and reads the answer to its end.
func request(b *testing.B, s *muxtest.Side, p []byte) {
	st := s.Open("/echo")
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
		for _, e := range muxtest.Echoes {
			for _, c := range []struct {
				name string
				n    int
			}{{"1", 1}, {"32", 32}} {
				b.Run(k.Name+"/"+e.Name+"/"+c.name, func(b *testing.B) {
					w := muxtest.NewWorld(b, k, muxtest.Setup{})
					w.B.Handle("/echo", e.Handler)
					b.ReportAllocs()
					b.ResetTimer()
					var next atomic.Int64
					w.Gather(c.n, func(int) {
						p := make([]byte, 100)
						for next.Add(1) <= int64(b.N) {
							request(b, w.A, p)
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
	w := muxtest.NewWorld(b, raw, muxtest.Setup{})
	w.B.Handle("/echo", muxtest.EchoByActor)
	tokens := make(chan struct{}, 32)
	client := muxtest.ActorHandler(func(*stream.Stream) actor.Actor {
		return muxtest.ActorFunc(func(ctx actor.Context) {
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
		_ = w.A.Session.Send(&messages.OpenStream{
			Protocols: []string{"/echo"}, Handler: client,
			Reply: actors.NewReply(w.A.Session, func(_ *stream.Stream, err error) {
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
	for _, e := range muxtest.Echoes {
		b.Run(e.Name, func(b *testing.B) {
			w := muxtest.NewWorld(b, raw, muxtest.Setup{})
			w.B.Handle("/echo", e.Handler)
			s := w.A.Open("/echo")
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
		"task": muxtest.RunHandler(func(_ ctx, s *stream.Blocking) {
			p := make([]byte, 256<<10)
			for {
				if _, err := s.Read(p); err != nil {
					return
				}
			}
		}),
		"actor": muxtest.ActorHandler(func(*stream.Stream) actor.Actor {
			return muxtest.ActorFunc(func(ctx actor.Context) {
				if m, ok := ctx.Message().(*stream.RemoteClosed); ok {
					m.Stream.CloseWrite()
				}
			})
		}),
	}
	for _, k := range kinds {
		for name, h := range sinks {
			b.Run(k.Name+"/"+name, func(b *testing.B) {
				set := muxtest.Setup{}
				set.Link.Window = 1 << 20
				w := muxtest.NewWorld(b, k, set)
				w.B.Handle("/sink", h)
				s := w.A.Open("/sink")
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
	idle := muxtest.ActorHandler(func(*stream.Stream) actor.Actor { return muxtest.ActorFunc(func(actor.Context) {}) })
	wait := muxtest.RunHandler(func(c ctx, s *stream.Blocking) { _, _ = s.Read(make([]byte, 1)) })
	for _, c := range []struct {
		name         string
		dial, listen stream.Handler
	}{{"actors", idle, idle}, {"handle to actor", stream.Handler{}, idle}, {"tasks", wait, wait}} {
		b.Run(c.name, func(b *testing.B) {
			const n = 2000
			for range b.N {
				w := muxtest.NewWorld(b, raw, muxtest.Setup{})
				w.B.Handle("/idle", c.listen)
				open := func() {
					if _, err := w.A.Ask(messages.OpenStream{Protocols: []string{"/idle"}, Confirm: true, Handler: c.dial}); err != nil {
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
				w.End()
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
