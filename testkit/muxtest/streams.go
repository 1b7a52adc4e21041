package muxtest

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/stream"
)

var streamTests = []test{
	{"what is sent comes back unchanged until the end", whatIsSentComesBack},
	{"sixteen streams carry 64 MiB", sixteenStreamsCarry64MiB},
	{"both sides open streams at once", bothSidesOpenStreamsAtOnce},
	{"half-closed streams go on in the other direction", halfClosedStreamsGoOn},
	{"a thousand opens at once all succeed", aThousandOpensAtOnceAllSucceed},
	{"ten thousand short streams leave nothing behind", tenThousandShortStreams},
}

// bothEchoes runs a test against an actor that echoes, and against a function.
func bothEchoes(t *testing.T, k Subject, set Setup, test func(t *testing.T, w *World)) {
	for _, e := range Echoes {
		t.Run(e.Name, func(t *testing.T) {
			w := NewWorld(t, k, set)
			w.B.Handle("/echo", e.Handler)
			test(t, w)
		})
	}
}

func whatIsSentComesBack(t *testing.T, k Subject) {
	bothEchoes(t, k, Setup{}, func(t *testing.T, w *World) {
		for i, c := range []struct{ n, size int }{
			{0, 1}, {1, 1}, {100, 7}, {70_000, 1000}, {1 << 20, 4 << 10}, {3<<20 + 1, 64 << 10}, {5 << 20, 1 << 20},
		} {
			w.Exchange(w.A.Open("/echo"), uint64(i), c.n, c.size)
		}
	})
}

func sixteenStreamsCarry64MiB(t *testing.T, k Subject) {
	size := 4 << 20
	if testing.Short() {
		size = 1 << 20
	}
	set := patient()
	set.Bulk = true
	bothEchoes(t, k, set, func(t *testing.T, w *World) {
		w.Gather(16, func(i int) { w.Exchange(w.A.Open("/echo"), uint64(i), size, 48<<10+i) })
	})
}

func bothSidesOpenStreamsAtOnce(t *testing.T, k Subject) {
	bothEchoes(t, k, Setup{}, func(t *testing.T, w *World) {
		w.A.Handle("/echo", EchoByActor)
		w.Gather(40, func(i int) {
			s := w.A
			if i%2 == 0 {
				s = w.B
			}
			w.Exchange(s.Open("/echo"), uint64(i), 100_000, 10_000)
		})
	})
}

func halfClosedStreamsGoOn(t *testing.T, k Subject) {
	w := NewWorld(t, k, Setup{})
	all := make(chan []byte, 1)
	w.B.Handle("/up-first", RunHandler(func(_ ctx, s *stream.Blocking) {
		b, err := io.ReadAll(s)
		if err != nil {
			t.Error("reading until the end:", err)
		}
		if _, err := s.Write(b); err != nil { // long after the remote's end
			t.Error("writing:", err)
		}
	}))
	w.B.Handle("/down-first", RunHandler(func(_ ctx, s *stream.Blocking) {
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
	w.Exchange(w.A.Open("/up-first"), 1, 200_000, 50_000)
	s := w.A.Open("/down-first")
	if b, err := io.ReadAll(s); err != nil || string(b) != "down" {
		t.Fatalf("%q, %v", b, err)
	}
	if _, err := s.Write(Noise(2, 100_000)); err != nil {
		t.Fatal("writing after the remote's end:", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if b := Within(t, "the handler sees the end", all); len(b) != 100_000 {
		t.Fatalf("%d bytes", len(b))
	}
}

func aThousandOpensAtOnceAllSucceed(t *testing.T, k Subject) {
	set := patient()
	set.Link.MaxStreams = 100
	w := NewWorld(t, k, set)
	w.B.Handle("/echo", EchoByActor)
	var mu sync.Mutex
	ids := map[uint64]bool{}
	w.Gather(1000, func(i int) {
		st, err := w.A.Ask(messages.OpenStream{Protocols: []string{"/echo"}})
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
		w.Exchange(s, uint64(i), 300, 100)
	})
}

// tenThousandShortStreams has both sides open them, many at a time, for actors and for functions.
func tenThousandShortStreams(t *testing.T, k Subject) {
	set := patient()
	set.Bulk = true
	w := NewWorld(t, k, set)
	idle := w.idle()
	for _, s := range []*Side{w.A, w.B} {
		for _, e := range Echoes {
			s.Handle("/"+e.Name, e.Handler)
		}
	}
	const atOnce = 32
	total := w.Subject.Streams
	w.Gather(atOnce, func(i int) {
		from := w.A
		if i%2 == 1 {
			from = w.B
		}
		for n := i; n < total; n += atOnce {
			if err := from.short("/"+Echoes[n/atOnce%len(Echoes)].Name, n); err != nil {
				t.Errorf("stream %d: %v", n, err)
				return
			}
		}
	})
	w.Eventually("the actors of all streams end", idle)
	w.Eventually("their places are free", func() bool { return w.A.Used() == 0 && w.B.Used() == 0 })
	w.Eventually("and the owners hear of it", func() bool { return !w.A.InUse() && !w.B.InUse() })
}

// short asks for one short echo.
func (s *Side) short(protocol string, n int) error {
	st, err := s.Ask(messages.OpenStream{Protocols: []string{protocol}})
	if err != nil {
		return err
	}
	b := st.Blocking()
	question := fmt.Sprintf("what about %d", n)
	if _, err := b.Write([]byte(question)); err != nil {
		return err
	}
	if err := b.CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(b)
	if err != nil {
		return err
	}
	if string(answer) != question {
		return fmt.Errorf("%q was answered by %q", question, answer)
	}
	return b.Close()
}
