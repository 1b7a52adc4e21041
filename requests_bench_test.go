package troupe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	troupe "github.com/troupe-p2p/troupe"
)

// answerer sends back what it got once the peer has ended.
type answerer struct{ body []byte }

func (h *answerer) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *troupe.StreamData:
		h.body = append(h.body, m.B...)
	case *troupe.StreamRemoteClosed:
		m.Stream.WriteCopy(h.body)
		m.Stream.Close()
	}
}

// BenchmarkRequestsOverTCP opens a stream for each request of 100 bytes and reads the answer to its
// end: both nodes, with Noise, in one process.
func BenchmarkRequestsOverTCP(b *testing.B) {
	for _, flight := range []int{1, 32} {
		b.Run(fmt.Sprint(flight, "-in-flight"), func(b *testing.B) {
			server := benchNode(b, troupe.Config{Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
			if err := server.Handle(asked, troupe.ActorHandler(func() actor.Actor { return &answerer{} })); err != nil {
				b.Fatal(err)
			}
			client := benchNode(b, troupe.Config{})
			ctx := context.Background()
			if _, err := client.DialAddr(ctx, server.ListenAddrs()[0].String()+"/p2p/"+server.ID().String()); err != nil {
				b.Fatal(err)
			}
			body := bytes.Repeat([]byte("q"), 100)
			b.SetParallelism((flight + 1) / 2)
			b.ReportAllocs()
			b.ResetTimer()
			one := func() error {
				s, err := client.Open(ctx, server.ID(), asked)
				if err != nil {
					return err
				}
				if _, err := s.Write(body); err != nil {
					return err
				}
				if err := s.CloseWrite(); err != nil {
					return err
				}
				got := make([]byte, len(body)+1)
				if n, err := io.ReadFull(s, got); n != len(body) || !errors.Is(err, io.ErrUnexpectedEOF) {
					return fmt.Errorf("%d bytes: %w", n, err)
				}
				return s.Close()
			}
			if flight == 1 {
				for b.Loop() {
					if err := one(); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := one(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func benchNode(b *testing.B, c troupe.Config) *troupe.System {
	b.Helper()
	n, err := troupe.New(c)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = n.Close(context.Background()) })
	return n
}
