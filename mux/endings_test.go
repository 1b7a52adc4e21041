package mux_test

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/stream"
)

// ending collects what an actor handler was told, in order.
type ending struct {
	told chan string
	err  chan error
}

func newEnding() *ending {
	return &ending{make(chan string, 100), make(chan error, 1)}
}

func (e *ending) handler() stream.Handler {
	return actorHandler(func(*stream.Stream) actor.Actor { return supervisor(e.receive) })
}

func (e *ending) receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *stream.Opened:
		e.told <- "opened"
	case *stream.Data:
		e.told <- "data " + string(m.B)
	case *stream.RemoteClosed:
		e.told <- "remote closed"
	case *stream.Ended:
		e.told <- "ended"
		e.err <- m.Err
	case *actor.Stopped:
		e.told <- "stopped"
	}
}

func (e *ending) want(t *testing.T, why string, told ...string) {
	t.Helper()
	for _, w := range told {
		if got := within(t, why, e.told); got != w {
			t.Fatalf("%s: told %q, want %q", why, got, w)
		}
	}
}

func wantReset(t *testing.T, who string, err error, code uint32, remote bool) {
	t.Helper()
	var r *mux.ResetError
	if !errors.As(err, &r) || r.Code != code || r.Remote != remote {
		t.Errorf("%s: %v", who, err)
	}
}

func TestResetTakesItsCodeAcross(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{})
		e := newEnding()
		w.b.handle("/actor", e.handler())
		seen := make(chan error, 1)
		w.b.handle("/task", runHandler(func(c ctx, s *stream.Blocking) {
			_, err := s.Read(make([]byte, 1))
			seen <- err
			_, err = s.Read(make([]byte, 1))
			<-c.Done()
			seen <- err
		}))
		w.b.handle("/ours", runHandler(func(_ ctx, s *stream.Blocking) {
			_, _ = s.Read(make([]byte, 1))
			_ = s.Reset(78)
		}))

		s := w.a.open("/actor")
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		e.want(t, "a handler that lives", "opened", "data x")
		_ = s.Reset(77)
		e.want(t, "a reset", "ended", "stopped")
		wantReset(t, "the actor", <-e.err, 77, true)
		_, err := s.Write([]byte("x"))
		if err == nil {
			t.Error("a write after our reset succeeds")
		}
		wantReset(t, "ourselves", s.Close(), 77, false)

		s = w.a.open("/task")
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := within(t, "the task reads", seen); err != nil {
			t.Fatal(err)
		}
		_ = s.Reset(76)
		wantReset(t, "the task", within(t, "the task sees it", seen), 76, true)

		s = w.a.open("/ours")
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		_, err = s.Read(make([]byte, 1))
		wantReset(t, "our Read", err, 78, true)
		_, err = s.Write(make([]byte, 1))
		wantReset(t, "our Write", err, 78, true)
		wantReset(t, "our Close", s.Close(), 78, true)
		if c := context.Cause(s.Context()); !errors.Is(c, err) {
			t.Errorf("the context says %v", c)
		}
	})
}

func TestAResetWakesWhoeverIsBlocked(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{})
		begun := make(chan *stream.Stream, 1)
		w.b.handle("/deaf", actorHandler(func(s *stream.Stream) actor.Actor {
			return supervisor(func(ctx actor.Context) {
				if d, ok := ctx.Message().(*stream.Data); ok {
					d.Hold() // and never reads on
					begun <- s
				}
			})
		}))
		s := w.a.open("/deaf")
		wrote, read := make(chan error, 1), make(chan error, 1)
		w.rt.Pump("writer", func() {
			_, err := s.Write(make([]byte, 8<<20))
			wrote <- err
		}, nil)
		w.rt.Pump("reader", func() {
			_, err := s.Read(make([]byte, 1))
			read <- err
		}, nil)
		far := within(t, "the handler has data", begun)
		far.Reset(5)
		wantReset(t, "the writer", within(t, "the writer wakes", wrote), 5, true)
		wantReset(t, "the reader", within(t, "the reader wakes", read), 5, true)
		far.Handler().Stop()
		releaseHeld(w)
	})
}

// connClosed says whether an error of a stream is the end of its connection. A conduit with streams
// of its own may say so stream by stream.
func connClosed(k kind, err error) bool {
	var r *mux.ResetError
	return errors.Is(err, stream.ErrConnClosed) || k.muxed && errors.As(err, &r) && r.Err != nil
}

// releaseHeld waits for nothing: what a dead handler holds is counted out of the ledger.
func releaseHeld(w *world) { w.live++ }

