package mux_test

import (
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/stream"
)

func bothEchoes(t *testing.T, set setup, test func(t *testing.T, w *world)) {
	both(t, func(t *testing.T, k kind) {
		for _, e := range echoes {
			t.Run(e.name, func(t *testing.T) {
				w := newWorld(t, k, set)
				w.b.handle("/echo", e.h)
				test(t, w)
			})
		}
	})
}

func TestWhatIsSentComesBackUnchangedUntilTheEnd(t *testing.T) {
	bothEchoes(t, setup{}, func(t *testing.T, w *world) {
		for i, c := range []struct{ n, size int }{
			{0, 1}, {1, 1}, {100, 7}, {70_000, 1000}, {1 << 20, 4 << 10}, {3<<20 + 1, 64 << 10}, {5 << 20, 1 << 20},
		} {
			exchange(t, w, w.a.open("/echo"), uint64(i), c.n, c.size)
		}
	})
}

func TestSixteenStreamsCarry64MiB(t *testing.T) {
	size := 4 << 20
	if testing.Short() {
		size = 1 << 20
	}
	bothEchoes(t, setup{bulk: true}, func(t *testing.T, w *world) {
		gather(w, 16, func(i int) { exchange(t, w, w.a.open("/echo"), uint64(i), size, 48<<10+i) })
	})
}

func TestBothSidesOpenStreamsAtOnce(t *testing.T) {
	bothEchoes(t, setup{}, func(t *testing.T, w *world) {
		w.a.handle("/echo", echoByActor)
		gather(w, 40, func(i int) {
			s := w.a
			if i%2 == 0 {
				s = w.b
			}
			exchange(t, w, s.open("/echo"), uint64(i), 100_000, 10_000)
		})
	})
}

func TestAThousandStreamsInSequence(t *testing.T) {
	bothEchoes(t, setup{}, func(t *testing.T, w *world) {
		p := make([]byte, 100)
		for i := range 1000 {
			s := w.a.open("/echo")
			if _, err := s.Write(p); err != nil {
				t.Fatal(i, err)
			}
			if err := s.CloseWrite(); err != nil {
				t.Fatal(i, err)
			}
			if b, err := io.ReadAll(s); err != nil || len(b) != len(p) {
				t.Fatalf("%d: %d bytes, %v", i, len(b), err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(i, err)
			}
		}
		w.eventually("the actors of all streams end", func() bool {
			return w.a.count("stream") == 0 && w.b.count("stream") == 0 && w.b.count("handler") == 0
		})
		w.eventually("and the owners hear of it", func() bool { return w.a.inUse() == 0 && w.b.inUse() == 0 })
	})
}

func TestHalfClosedStreamsGoOnInTheOtherDirection(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{})
		all := make(chan []byte, 1)
		w.b.handle("/up-first", runHandler(func(_ ctx, s *stream.Blocking) {
			b, err := io.ReadAll(s)
			if err != nil {
				t.Error("reading until the end:", err)
			}
			if _, err := s.Write(b); err != nil { // long after the remote's end
				t.Error("writing:", err)
			}
		}))
		w.b.handle("/down-first", runHandler(func(_ ctx, s *stream.Blocking) {
			if _, err := s.Write([]byte("down")); err != nil {
				t.Error("writing:", err)
			}
			_ = s.CloseWrite()
			if _, err := s.Write([]byte("x")); !errors.Is(err, stream.ErrClosed) {
				t.Error("a write after CloseWrite says", err)
			}
			b, err := io.ReadAll(s)
			if err != nil {
				t.Error("reading after our end:", err)
			}
			all <- b
		}))
		exchange(t, w, w.a.open("/up-first"), 1, 200_000, 50_000)
		s := w.a.open("/down-first")
		if b, err := io.ReadAll(s); err != nil || string(b) != "down" {
			t.Fatalf("%q, %v", b, err)
		}
		if _, err := s.Write(noise(2, 100_000)); err != nil {
			t.Fatal("writing after the remote's end:", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if b := within(t, "the handler sees the end", all); len(b) != 100_000 {
			t.Fatalf("%d bytes", len(b))
		}
	})
}

func TestAThousandOpensAtOnceAllSucceed(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		set := setup{}
		set.memory.MaxStreams = 100
		w := newWorld(t, k, set)
		w.b.handle("/echo", echoByActor)
		var mu sync.Mutex
		ids := map[uint64]bool{}
		gather(w, 1000, func(i int) {
			st, err := w.a.ask(messages.OpenStream{Protocols: []string{"/echo"}})
			if err != nil {
				t.Error(err)
				return
			}
			s := st.Blocking()
			mu.Lock()
			if ids[s.ID()] {
				t.Error("two streams of one number")
			}
			ids[s.ID()] = true
			mu.Unlock()
			exchange(t, w, s, uint64(i), 300, 100)
		})
	})
}
