package stream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/stream"
)

// bench has a session that does what the test says with each note.
type bench struct {
	t       *testing.T
	rt      *actors.Runtime
	session actors.Ref[stream.Command]
	do      func(s *stream.Stream) // in the session's turn
	notes   atomic.Int64
	live    int64
}

type receiver func(ctx actor.Context)

func (f receiver) Receive(ctx actor.Context) { f(ctx) }

func newBench(t *testing.T, do func(s *stream.Stream)) *bench {
	t.Helper()
	buf.Poison.Store(true)
	b := &bench{t: t, rt: actors.Live(actors.Options{}), do: do, live: buf.Live()}
	ref, err := actors.Root[stream.Command](b.rt, actors.Spec{Name: "session", Inline: true, New: func() actor.Actor {
		return receiver(func(ctx actor.Context) {
			if s, ok := ctx.Message().(*stream.Stream); ok {
				b.notes.Add(1)
				b.do(s)
			}
		})
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.session = ref
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if left := b.rt.Close(ctx); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if n := buf.Live() - b.live; n != 0 {
			t.Errorf("%d buffers are not given back", n)
		}
	})
	return b
}

const patience = 20 * time.Second

func within[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: did not happen", what)
		panic("unreachable")
	}
}

func (b *bench) stream() *stream.Stream {
	s := stream.New(b.session, stream.Info{ID: 1, Protocol: "/p", Conn: &stream.Conn{}})
	s.Take(&stream.Order{})
	return s
}

// serve gives the stream a handler actor that shows what it is told.
func (b *bench) serve(s *stream.Stream, f func(m any)) actors.Ref[any] {
	b.t.Helper()
	ref, err := actors.Root[any](b.rt, actors.Spec{Kind: "handler", Restart: actors.Temporary, New: func() actor.Actor {
		return receiver(func(ctx actor.Context) { f(ctx.Message()) })
	}})
	if err != nil {
		b.t.Fatal(err)
	}
	s.Serve(ref)
	return ref
}

func take(s *stream.Stream) stream.Order {
	var o stream.Order
	s.Take(&o)
	for _, b := range o.Out {
		b.Release()
		s.Sealed(len("x"))
	}
	return o
}

func TestHoweverMuchAHandlerAsksOneNoteWaits(t *testing.T) {
	hold, held := make(chan struct{}), make(chan struct{})
	orders := make(chan stream.Order, 100)
	first := true
	b := newBench(t, func(s *stream.Stream) {
		if first {
			first = false
			close(held)
			<-hold // the session is busy
		}
		orders <- take(s)
	})
	s := b.stream()
	b.rt.Pump("first", func() { s.WriteCopy([]byte("x")) }, nil)
	within(t, "the session is busy", held)
	for range 500 {
		s.WriteCopy([]byte("x"))
	}
	s.CloseRead()
	s.CloseWrite()
	if r := s.WriteCopy([]byte("x")); r != stream.Refused {
		t.Errorf("a write after CloseWrite: %v", r)
	}
	s.Reset(3)
	s.Reset(4)
	if n := b.notes.Load(); n != 1 {
		t.Errorf("%d notes", n)
	}
	close(hold)
	o := within(t, "the order", orders)
	if !o.Reset || o.Code != 3 || !o.CloseRead || !o.CloseWrite || len(o.Out) != 501 {
		t.Errorf("the order is %+v", o)
	}
	s.Reset(5)
	if o := within(t, "another", orders); !o.Reset || o.CloseWrite || len(o.Out) != 0 {
		t.Errorf("what was ordered before comes again: %+v", o)
	}
	if n := b.notes.Load(); n != 2 {
		t.Errorf("%d notes", n)
	}
}

func TestNoAskIsLostBetweenTakes(t *testing.T) {
	const writers, each = 4, 5000
	room := make(chan struct{}, 500) // below what blocks a handler
	seen, all := 0, make(chan struct{})
	b := newBench(t, func(s *stream.Stream) {
		for range take(s).Out {
			<-room
			if seen++; seen == writers*each {
				close(all)
			}
		}
	})
	s := b.stream()
	for range writers {
		b.rt.Pump("writer", func() {
			for range each {
				room <- struct{}{}
				if r := s.WriteCopy([]byte("x")); r != stream.Accepted {
					t.Error(r)
					return
				}
			}
		}, nil)
	}
	within(t, "all are seen", all)
}