func TestTheEndOfTheConnectionIsTheEndOfItsStreams(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(w *world)
		aEnds  func(e *messages.ConnEnded) bool // what a's owner is told
		bEnds  func(e *messages.ConnEnded) bool
		remote bool
	}{
		"CloseConn with a code": {
			end:   func(w *world) { w.b.close(99) },
			aEnds: func(e *messages.ConnEnded) bool { return e.Code == 99 && e.Remote },
			bEnds: func(e *messages.ConnEnded) bool { return e.Code == 99 && !e.Remote },
		},
		"CloseConn without": {
			end:   func(w *world) { w.b.close(0) },
			aEnds: func(e *messages.ConnEnded) bool { return e.Code == 0 && e.Remote },
			bEnds: func(e *messages.ConnEnded) bool { return e.Code == 0 && !e.Remote },
		},
		"the conduit breaks": {
			end: func(w *world) {
				if w.kind.muxed {
					_ = w.a.muxed.Close(0, "")
				} else {
					w.a.raw.(interface{ Break(error) }).Break(os.ErrDeadlineExceeded)
				}
			},
			aEnds: func(e *messages.ConnEnded) bool { return e.Code == 0 },
			bEnds: func(e *messages.ConnEnded) bool { return e.Code == 0 },
		},
		"the session fails": {
			end:   func(w *world) { w.rt.Kill("b/conn", "the test says so") },
			aEnds: func(e *messages.ConnEnded) bool { return e.Code == 0 && e.Remote },
			bEnds: func(e *messages.ConnEnded) bool { return e == nil },
		},
		"the session is stopped": {
			end:   func(w *world) { w.b.session.Stop() },
			aEnds: func(e *messages.ConnEnded) bool { return e.Code == 0 && e.Remote },
			bEnds: func(e *messages.ConnEnded) bool { return e == nil },
		},
	} {
		both(t, func(t *testing.T, k kind) {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, k, setup{})
				e := newEnding()
				w.b.handle("/actor", e.handler())
				atB := make(chan error, 2)
				w.b.handle("/task", runHandler(func(_ ctx, s *stream.Blocking) {
					_, _ = s.Read(make([]byte, 1))
					_, err := s.Write(make([]byte, 8<<20))
					atB <- err
				}))
				w.b.handle("/wait", runHandler(func(c ctx, _ *stream.Blocking) {
					<-c.Done()
					atB <- context.Cause(c)
				}))
				calls := map[string]func(s *stream.Blocking) error{
					"a blocked Read": func(s *stream.Blocking) error {
						_, err := s.Read(make([]byte, 1))
						return err
					},
					"a blocked Write": func(s *stream.Blocking) error {
						_, err := s.Write(make([]byte, 8<<20))
						return err
					},
				}
				first := w.a.open("/actor")
				if _, err := first.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				e.want(t, "a handler that lives", "opened", "data x")
				answers := make(chan error, 10)
				for _, call := range calls {
					s := w.a.open("/wait")
					w.rt.Pump("caller", func() { answers <- call(s) }, nil)
				}
				wake := w.a.open("/task")
				if _, err := wake.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				idle := w.a.open("/wait")
				if _, err := idle.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				w.eventually("all handlers run", func() bool { return w.b.count("task") == 4 })
				c.end(w)
				for range calls {
					if err := within(t, "whoever is blocked is told", answers); !connClosed(k, err) {
						t.Error("a blocked call:", err)
					}
				}
				for range 4 {
					if err := within(t, "handlers are told", atB); !connClosed(k, err) {
						t.Error("a handler's call:", err)
					}
				}
				for _, s := range []*stream.Blocking{first, wake, idle} {
					w.within("the stream ends", s.Context().Done())
					if _, err := s.Read(make([]byte, 1)); !connClosed(k, err) {
						t.Error("Read afterwards:", err)
					}
					if _, err := s.Write(make([]byte, 1)); !connClosed(k, err) {
						t.Error("Write afterwards:", err)
					}
					if err := s.Close(); !connClosed(k, err) {
						t.Error("Close afterwards:", err)
					}
				}
				if told := within(t, "the actor is told", e.told); told == "ended" {
					if err := <-e.err; !connClosed(k, err) {
						t.Error("Ended says:", err)
					}
				} else if told != "stopped" {
					t.Error("the actor was told", told)
				}
				w.within("a ends", w.a.gone)
				w.within("b ends", w.b.gone)
				if e := w.a.end(); !c.aEnds(e) {
					t.Errorf("a's owner was told %+v", e)
				}
				if e := w.b.end(); !c.bEnds(e) {
					t.Errorf("b's owner was told %+v", e)
				}
				if _, err := w.a.ask(messages.OpenStream{Protocols: []string{"/actor"}}); err == nil {
					t.Error("a stream was opened on a dead connection")
				}
				if _, err := w.a.probe(); err == nil {
					t.Error("a dead connection answers a probe")
				}
			})
		})
	}
}

