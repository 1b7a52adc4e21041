package muxtest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/stream"
)

// source is an actor handler that sends until it is full, then waits to be told.
type source struct {
	left  int
	full  chan int // how much was taken when it was Blocked
	taken int
}

func (a *source) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *stream.Opened:
		a.send(m.Stream)
	case *stream.Writable:
		a.send(m.Stream)
	}
}

func (a *source) send(s *stream.Stream) {
	for a.left > 0 {
		b := buf.Get(min(a.left, 16<<10))
		for i := range b.B {
			b.B[i] = byte(a.taken + i)
		}
		a.taken += len(b.B)
		a.left -= len(b.B)
		switch s.Write(b) {
		case stream.Blocked:
			select {
			case a.full <- a.taken:
			default:
			}
			return
		case stream.Refused:
			return
		}
	}
	s.CloseWrite()
}

var flowTests = []test{
	{"an actor that sends is held back by who does not read", anActorThatSendsIsHeldBack},
	{"writing while blocked is a local fault", writingWhileBlockedIsALocalFault},
	{"held data holds the remote back", heldDataHoldsTheRemoteBack},
	{"a reader that is slow holds no more than its window", aReaderThatIsSlow},
	{"deadlines", deadlines},
	{"a net.Conn is what libraries want", netConnIsWhatLibrariesWant},
	{"a bulk sender does not starve the others", aBulkSenderDoesNotStarve},
	{"a probe is answered on a live connection only", probes},
}

func anActorThatSendsIsHeldBack(t *testing.T, k Subject) {
	w := NewWorld(t, k, Setup{})
	a := &source{left: 8 << 20, full: make(chan int, 1)}
	w.B.Handle("/source", ActorHandler(func(*stream.Stream) actor.Actor { return a }))
	w.B.Handle("/echo", EchoByActor)
	s := w.A.Open("/source")
	p := make([]byte, 1000)
	if _, err := io.ReadFull(s, p); err != nil {
		t.Fatal(err)
	}
	taken := Within(t, "it is blocked", a.full)
	w.Exchange(w.A.Open("/echo"), 1, 500_000, 10_000) // nobody else is
	var rest bytes.Buffer
	if _, err := io.Copy(&rest, onlyReader{s}); err != nil {
		t.Fatal(err)
	}
	if n := len(p) + rest.Len(); n != 8<<20 {
		t.Fatalf("%d bytes came", n)
	}
	for i, c := range append(p, rest.Bytes()...) {
		if c != byte(i) {
			t.Fatalf("byte %d is %d", i, c)
		}
	}
	// A window and the link's share is with the reader, the rest may wait with the writer.
	if limit := stream.OutCap + k.Window + k.Slack; taken > limit {
		t.Errorf("%d bytes were taken before it was blocked, more than %d", taken, limit)
	}
	_ = s.Close()
}

func writingWhileBlockedIsALocalFault(t *testing.T, k Subject) {
	w := NewWorld(t, k, Setup{})
	got := make(chan stream.Result, 1)
	ended := make(chan error, 1)
	w.B.Handle("/rude", ActorHandler(func(*stream.Stream) actor.Actor {
		return ActorFunc(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *stream.Opened:
				for m.Stream.WriteCopy(make([]byte, 60<<10)) == stream.Accepted {
				}
				for r := stream.Blocked; r != stream.Refused; { // Writable may be on its way
					r = m.Stream.WriteCopy(make([]byte, 60<<10))
				}
				got <- m.Stream.WriteCopy([]byte("x"))
			case *stream.Ended:
				ended <- m.Err
			}
		})
	}))
	s := w.A.Open("/rude")
	if _, err := s.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if r := Within(t, "the handler writes on and on", got); r != stream.Refused {
		t.Errorf("a write to a stream that is reset: %v", r)
	}
	if err := Within(t, "the handler is told", ended); !errors.Is(err, stream.ErrWriteWhileBlocked) {
		t.Error(err)
	}
	_, err := io.Copy(io.Discard, onlyReader{s})
	WantReset(t, "the remote", err, stream.CodeLocalFault, true)
}

