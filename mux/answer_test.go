package mux_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/testkit/muxtest"
)

// TestOutputWaitsForAHandlersAnswerAMillisecondAtMost, and not at all for one that takes the data
// and has nothing to say: the remote's Close waits for the agreement on the protocol, which came in
// one record with data for the handler. Time stands still unless somebody waits for it.
func TestOutputWaitsForAHandlersAnswerAMillisecondAtMost(t *testing.T) {
	for _, c := range []struct {
		name string
		take func(let <-chan struct{})
		want time.Duration
	}{
		{"it says nothing", func(<-chan struct{}) {}, 0},
		{"it is stuck", func(let <-chan struct{}) { <-let }, time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := muxtest.NewWorld(t, raw, muxtest.Setup{})
				let := make(chan struct{})
				w.B.Handle("/silent", muxtest.ActorHandler(func(*stream.Stream) actor.Actor {
					return muxtest.ActorFunc(func(ctx actor.Context) {
						if _, ok := ctx.Message().(*stream.Data); ok {
							c.take(let)
						}
					})
				}))
				before := time.Now()
				s := w.A.Open("/silent")
				if _, err := s.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if d := time.Since(before); d != c.want {
					t.Errorf("the answer took %v, want %v", d, c.want)
				}
				close(let)
				w.End()
			})
		})
	}
}