func TestWhatTheRemoteEndedInOrderIsReadAfterTheConnectionsEnd(t *testing.T) {
	set := setup{}
	set.memory.Window = 1 << 20 // all of it is under way at the end
	w := newWorld(t, raw, set)
	all := noise(1, 200_000)
	read, got := make(chan struct{}), make(chan []byte, 2)
	w.b.handle("/task", runHandler(func(_ ctx, s *stream.Blocking) {
		<-read
		b, err := io.ReadAll(s)
		if err != nil {
			t.Error("a task reads until the end:", err)
		}
		got <- b
	}))
	var sum []byte
	w.b.handle("/actor", actorHandler(func(*stream.Stream) actor.Actor {
		return supervisor(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *stream.Data:
				sum = append(sum, m.B...)
			case *stream.RemoteClosed:
				got <- sum
			}
		})
	}))
	for _, p := range []string{"/task", "/actor"} {
		s := w.a.open(p)
		if _, err := s.Write(all); err != nil {
			t.Fatal(err)
		}
		_ = s.CloseWrite()
	}
	w.a.close(0) // the remote is gone as soon as its bytes are under way
	w.eventually("b's owner knows of the end", func() bool { return w.b.end() != nil })
	close(read)
	for range 2 {
		if b := within(t, "the handlers have read", got); string(b) != string(all) {
			t.Errorf("%d bytes of %d", len(b), len(all))
		}
	}
}

func TestCloseReadDropsWhatComesAndLetsTheRemoteFinish(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{})
		wrote := make(chan error, 1)
		w.b.handle("/talk", runHandler(func(_ ctx, s *stream.Blocking) {
			_, err := s.Write(make([]byte, 4<<20))
			wrote <- err
		}))
		s := w.a.open("/talk")
		if _, err := s.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		_ = s.CloseRead()
		if err := within(t, "the remote gets rid of its bytes", wrote); err != nil {
			t.Error(err)
		}
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, stream.ErrClosed) {
			t.Error("Read after CloseRead:", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		<-s.Context().Done()
		if err := s.Err(); err != nil {
			t.Error("an orderly end, but:", err)
		}
	})
}

func TestARemoteThatNeverClosesIsNotWaitedForEndlessly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, raw, setup{cfg: mux.Config{Linger: time.Minute}})
		w.b.handle("/hang", runHandler(func(c ctx, _ *stream.Blocking) { <-c.Done() }))
		s := w.a.open("/hang")
		start := time.Now()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		<-s.Context().Done()
		if d := time.Since(start); d < time.Minute || d > 61*time.Second {
			t.Fatalf("ended after %v", d)
		}
	})
}

func TestARemoteGoingAwayLetsStreamsFinish(t *testing.T) {
	w := newWorld(t, raw, setup{bare: true})
	r := newYamuxRemote(w)
	w.b.handle("/echo", echoByActor)
	h := r.open(t)
	h.write(append(propose("/echo"), "one"...))
	h.wantBytes(t, "an echo", agreement("/echo")+"one")
	r.do(func() { r.core.GoAway(time.Now(), 0) }) // the frame follows the last stream
	h.write([]byte("two"))
	h.wantBytes(t, "another", agreement("/echo")+"onetwo")
	h.finish()
	h.wait(t, "the end comes back", func() bool { return h.eof })
	w.within("nothing is left to do, and b ends too", w.b.gone)
	if e := w.b.end(); e == nil || e.Code != 0 || !e.Remote {
		t.Errorf("b's owner was told %+v", e)
	}
}

func TestEveryRequestIsAnsweredWhenTheConnectionEnds(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		set := setup{bare: true}
		set.memory.MaxStreams = 4
		w := newWorld(t, k, set)
		r := newRemote(w)
		r.stop() // nobody answers anything
		answers := make(chan error, 600)
		for range cap(answers) / 2 {
			w.rt.Pump("opener", func() {
				_, err := w.b.ask(messages.OpenStream{Protocols: []string{"/a"}, Confirm: true})
				answers <- err
			}, nil)
			w.rt.Pump("prober", func() {
				_, err := actors.Ask(t.Context(), w.b.session, func(r actors.Reply[time.Duration]) messages.Session {
					return &messages.Probe{Reply: r}
				})
				answers <- err
			}, nil)
		}
		w.eventually("streams are opened", func() bool {
			used, _ := w.b.streams.Used()
			return used >= 4
		})
		w.b.close(3)
		failed := 0
		for range cap(answers) {
			if err := within(t, "an answer", answers); err != nil {
				failed++
			}
		}
		if failed < cap(answers)/2 {
			t.Errorf("only %d failed", failed)
		}
	})
}