func heldDataHoldsTheRemoteBack(t *testing.T, k Subject) {
	w := NewWorld(t, k, Setup{})
	var sum []byte
	held := make(chan *stream.Data)
	closed := make(chan struct{})
	w.B.Handle("/hold", ActorHandler(func(*stream.Stream) actor.Actor {
		return ActorFunc(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *stream.Data:
				m.Hold()
				held <- m // and Release may come before this turn is over
			case *stream.RemoteClosed:
				close(closed)
				m.Stream.CloseWrite()
			}
		})
	}))
	w.Runtime.Pump("releaser", func() {
		for {
			select {
			case d := <-held:
				sum = append(sum, d.B...)
				d.Release()
			case <-closed:
				return
			}
		}
	}, nil)
	all := Noise(1, 2<<20)
	s := w.A.Open("/hold")
	if _, err := s.Write(all); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w.Within("all of it arrives", closed)
	if !bytes.Equal(sum, all) {
		t.Errorf("%d bytes of %d, or others", len(sum), len(all))
	}
}

func aReaderThatIsSlow(t *testing.T, k Subject) {
	timed(t, k, func(t *testing.T) {
		w := NewWorld(t, k, Setup{})
		w.B.Handle("/echo", EchoByActor)
		var slow []*stream.Blocking
		wrote := make(chan error, 4)
		for range cap(wrote) {
			s := w.A.Open("/echo")
			slow = append(slow, s)
			w.Runtime.Pump("writer", func() {
				_, err := s.Write(make([]byte, 16<<20))
				wrote <- err
			}, nil)
		}
		w.Gather(4, func(i int) { w.Exchange(w.A.Open("/echo"), uint64(i), 1<<20, 30_000) })
		least := 0
		if !k.Real {
			synctest.Wait() // everybody waits for somebody
			least = len(slow) * k.Window / 8
		}
		// Each slow stream: two windows, one for each direction, and the echo's cap. All of
		// them: what the conduit and its writers have under way. Not every buffer is full.
		most := len(slow)*(2*k.Window+stream.OutCap) + k.Slack
		if n := int(w.Held()) * 64 << 10; n > 2*most || n < least {
			t.Errorf("up to %d bytes in buffers, want about %d", n, most)
		}
		for _, s := range slow {
			_ = s.Reset(1)
		}
		for range slow {
			if err := Within(t, "the writers are let go", wrote); err == nil {
				t.Error("16 MiB went nowhere")
			}
		}
	})
}

func deadlines(t *testing.T, k Subject) {
	timed(t, k, func(t *testing.T) {
		w := NewWorld(t, k, Setup{Bulk: true})
		read := make(chan struct{})
		w.B.Handle("/later", RunHandler(func(_ ctx, s *stream.Blocking) {
			if _, err := s.Write([]byte("early")); err != nil {
				t.Error(err)
			}
			<-read
			_, _ = io.Copy(onlyWriter{s}, onlyReader{s})
		}))
		s := w.A.Open("/later")
		start := time.Now()
		in := func(d time.Duration) time.Time { return start.Add(d) }
		// at says whether it is as late as it should be: to the nanosecond, in a bubble.
		at := func(d time.Duration) bool {
			took := time.Since(start)
			return took == d || k.Real && took > d && took < d+patience
		}
		p := make([]byte, 100)

		_ = s.SetReadDeadline(in(time.Second))
		if n, err := s.Read(p); err != nil || string(p[:n]) != "early" {
			t.Fatalf("%q, %v", p[:n], err)
		}
		if _, err := s.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) || !at(time.Second) {
			t.Fatalf("Read: %v after %v", err, time.Since(start))
		}
		all := Noise(1, 3<<20)
		_ = s.SetWriteDeadline(in(2 * time.Second))
		n, err := s.Write(all)
		if !errors.Is(err, os.ErrDeadlineExceeded) || !at(2*time.Second) || n == 0 || n == len(all) {
			t.Fatalf("Write: %d, %v after %v", n, err, time.Since(start))
		}
		if n, err := s.Write(all); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Write after the deadline: %d, %v", n, err)
		}
		_ = s.SetDeadline(in(time.Hour))
		w.Runtime.AfterFunc(time.Second, func() { _ = s.SetDeadline(in(4 * time.Second)) }) // it can be moved under a call
		m, err := s.Write(all[n:])
		if !errors.Is(err, os.ErrDeadlineExceeded) || !at(4*time.Second) {
			t.Fatalf("Write: %d, %v after %v", m, err, time.Since(start))
		}
		_ = s.SetDeadline(time.Time{})
		close(read)
		// What is on the wire is what the calls said, and no byte more.
		w.Runtime.Pump("writer", func() {
			if _, err := s.Write(all[n+m:]); err != nil {
				t.Error(err)
			}
			_ = s.CloseWrite()
		}, nil)
		back, err := io.ReadAll(s)
		if err != nil || !bytes.Equal(back, all) {
			t.Fatalf("%d bytes came back, %v", len(back), err)
		}
		_ = s.Close()
	})
}

