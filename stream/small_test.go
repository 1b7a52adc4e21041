package stream_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/stream"
)

func TestSmallWritesAndTheCloseBehindThemShareANote(t *testing.T) {
	var notes int
	var got string
	busy, let, all := make(chan struct{}), make(chan struct{}), make(chan struct{})
	b := newBench(t, func(s *stream.Stream) {
		var o stream.Order
		s.Take(&o)
		for _, b := range o.Out {
			got += string(b.B)
			b.Release()
		}
		notes++
		switch {
		case notes == 1:
			close(busy)
			<-let
		case o.CloseWrite:
			close(all)
		}
	})
	s := b.stream()
	w := s.Block(b.rt, false)
	write := func(p string) {
		if n, err := w.Write([]byte(p)); n != len(p) || err != nil {
			t.Errorf("%q: %d, %v", p, n, err)
		}
	}
	write("a")
	within(t, "the session is busy", busy)
	write("bc")
	write("d")
	if err := w.CloseWrite(); err != nil {
		t.Error(err)
	}
	if _, err := w.Write([]byte("late")); !errors.Is(err, stream.ErrClosed) {
		t.Error("after CloseWrite:", err)
	}
	close(let)
	within(t, "the close", all)
	if notes != 2 || got != "abcd" {
		t.Errorf("%d notes with %q", notes, got)
	}
}

// A writer that outruns the session waits when as much as may wait is waiting.
func TestSmallWritesAreBounded(t *testing.T) {
	lent := make(chan struct{})
	queued := 0
	b := newBench(t, func(s *stream.Stream) {
		var o stream.Order
		s.Take(&o)
		for _, b := range o.Out {
			queued += len(b.B)
			b.Release() // and is not told as sealed
		}
		if o.HasWrite {
			close(lent)
		}
	})
	s := b.stream()
	w := s.Block(b.rt, false)
	total := make(chan int, 1)
	b.rt.Pump("writer", func() {
		n, p := 0, make([]byte, 1<<10)
		for {
			k, err := w.Write(p)
			n += k
			if err != nil {
				total <- n
				return
			}
		}
	}, nil)
	within(t, "the writer waits", lent)
	s.End(errors.New("over"))
	if n := within(t, "the writer returns", total); n > stream.CopyCap || n < stream.CopyCap/2 || n != queued {
		t.Errorf("%d bytes were taken of %d, the cap is %d", n, queued, stream.CopyCap)
	}
}

// Whoever writes much keeps a processor busy: what the connection has received meanwhile is looked for on
// the writer's goroutine, behind the session's turn.
func TestWhoWritesMuchLooksForWhatHasCome(t *testing.T) {
	var seen []int64 // notes at each poll
	b := newBench(t, func(s *stream.Stream) {
		o := take(s)
		if o.HasWrite {
			s.WriteDone(len(o.Write), nil)
		}
	})
	s := b.stream()
	s.Poll(func() bool {
		seen = append(seen, b.notes.Load())
		return true
	})
	w := s.Block(b.rt, false)
	for range 8 {
		if _, err := w.Write(make([]byte, 16<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(seen, []int64{4, 8}) {
		t.Errorf("polled behind the notes %v, want 4 and 8: every 64 KiB", seen)
	}
	s.End(nil)
}

// The session ends the stream as soon as it hears that the last Data has come back, which it may hear
// before the handler's turn is over.
func TestTheRemotesCloseComesBeforeTheEnd(t *testing.T) {
	for _, held := range []bool{false, true} {
		for _, late := range []bool{false, true} {
			b := newBench(t, func(s *stream.Stream) {
				if take(s).Consumed > 0 {
					s.End(stream.ErrConnClosed)
				}
			})
			s := b.stream()
			has, let, over := make(chan *stream.Data), make(chan struct{}), make(chan struct{})
			var told []string
			h := b.serve(s, func(m any) {
				switch m := m.(type) {
				case *stream.Data:
					told = append(told, string(m.B))
					if held {
						m.Hold()
					}
					has <- m
					<-let
				case *stream.RemoteClosed:
					told = append(told, "closed")
				case *stream.Ended:
					told = append(told, fmt.Sprint("ended: ", m.Err))
					close(over)
				}
			})
			s.Deliver(buf.Copy([]byte("last")))
			d := within(t, "the handler has it", has)
			s.RemoteClosed()
			if late {
				s.Late()
			}
			close(let)
			d.Release()
			within(t, "the end", over)
			h.StopAfter()
			within(t, "the handler is gone", h.Done())
			if want := []string{"last", "closed", "ended: " + stream.ErrConnClosed.Error()}; !slices.Equal(told, want) {
				t.Errorf("held %v, late %v: the handler is told %q", held, late, told)
			}
		}
	}
}
