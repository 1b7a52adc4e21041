package mux_test

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/testkit/muxtest"
)

// piece is what each stream of these tests is sent: four of them are what a connection may hold
// that has nothing of the node's memory.
const piece = 64 << 10

// shelf is a world whose B has handlers that read when they are told to.
type shelf struct {
	*muxtest.World
	t     *testing.T
	sent  []*stream.Blocking // A's ends
	read  []chan int         // what each of B's handlers is to read
	ended chan error         // what the handlers see at the end
}

func newShelf(t *testing.T, set muxtest.Setup) *shelf {
	w := &shelf{World: muxtest.NewWorld(t, raw, set), t: t, ended: make(chan error, 100)}
	run := func(begin func(*stream.Blocking)) stream.Handler {
		return muxtest.RunHandler(func(c ctx, s *stream.Blocking) {
			begin(s)
			more := make(chan int)
			w.read = append(w.read, more) // one handler begins at a time
			over := c.Done()
			for {
				select {
				case n := <-more:
					if _, err := io.ReadFull(s, make([]byte, n)); err != nil {
						w.ended <- err
						return
					}
				case <-over:
					if _, err := s.Read(nil); err != nil {
						w.ended <- err
						return
					}
					over = nil // closed in order: there may be more to read
				case <-t.Context().Done():
					return
				}
			}
		})
	}
	w.B.Handle("/run", run(func(*stream.Blocking) {}))
	w.B.Handle("/shut", run(func(s *stream.Blocking) { _ = s.CloseWrite() }))
	w.B.Handle("/actor", muxtest.ActorHandler(func(*stream.Stream) actor.Actor {
		var held *stream.Data
		return muxtest.ActorFunc(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *stream.Data:
				m.Hold()
				held = m
			case *stream.Ended:
				held.Release()
				w.ended <- m.Err
			}
		})
	}))
	return w
}

// send opens a stream and sends n bytes on it.
func (w *shelf) send(protocol string, n int) *stream.Blocking {
	w.t.Helper()
	s := w.A.Open(protocol)
	if _, err := s.Write(make([]byte, n)); err != nil {
		w.t.Fatal(err)
	}
	w.sent = append(w.sent, s)
	synctest.Wait()
	return s
}

// want compares what is left of the streams, as A sees it, and what B has of its node's memory.
func (w *shelf) want(why string, used int64, alive ...int) {
	w.t.Helper()
	synctest.Wait()
	var left []int
	for i, s := range w.sent {
		if s.Err() == nil {
			left = append(left, i)
			continue
		}
		muxtest.WantReset(w.t, why, s.Err(), mux.CodeResourceLimit, true)
	}
	if got, _ := w.B.Buffers.Used(); got != used || fmt.Sprint(left) != fmt.Sprint(alive) {
		w.t.Fatalf("%s: %d bytes in use and %v alive, want %d and %v", why, got, left, used, alive)
	}
}

// wantLimit demands that n handlers have seen their streams end for the limit.
func (w *shelf) wantLimit(n int) {
	w.t.Helper()
	for range n {
		var reset *mux.ResetError
		var limit *actors.Exhausted
		err := muxtest.Within(w.t, "the handler is told", w.ended)
		if !errors.As(err, &reset) || reset.Remote || reset.Code != mux.CodeResourceLimit ||
			!errors.As(err, &limit) || limit.Limit != "buffers" {
			w.t.Fatalf("the handler sees %v", err)
		}
	}
}

func TestAConnectionHoldsWhatIsFreeAndNoMore(t *testing.T) {
	for _, protocol := range []string{"/run", "/actor"} {
		t.Run(protocol[1:], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newShelf(t, muxtest.Setup{Buffers: -1})
				for range 4 {
					w.send(protocol, piece)
				}
				w.want("so much is free", 0, 0, 1, 2, 3)
				w.send(protocol, piece)
				w.want("those that were unread longest go, and one more, so that it is not each byte's turn", 0, 2, 3, 4)
				w.wantLimit(2)
				for range 5 {
					w.send(protocol, piece)
				}
				w.want("and so on", 0, 6, 7, 8, 9)
				w.wantLimit(4)
			})
		})
	}
}

func TestWhoReadsIsNotTheOneThatGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newShelf(t, muxtest.Setup{Buffers: -1})
		for range 4 {
			w.send("/run", piece)
		}
		w.read[0] <- piece / 2
		synctest.Wait()
		w.send("/run", piece)
		w.want("others have read nothing for longer", 0, 0, 3, 4)
		w.wantLimit(2)
	})
}

func TestWhatIsUnreadTakesTheNodesMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newShelf(t, muxtest.Setup{Buffers: 8 * piece})
		var all []int
		for i := range 12 {
			w.send("/run", piece)
			all = append(all, i)
			w.want("each takes what is not free", max(0, int64(i-3))*piece, all...)
		}
		w.send("/run", 1)
		w.want("all is taken", 8*piece, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
		w.wantLimit(2)
	})
}

// What a window has grown by is a promise. It is taken back when others need the memory, and the
// stream goes on.
func TestPromisesArePaidWithBeforeStreamsAre(t *testing.T) {
	const all = 3 << 20
	w := muxtest.NewWorld(t, raw, muxtest.Setup{Buffers: all, Bulk: true})
	var got atomic.Int64
	w.B.Handle("/sink", muxtest.RunHandler(func(_ ctx, s *stream.Blocking) {
		p := make([]byte, piece)
		for {
			n, err := s.Read(p)
			if got.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	s := w.A.Open("/sink")
	var sent int64
	write := func(times int) {
		for range times {
			n, err := s.Write(make([]byte, piece))
			if sent += int64(n); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.Eventually("the window grows", func() bool {
		write(128)
		used, _ := w.B.Buffers.Used()
		return used >= all/2
	})
	w.Eventually("all is read", func() bool { return got.Load() == sent })
	other := w.B.Buffers.Holder("another connection")
	defer other.Close()
	if n := other.Claim(all, time.Now(), time.Now()); n != all {
		t.Fatalf("another one gets %d", n)
	}
	for range 100 { // what has been granted already is to be used up with care
		write(1)
		w.Eventually("it is read at once", func() bool { return got.Load() == sent })
	}
	write(1000)
	w.Eventually("the stream goes on", func() bool { return got.Load() == sent })
	if n := other.Hold(all); n != all {
		t.Errorf("%d are left to the other one", n)
	}
}

// Whose windows are wide because they are used does not pay for others while somebody's bytes stand
// unread, however much he was promised.
func TestWhoReadsAllTheTimeIsNotTheOneWhoPays(t *testing.T) {
	const all, window, stale = 4 << 20, 2 << 20, 1 << 20
	synctest.Test(t, func(t *testing.T) {
		set := muxtest.Setup{Buffers: all, Bulk: true}
		set.Config.Yamux.InitialWindow, set.Config.Yamux.MaxWindow = window, window
		w := muxtest.NewWorld(t, raw, set)
		w.B.Handle("/sink", muxtest.RunHandler(func(_ ctx, s *stream.Blocking) {
			_, _ = io.Copy(io.Discard, struct{ io.Reader }{s})
		}))
		s := w.A.Open("/sink")
		write := func(n int) {
			t.Helper()
			if _, err := s.Write(make([]byte, n)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		write(window) // which is promised with the first credit
		promised, _ := w.B.Buffers.Used()
		if promised != window-256<<10 {
			t.Fatalf("%d promised", promised)
		}
		others := map[string]*actors.Holder{}
		for _, name := range []string{"stale", "new"} {
			h := w.B.Buffers.Holder(name)
			defer h.Close()
			h.OnLoss(func() {})
			others[name] = h
		}
		have := func() string {
			shares := map[string]int64{}
			for _, s := range w.B.Buffers.Shares() {
				shares[s.Name] = s.Used
			}
			return fmt.Sprint(shares)
		}
		want := func(why string, b, stale, fresh int64) {
			t.Helper()
			synctest.Wait()
			if got, want := have(), fmt.Sprint(map[string]int64{"b": b, "stale": stale, "new": fresh}); got != want {
				t.Fatalf("%s: %s, want %s", why, got, want)
			}
		}
		others["stale"].Claim(stale, time.Now(), time.Now())
		free := all - promised - stale
		muxtest.Elapse(time.Minute)
		write(window)
		others["new"].Claim(free+piece, time.Now(), time.Now())
		want("what is used is not taken", promised, stale-piece, free+piece)
		muxtest.Elapse(time.Minute)
		write(piece)
		others["new"].Claim(free+2*piece, time.Now(), time.Now())
		want("nobody keeps a wide window by a little", promised-piece, stale-piece, free+2*piece)
	})
}

// A stream that is over in order is no stream any more, and yet somebody may have to read the rest.
func TestTheRestOfAStreamThatIsOverIsCounted(t *testing.T) {
	for name, end := range map[string]func(*stream.Blocking){
		"closed":                     func(s *stream.Blocking) { _ = s.CloseWrite() },
		"closed, and reset later on": func(s *stream.Blocking) { _ = s.CloseWrite(); synctest.Wait(); _ = s.Reset(7) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newShelf(t, muxtest.Setup{Buffers: 8 * piece})
				used := func(why string, want int64) {
					t.Helper()
					synctest.Wait()
					if got, _ := w.B.Buffers.Used(); got != want {
						t.Fatalf("%s: %d bytes in use, want %d", why, got, want)
					}
				}
				for range 8 {
					end(w.send("/shut", piece))
				}
				synctest.Wait()
				if n := w.B.Used(); n != 0 {
					t.Fatalf("%d streams are open", n)
				}
				used("what is unread is not forgotten", 4*piece)
				w.read[0] <- piece
				w.read[1] <- piece
				w.read[2] <- piece / 2
				used("what is read is not given back before there is more of it", 4*piece)
				for _, r := range w.read[3:] {
					r <- piece
				}
				used("and this one is not read to its end", 4*piece)
				w.read[2] <- piece / 2
				used("all is read", 0)
				for _, r := range w.read {
					r <- 1
					if err := muxtest.Within(t, "the end", w.ended); err != io.EOF {
						t.Error(err)
					}
				}
			})
		})
	}
}

func TestTheRestOfAStreamThatIsOverGoesLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newShelf(t, muxtest.Setup{Buffers: -1})
		for range 3 {
			_ = w.send("/shut", piece).CloseWrite()
		}
		w.sent = nil // A is through with them
		w.send("/run", piece)
		w.want("as much as is free", 0, 0)
		w.send("/run", piece)
		w.want("streams that are open go first", 0)
		w.wantLimit(2)
		_ = w.send("/shut", piece).CloseWrite()
		w.want("as much as is free", 0, 2)
		w.send("/run", piece)
		w.want("that is not enough any more", 0, 2)
		w.wantLimit(1)
		w.read[0] <- 1
		w.wantLimit(1) // its remote has heard of nothing
		w.read[1] <- piece
		synctest.Wait()
	})
}

func TestTheRestOfAStreamThatIsOverIsNotKeptForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newShelf(t, muxtest.Setup{Buffers: 100 * piece, Config: mux.Config{Linger: time.Minute}})
		w.A.Handle("/answer", muxtest.RunHandler(func(_ ctx, s *stream.Blocking) { _, _ = s.Write(make([]byte, piece)) }))
		for range 8 {
			_ = w.send("/shut", piece).CloseWrite()
		}
		used := func(why string, want int64) {
			t.Helper()
			synctest.Wait()
			if got, _ := w.B.Buffers.Used(); got != want {
				t.Fatalf("%s: %d bytes in use, want %d", why, got, want)
			}
		}
		muxtest.Elapse(time.Minute - 1)
		w.read[0] <- piece / 2
		used("a minute is not over", 4*piece)
		muxtest.Elapse(1)
		w.read[0] <- piece / 2
		used("who reads has a minute more, the others are over", 0)
		for i, r := range w.read {
			r <- 1
			err := muxtest.Within(t, "the end", w.ended)
			if i == 0 && err != io.EOF || i > 0 && !errors.As(err, new(*mux.ResetError)) {
				t.Errorf("handler %d: %v", i, err)
			}
		}

		// What B has opened itself is its own affair.
		var ours []*stream.Blocking
		for range 8 {
			s := w.B.Open("/answer")
			if err := s.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			ours = append(ours, s)
		}
		used("unread", 4*piece)
		muxtest.Elapse(time.Hour)
		used("not counted any more", 0)
		for _, s := range ours {
			if b, err := io.ReadAll(s); err != nil || len(b) != piece {
				t.Fatal(len(b), err)
			}
		}
	})
}