// largeSize is one byte more than what a blocking Write copies.
const largeSize = 4<<10 + 1

// large is a body that a blocking Write lends to the session.
func large(s string) []byte { return append([]byte(s), make([]byte, largeSize-len(s))...) }

func TestAWriteThatIsLateDoesNotTakeTheNextOneBack(t *testing.T) {
	taken := make(chan stream.Order, 10)
	b := newBench(t, func(s *stream.Stream) { taken <- take(s) })
	s := b.stream()
	w := s.Block(b.rt, false)
	result := make(chan error, 1)
	write := func(p string) {
		b.rt.Pump("writer", func() {
			n, err := w.Write(large(p))
			if err == nil && n != largeSize {
				err = fmt.Errorf("%d bytes and no error", n)
			}
			result <- err
		}, nil)
	}
	write("first")
	if o := within(t, "the body is lent", taken); !bytes.Equal(o.Write, large("first")) {
		t.Fatalf("%+v", o)
	}
	_ = w.SetWriteDeadline(time.Now())
	if o := within(t, "it is to be given back", taken); !o.Withdraw {
		t.Fatalf("%+v", o)
	}
	s.WriteDone(2, nil)
	if err := within(t, "the writer returns", result); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	// Now the withdrawal is noted while the session is busy completing the write.
	_ = w.SetWriteDeadline(time.Time{})
	busy, let := make(chan struct{}), make(chan struct{})
	b.do = func(s *stream.Stream) {
		o := take(s)
		if bytes.Equal(o.Write, large("second")) {
			close(busy)
			<-let
			s.WriteDone(len(o.Write), nil)
			return
		}
		taken <- o
	}
	write("second")
	within(t, "the session is busy", busy)
	_ = w.SetWriteDeadline(time.Now())
	<-time.After(10 * time.Millisecond) // lets the writer find out that it is late, most times
	close(let)
	if err := within(t, "the second was sent", result); err != nil {
		t.Fatal(err)
	}
	_ = w.SetWriteDeadline(time.Time{})
	write("third")
	for {
		o := within(t, "the third is lent", taken)
		if !o.HasWrite {
			continue // the withdrawal of the second, too late
		}
		if o.Withdraw {
			t.Fatal("the third is withdrawn on behalf of the second")
		}
		break
	}
	s.WriteDone(largeSize, nil)
	if err := within(t, "the third was sent", result); err != nil {
		t.Fatal(err)
	}
}

func TestABodyInTheSessionsHandsIsWaitedForWhenItsNoteIsLost(t *testing.T) {
	taken := make(chan struct{}, 1)
	b := newBench(t, func(s *stream.Stream) {
		take(s)
		taken <- struct{}{}
	})
	s := b.stream()
	w := s.Block(b.rt, false)
	wrote := make(chan error, 1)
	b.rt.Pump("writer", func() {
		_, err := w.Write(large("lent"))
		wrote <- err
	}, nil)
	within(t, "the body is lent", taken)
	s.Discard(actors.ErrStopped)
	if _, err := w.Read(make([]byte, 1)); !errors.Is(err, stream.ErrConnClosed) {
		t.Error("Read:", err)
	}
	select {
	case err := <-wrote:
		t.Fatal("the writer has its body back while the session may read it:", err)
	case <-time.After(20 * time.Millisecond):
	}
	s.End(errors.New("another reason"))
	if err := within(t, "the writer returns", wrote); !errors.Is(err, stream.ErrConnClosed) {
		t.Error("Write:", err)
	}
	if err := s.Err(); !errors.Is(err, stream.ErrConnClosed) {
		t.Error("the first end counts, but:", err)
	}
}