func netConnIsWhatLibrariesWant(t *testing.T, k Subject) {
	w := NewWorld(t, k, Setup{})
	w.B.Handle("/echo", EchoByTask)
	c := w.A.Open("/echo").NetConn()
	if c.RemoteAddr().Network() != "libp2p" || c.RemoteAddr().String() != w.A.Conn.Peer.String() || c.LocalAddr().String() == "" {
		t.Errorf("addresses %v and %v", c.LocalAddr(), c.RemoteAddr())
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 5)
	if _, err := io.ReadFull(c, p); err != nil || string(p) != "hello" {
		t.Fatalf("%q, %v", p, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// aBulkSenderDoesNotStarve counts what eight bulk streams get across while one byte goes there and
// back on another: bytes do not depend on what else the machine does, time does.
func aBulkSenderDoesNotStarve(t *testing.T, k Subject) {
	w := NewWorld(t, k, Setup{Bulk: true})
	var bulk atomic.Int64
	w.B.Handle("/sink", RunHandler(func(_ ctx, s *stream.Blocking) {
		p := make([]byte, 64<<10)
		for {
			n, err := s.Read(p)
			bulk.Add(int64(n))
			if err != nil {
				return
			}
		}
	}))
	w.B.Handle("/echo", EchoByTask)
	stop := make(chan struct{})
	streams := make([]*stream.Blocking, 8)
	for i := range streams {
		streams[i] = w.A.Open("/sink")
	}
	stopped := w.Pour(1<<20, stop, streams...)
	s := w.A.Open("/echo")
	p := make([]byte, 1)
	var past []int64
	for range 50 {
		before := bulk.Load()
		if _, err := s.Write(p); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(p); err != nil {
			t.Fatal(err)
		}
		past = append(past, bulk.Load()-before)
	}
	close(stop)
	for range cap(stopped) {
		Within(t, "the writers stop", stopped)
	}
	_ = s.Close()
	slices.Sort(past)
	// What is sent already goes first: a window of each and what the link holds.
	if median, most := past[len(past)/2], int64(cap(stopped)*k.Window+k.Slack); median > most {
		t.Errorf("a round trip of one byte takes as long as %d bytes of the others, want at most %d", median, most)
	}
}

func probes(t *testing.T, k Subject) {
	w := NewWorld(t, k, Setup{})
	for range 3 {
		for _, s := range []*Side{w.A, w.B} {
			if _, err := s.Probe(); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.Subject.Break(w.A.Link)
	w.Within("A ends", w.A.Gone)
	w.Within("B ends", w.B.Gone)
	for _, s := range []*Side{w.A, w.B} {
		if _, err := s.Probe(); err == nil {
			t.Error("a dead connection answers")
		}
	}
}
