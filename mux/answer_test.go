package mux_test

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/mux"
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
		most time.Duration
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
				if d := time.Since(before); d > c.most { // another turn may come first
					t.Errorf("the answer took %v, more than %v", d, c.most)
				}
				close(let)
				w.End()
			})
		})
	}
}

// TestWhatAStuckHandlerHadWrittenArrives: a handler's writes wait for the end of its turn, and a turn
// may last.
func TestWhatAStuckHandlerHadWrittenArrives(t *testing.T) {
	for name, first := range map[string]int{"little": 0, "little behind much": 64 << 10} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := muxtest.NewWorld(t, raw, muxtest.Setup{})
				let := make(chan struct{})
				w.B.Handle("/stuck", muxtest.ActorHandler(func(*stream.Stream) actor.Actor {
					return muxtest.ActorFunc(func(ctx actor.Context) {
						if m, ok := ctx.Message().(*stream.Data); ok {
							if first > 0 {
								m.Stream.WriteCopy(make([]byte, first))
							}
							m.Stream.WriteCopy([]byte("last"))
							<-let
						}
					})
				}))
				before := time.Now()
				s := w.A.Open("/stuck")
				if _, err := s.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, first+4)
				if _, err := io.ReadFull(s, got); err != nil || string(got[first:]) != "last" {
					t.Fatalf("%q, %v", got[first:], err)
				}
				if d := time.Since(before); d > time.Millisecond {
					t.Errorf("it took %v", d)
				}
				close(let)
				w.End()
			})
		})
	}
}

// TestNobodyWaitsForAHandlerThatTakesLongOverTheEnd: it was given the end after a turn that had taken
// long already, so that the connection does not keep anything back for it any more.
func TestNobodyWaitsForAHandlerThatTakesLongOverTheEnd(t *testing.T) {
	for _, holds := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := muxtest.NewWorld(t, raw, muxtest.Setup{})
			let := make(chan struct{})
			handle := make(chan *stream.Stream, 1)
			w.B.Handle("/slow", muxtest.ActorHandler(func(*stream.Stream) actor.Actor {
				return muxtest.ActorFunc(func(ctx actor.Context) {
					switch m := ctx.Message().(type) {
					case *stream.Data:
						if holds {
							m.Hold()
							defer time.AfterFunc(time.Millisecond, m.Release)
						}
						<-time.After(10 * time.Millisecond)
					case *stream.RemoteClosed:
						m.Stream.WriteCopy([]byte("end"))
						handle <- m.Stream
						<-let
					}
				})
			}))
			before := time.Now()
			s := w.A.Open("/slow")
			if _, err := s.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := s.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			_ = s.SetReadDeadline(before.Add(time.Minute))
			got := make([]byte, 3)
			if _, err := io.ReadFull(s, got); err != nil || string(got) != "end" {
				t.Fatalf("%q, %v", got, err)
			}
			if d := time.Since(before); d > 12*time.Millisecond {
				t.Errorf("holds %v: its answer took %v", holds, d)
			}
			(<-handle).Reset(7)
			var r *mux.ResetError
			if _, err := s.Read(got); !errors.As(err, &r) || r.Code != 7 {
				t.Errorf("holds %v: after a reset from elsewhere: %v", holds, err)
			}
			if d := time.Since(before); d > 12*time.Millisecond {
				t.Errorf("holds %v: the reset took %v", holds, d)
			}
			close(let)
			w.End()
		})
	}
}

// TestAHandlersSpecIsMadeOutsideOfTheConnectionsTurn: a user's function that makes it may take long, or
// exit; other streams of the connection go on.
func TestAHandlersSpecIsMadeOutsideOfTheConnectionsTurn(t *testing.T) {
	for name, odd := range map[string]func(let <-chan struct{}){
		"it takes long": func(let <-chan struct{}) { <-let },
		"it exits":      func(<-chan struct{}) { runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			w := muxtest.NewWorld(t, raw, muxtest.Setup{})
			w.Wanted = func(e *actors.PanicError) bool { return strings.Contains(e.Error(), "Goexit") }
			let, called := make(chan struct{}), make(chan struct{})
			w.B.Handle("/odd", stream.Handler{Actor: func(*stream.Stream) actors.Spec {
				close(called)
				odd(let)
				return actors.Spec{New: func() actor.Actor { return muxtest.ActorFunc(func(actor.Context) {}) }}
			}})
			w.B.Handle("/echo", muxtest.EchoByActor)
			s := w.A.Open("/odd")
			if _, err := s.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			muxtest.Within(t, "it is called", called)
			w.Exchange(w.A.Open("/echo"), 1, 1000, 1000)
			close(let)
			_ = s.Reset(1)
		})
	}
}