func TestAHandlerThatComesAfterTheEndIsToldBoth(t *testing.T) {
	b := newBench(t, func(s *stream.Stream) { take(s) })
	s := b.stream()
	s.WriteCopy([]byte("x"))
	why := errors.New("too late")
	s.End(why)
	told := make(chan any, 10)
	h := b.serve(s, func(m any) { told <- m })
	for _, want := range []string{"*actor.Started", "*stream.Opened", "*stream.Ended"} {
		m := within(t, "it is told", told)
		if got := fmt.Sprintf("%T", m); got != want {
			t.Fatalf("told %s, want %s", got, want)
		}
		if e, ok := m.(*stream.Ended); ok && e.Err != why {
			t.Error(e.Err)
		}
	}
	if r := s.WriteCopy([]byte("x")); r != stream.Refused {
		t.Errorf("a write after the end: %v", r)
	}
	h.Stop()
}

func TestDataComesBackWhenNobodyNeedsItAnyMore(t *testing.T) {
	for name, c := range map[string]struct {
		turn  func(d *stream.Data)
		after func(d *stream.Data) // once the turn is over
	}{
		"at the end of the turn":            {func(*stream.Data) {}, nil},
		"after Release":                     {func(d *stream.Data) { d.Hold() }, func(d *stream.Data) { d.Release() }},
		"Release in the turn":               {func(d *stream.Data) { d.Hold(); d.Release() }, nil},
		"Release without Hold":              {func(d *stream.Data) { d.Release() }, nil},
		"after Take":                        {func(d *stream.Data) { d.Take().Release() }, nil},
		"Hold, Take, Release":               {func(d *stream.Data) { d.Hold(); d.Take().Release() }, func(d *stream.Data) { d.Release() }},
		"Release twice":                     {func(d *stream.Data) { d.Hold() }, func(d *stream.Data) { d.Release(); d.Release() }},
		"after a panic":                     {func(*stream.Data) { panic("in the handler") }, nil},
		"Release by another in the turn":    {func(d *stream.Data) { d.Hold(); inAnother(d.Release) }, nil},
		"Hold again after an early Release": {func(d *stream.Data) { d.Hold(); d.Release(); d.Hold() }, func(d *stream.Data) { d.Release() }},
	} {
		t.Run(name, func(t *testing.T) {
			credit := make(chan int, 10)
			b := newBench(t, func(s *stream.Stream) {
				if o := take(s); o.Consumed > 0 {
					credit <- o.Consumed
				}
			})
			s := b.stream()
			over := make(chan *stream.Data, 1)
			h := b.serve(s, func(m any) {
				switch m := m.(type) {
				case *stream.Data:
					if string(m.B) != "hello" {
						t.Errorf("data %q", m.B)
					}
					over <- m
					c.turn(m)
				}
			})
			for range 3 {
				s.Deliver(buf.Copy([]byte("hello")))
				d := within(t, "the data", over)
				if c.after != nil {
					<-time.After(2 * time.Millisecond)
					if len(credit) != 0 {
						t.Error("the credit comes too early")
					}
					c.after(d)
				}
				if n := within(t, "the credit", credit); n != 5 {
					t.Errorf("%d bytes of credit", n)
				}
				if name == "after a panic" {
					break
				}
			}
			h.Stop()
			s.Deliver(buf.Copy([]byte("for nobody")))
			if n := within(t, "the credit of what nobody gets", credit); n != 10 {
				t.Errorf("%d bytes of credit", n)
			}
		})
	}
}

func inAnother(f func()) {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	<-done
}

func TestBlockedIsFollowedByWritable(t *testing.T) {
	taken := make(chan *buf.Buf, 1000)
	b := newBench(t, func(s *stream.Stream) {
		var o stream.Order
		s.Take(&o)
		for _, x := range o.Out {
			taken <- x
		}
	})
	s := b.stream()
	told := make(chan any, 10)
	h := b.serve(s, func(m any) {
		if _, ok := m.(*stream.Writable); ok {
			told <- m
		}
	})
	n := 0
	for r := stream.Accepted; r == stream.Accepted; n++ {
		r = s.WriteCopy(make([]byte, 1000))
	}
	if n*1000 < stream.OutCap/2 || n*1000 > stream.OutCap+1000 {
		t.Errorf("blocked after %d bytes", n*1000)
	}
	for i := range n {
		within(t, "the session has it", taken).Release()
		if i < n/3 && len(told) > 0 {
			t.Fatal("told while too much waits")
		}
		s.Sealed(1000)
	}
	within(t, "Writable", told)
	if r := s.WriteCopy(nil); r != stream.Accepted {
		t.Errorf("a write after Writable: %v", r)
	}
	within(t, "the session has it", taken).Release()
	h.Stop()
	if len(told) > 0 {
		t.Error("told twice")
	}
}

