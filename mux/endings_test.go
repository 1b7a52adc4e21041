package mux_test

import (
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/testkit/muxtest"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

func TestWhatTheRemoteEndedInOrderIsReadAfterTheConnectionsEnd(t *testing.T) {
	set := muxtest.Setup{}
	set.Link.Window = 1 << 20 // all of it is under way at the end
	w := muxtest.NewWorld(t, raw, set)
	all := muxtest.Noise(1, 200_000)
	read, got := make(chan struct{}), make(chan []byte, 2)
	w.B.Handle("/task", muxtest.RunHandler(func(_ ctx, s *stream.Blocking) {
		<-read
		b, err := io.ReadAll(s)
		if err != nil {
			t.Error("a task reads until the end:", err)
		}
		got <- b
	}))
	var sum []byte
	w.B.Handle("/actor", muxtest.ActorHandler(func(*stream.Stream) actor.Actor {
		return muxtest.ActorFunc(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *stream.Data:
				sum = append(sum, m.B...)
			case *stream.RemoteClosed:
				got <- sum
			}
		})
	}))
	for _, p := range []string{"/task", "/actor"} {
		s := w.A.Open(p)
		if _, err := s.Write(all); err != nil {
			t.Fatal(err)
		}
		_ = s.CloseWrite()
	}
	w.A.Close(0) // the remote is gone as soon as its bytes are under way
	w.Eventually("b's owner knows of the end", func() bool { return w.B.Ended() != nil })
	close(read)
	for range 2 {
		if b := muxtest.Within(t, "the handlers have read", got); string(b) != string(all) {
			t.Errorf("%d bytes of %d", len(b), len(all))
		}
	}
}

// counted is an opener that counts how often it is closed.
type counted struct {
	conduit.Opener
	closed atomic.Int32
}

func (c *counted) Close() { c.closed.Add(1) }

func TestWhatTheChannelHoldsOfAFrameGoesBackWithTheConnection(t *testing.T) {
	end, subject := &counted{}, raw
	subject.Link = func(t testing.TB, rt *actors.Runtime, o muxtest.LinkOptions) (a, b *messages.Link) {
		a, b = muxtest.RawLink(t, rt, o)
		end.Opener = b.Secured.Open
		b.Secured.Open = end
		return a, b
	}
	w := muxtest.NewWorld(t, subject, muxtest.Setup{})
	if _, err := w.A.Probe(); err != nil {
		t.Fatal(err)
	}
	if n := end.closed.Load(); n != 0 {
		t.Fatalf("closed %d times while the connection lives", n)
	}
	w.A.Close(0)
	w.Within("the connection is over", w.B.Gone)
	if n := end.closed.Load(); n != 1 {
		t.Errorf("closed %d times", n)
	}
}

func TestARemoteThatNeverClosesIsNotWaitedForEndlessly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := muxtest.NewWorld(t, raw, muxtest.Setup{Config: mux.Config{Linger: time.Minute}})
		w.B.Handle("/hang", muxtest.RunHandler(func(c ctx, _ *stream.Blocking) { <-c.Done() }))
		s := w.A.Open("/hang")
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
	w := muxtest.NewWorld(t, raw, muxtest.Setup{Bare: true})
	r := newYamuxRemote(w)
	w.B.Handle("/echo", muxtest.EchoByActor)
	h := r.open(t)
	h.write(append(propose("/echo"), "one"...))
	h.wantBytes(t, "an echo", agreement("/echo")+"one")
	r.do(func() { r.core.GoAway(time.Now(), 0) }) // the frame follows the last stream
	h.write([]byte("two"))
	h.wantBytes(t, "another", agreement("/echo")+"onetwo")
	h.finish()
	h.wait(t, "the end comes back", func() bool { return h.eof })
	w.Within("nothing is left to do, and b ends too", w.B.Gone)
	if e := w.B.Ended(); e == nil || e.Code != 0 || !e.Remote {
		t.Errorf("b's owner was told %+v", e)
	}
}

// What is over carries nothing, however long its handlers take to see it.
func TestAConnectionThatIsOverIsNotInUse(t *testing.T) {
	both(t, func(t *testing.T, k muxtest.Subject) {
		synctest.Test(t, func(t *testing.T) {
			w := muxtest.NewWorld(t, k, muxtest.Setup{})
			release := make(chan struct{})
			w.B.Handle("/hang", muxtest.RunHandler(func(ctx, *stream.Blocking) { <-release }))
			if _, err := w.A.Open("/hang").Write([]byte{0}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if !w.A.InUse() || !w.B.InUse() {
				t.Error("the owners have not heard of the stream")
			}
			w.A.Close(0)
			synctest.Wait()
			if w.A.InUse() || w.B.InUse() {
				t.Error("the owners believe that it carries a stream")
			}
			close(release)
		})
	})
}

// Whoever asks in good time has had his stream; who asks behind the end may ask somebody else.
func TestOnlyARequestBehindTheEndIsTooLate(t *testing.T) {
	both(t, func(t *testing.T, k muxtest.Subject) {
		synctest.Test(t, func(t *testing.T) {
			w := muxtest.NewWorld(t, k, muxtest.Setup{})
			w.A.Handle("/busy", muxtest.RunHandler(func(ctx, *stream.Blocking) { <-time.After(time.Second) }))
			if _, err := w.B.Open("/busy").Write([]byte{0}); err != nil {
				t.Fatal(err)
			}
			w.B.OnLookup = func(string) { // the proposal has come, and there is no answer yet
				w.A.Close(3)
				<-time.After(10 * time.Millisecond)
			}
			synctest.Wait()
			_, err := w.A.Ask(messages.OpenStream{Protocols: []string{"/none"}, Confirm: true})
			if !muxtest.ConnClosed(err) || errors.Is(err, mux.ErrTooLate) {
				t.Error("a stream that had begun:", err)
			}
			synctest.Wait()
			_, err = w.A.Ask(messages.OpenStream{Protocols: []string{"/none"}, Confirm: true})
			if !muxtest.ConnClosed(err) || !errors.Is(err, mux.ErrTooLate) {
				t.Error("one that was asked for behind the end:", err)
			}
		})
	})
}

func TestEveryRequestIsAnsweredWhenTheConnectionEnds(t *testing.T) {
	both(t, func(t *testing.T, k muxtest.Subject) {
		set := muxtest.Setup{Bare: true}
		set.Link.MaxStreams = 4
		w := muxtest.NewWorld(t, k, set)
		r := newRemote(w)
		r.stop() // nobody answers anything
		answers := make(chan error, 600)
		for range cap(answers) / 2 {
			w.Runtime.Pump("opener", func() {
				_, err := w.B.Ask(messages.OpenStream{Protocols: []string{"/a"}, Confirm: true})
				answers <- err
			}, nil)
			w.Runtime.Pump("prober", func() {
				_, err := actors.Ask(t.Context(), w.B.Session, func(r actors.Reply[time.Duration]) messages.Session {
					return &messages.Probe{Reply: r}
				})
				answers <- err
			}, nil)
		}
		w.Eventually("streams are opened", func() bool {
			used, _ := w.B.Streams.Used()
			return used >= 4
		})
		w.B.Close(3)
		failed := 0
		for range cap(answers) {
			if err := muxtest.Within(t, "an answer", answers); err != nil {
				failed++
			}
		}
		if failed < cap(answers)/2 {
			t.Errorf("only %d failed", failed)
		}
	})
}