func TestCloseOfALazyStreamWaitsForTheAnswerOrTheEnd(t *testing.T) {
	refused := errors.New("never heard of it")
	for name, c := range map[string]struct {
		settle func(s *stream.Stream)
		want   error
	}{
		"agreed":   {func(s *stream.Stream) { s.Agreed(nil) }, nil},
		"refused":  {func(s *stream.Stream) { s.End(refused) }, refused},
		"lost":     {func(s *stream.Stream) { s.Discard(nil) }, stream.ErrConnClosed},
		"too late": {func(s *stream.Stream) { s.Agreed(nil); s.Agreed(refused) }, nil},
	} {
		flushed := make(chan struct{}, 10)
		b := newBench(t, func(s *stream.Stream) {
			if o := take(s); o.CloseWrite {
				flushed <- struct{}{}
			}
		})
		s := b.stream()
		w := s.Block(b.rt, true)
		closed := make(chan error, 3)
		for range cap(closed) {
			b.rt.Pump("closer", func() { closed <- w.Close() }, nil)
		}
		within(t, "what was held back is sent", flushed)
		if len(closed) > 0 {
			t.Fatalf("%s: closed before the answer", name)
		}
		c.settle(s)
		for range cap(closed) {
			if err := within(t, "all are closed", closed); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := w.Close(); !errors.Is(err, c.want) {
			t.Errorf("%s: closed once more: %v", name, err)
		}
	}
}

func TestTheFirstUseOfALazyStreamSendsWhatWasHeldBack(t *testing.T) {
	orders := make(chan stream.Order, 10)
	b := newBench(t, func(s *stream.Stream) { orders <- take(s) })
	r := b.stream()
	rb := r.Block(b.rt, true)
	got := make(chan error, 1)
	b.rt.Pump("reader", func() {
		_, err := rb.Read(make([]byte, 1))
		got <- err
	}, nil)
	if o := within(t, "Read", orders); !o.Flush {
		t.Errorf("%+v", o)
	}
	r.RemoteClosed()
	if err := within(t, "the end", got); err != io.EOF {
		t.Error(err)
	}
	if _, err := rb.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
	if len(orders) > 0 {
		t.Error("a second Read tells the session something")
	}
}

func TestAContextThatIsAskedForLateKnowsTheEnd(t *testing.T) {
	b := newBench(t, func(s *stream.Stream) { take(s) })
	why := errors.New("it is over")
	early, late := b.stream(), b.stream()
	eb, lb := early.Block(b.rt, false), late.Block(b.rt, false)
	c := eb.Context()
	if c.Err() != nil {
		t.Fatal("done before the end")
	}
	early.End(why)
	late.End(why)
	for _, c := range []context.Context{c, eb.Context(), lb.Context()} {
		within(t, "done", c.Done())
		if context.Cause(c) != why {
			t.Error(context.Cause(c))
		}
	}
}

func TestWhatTheRemoteEndedInOrderCanBeReadAfterAnyEnd(t *testing.T) {
	b := newBench(t, func(s *stream.Stream) { take(s) })
	for _, c := range []struct {
		name string
		eof  bool
		end  error
		read string
		err  error
	}{
		{"an orderly end", true, nil, "hello", nil},
		{"a reset behind the remote's end", true, stream.ErrConnClosed, "hello", nil},
		{"a reset before it", false, stream.ErrConnClosed, "", stream.ErrConnClosed},
	} {
		s := b.stream()
		w := s.Block(b.rt, false)
		if !s.Fill([]byte("hello")) {
			t.Fatal("nobody reads")
		}
		if c.eof {
			s.RemoteClosed()
		}
		s.End(c.end)
		p, err := io.ReadAll(w)
		if string(p) != c.read || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v", c.name, p, err)
		}
		if s.Fill([]byte("more")) {
			t.Errorf("%s: the stream takes bytes after its end", c.name)
		}
		_ = w.CloseRead()
	}
}
