package mux_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
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

func TestAnActorThatSendsIsHeldBackByWhoDoesNotRead(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{})
		a := &source{left: 8 << 20, full: make(chan int, 1)}
		w.b.handle("/source", actorHandler(func(*stream.Stream) actor.Actor { return a }))
		w.b.handle("/echo", echoByActor)
		s := w.a.open("/source")
		p := make([]byte, 1000)
		if _, err := io.ReadFull(s, p); err != nil {
			t.Fatal(err)
		}
		taken := within(t, "it is blocked", a.full)
		exchange(t, w, w.a.open("/echo"), 1, 500_000, 10_000) // nobody else is
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
		// A window and the conduit's share is with the reader, the rest may wait with the writer.
		if limit := stream.OutCap + 256<<10 + 512<<10; taken > limit {
			t.Errorf("%d bytes were taken before it was blocked, more than %d", taken, limit)
		}
		_ = s.Close()
	})
}

func TestWritingWhileBlockedIsALocalFault(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{})
		got := make(chan stream.Result, 1)
		ended := make(chan error, 1)
		w.b.handle("/rude", actorHandler(func(*stream.Stream) actor.Actor {
			return supervisor(func(ctx actor.Context) {
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
		s := w.a.open("/rude")
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if r := within(t, "the handler writes on and on", got); r != stream.Refused {
			t.Errorf("a write to a stream that is reset: %v", r)
		}
		if err := within(t, "the handler is told", ended); !errors.Is(err, stream.ErrWriteWhileBlocked) {
			t.Error(err)
		}
		_, err := io.Copy(io.Discard, onlyReader{s})
		wantReset(t, "the remote", err, stream.CodeLocalFault, true)
	})
}

func TestHeldDataHoldsTheRemoteBack(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{})
		var sum []byte
		held := make(chan *stream.Data)
		closed := make(chan struct{})
		w.b.handle("/hold", actorHandler(func(*stream.Stream) actor.Actor {
			return supervisor(func(ctx actor.Context) {
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
		w.rt.Pump("releaser", func() {
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
		all := noise(1, 2<<20)
		s := w.a.open("/hold")
		if _, err := s.Write(all); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		w.within("all of it arrives", closed)
		if !bytes.Equal(sum, all) {
			t.Errorf("%d bytes of %d, or others", len(sum), len(all))
		}
	})
}

func TestAReaderThatIsSlowHoldsNoMoreThanItsWindow(t *testing.T) {
	for _, k := range kinds {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, k, setup{})
			w.b.handle("/echo", echoByActor)
			var slow []*stream.Blocking
			wrote := make(chan error, 4)
			for range cap(wrote) {
				s := w.a.open("/echo")
				slow = append(slow, s)
				w.rt.Pump("writer", func() {
					_, err := s.Write(make([]byte, 16<<20))
					wrote <- err
				}, nil)
			}
			gather(w, 4, func(i int) { exchange(t, w, w.a.open("/echo"), uint64(i), 1<<20, 30_000) })
			synctest.Wait() // everybody waits for somebody
			// Each slow stream: two windows, one for each direction, and the echo's cap. All of
			// them: what the conduit and its writers have under way.
			most := len(slow)*(2*256<<10+stream.OutCap) + 2*(256<<10+128<<10)
			if n := int(buf.Live()-w.live) * 64 << 10; n > 2*most || n < most/8 {
				t.Errorf("up to %d bytes in buffers, want about %d", n, most)
			}
			for _, s := range slow {
				_ = s.Reset(1)
			}
			for range slow {
				if err := within(t, "the writers are let go", wrote); err == nil {
					t.Error("16 MiB went nowhere")
				}
			}
		})
	}
}

func TestDeadlines(t *testing.T) {
	for _, k := range kinds {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, k, setup{bulk: true})
			read := make(chan struct{})
			w.b.handle("/later", runHandler(func(_ ctx, s *stream.Blocking) {
				if _, err := s.Write([]byte("early")); err != nil {
					t.Error(err)
				}
				<-read
				_, _ = io.Copy(onlyWriter{s}, onlyReader{s})
			}))
			s := w.a.open("/later")
			start := time.Now()
			in := func(d time.Duration) time.Time { return start.Add(d) }
			p := make([]byte, 100)

			_ = s.SetReadDeadline(in(time.Second))
			if n, err := s.Read(p); err != nil || string(p[:n]) != "early" {
				t.Fatalf("%q, %v", p[:n], err)
			}
			if _, err := s.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
				t.Fatalf("Read: %v after %v", err, time.Since(start))
			}
			all := noise(1, 3<<20)
			_ = s.SetWriteDeadline(in(2 * time.Second))
			n, err := s.Write(all)
			if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 2*time.Second || n == 0 || n == len(all) {
				t.Fatalf("Write: %d, %v after %v", n, err, time.Since(start))
			}
			if n, err := s.Write(all); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("Write after the deadline: %d, %v", n, err)
			}
			_ = s.SetDeadline(in(time.Hour))
			w.rt.AfterFunc(time.Second, func() { _ = s.SetDeadline(in(4 * time.Second)) }) // it can be moved under a call
			m, err := s.Write(all[n:])
			if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 4*time.Second {
				t.Fatalf("Write: %d, %v after %v", m, err, time.Since(start))
			}
			_ = s.SetDeadline(time.Time{})
			close(read)
			// What is on the wire is what the calls said, and no byte more.
			w.rt.Pump("writer", func() {
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
}

func TestNetConnIsWhatLibrariesWant(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{})
		w.b.handle("/echo", echoByTask)
		c := w.a.open("/echo").NetConn()
		if c.RemoteAddr().Network() != "libp2p" || c.RemoteAddr().String() != w.a.conn.Peer.String() || c.LocalAddr().String() == "" {
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
	})
}

func TestProbeWaitsForASignOfLife(t *testing.T) {
	w := newWorld(t, raw, setup{})
	if rtt, err := w.a.probe(); err != nil || rtt <= 0 {
		t.Fatal(rtt, err)
	}
	for range 3 {
		if _, err := w.b.probe(); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, raw, setup{bare: true})
		r := newYamuxRemote(w)
		if rtt, err := w.b.probe(); err != nil || rtt < 0 {
			t.Fatal(rtt, err)
		}
		r.stop()
		start := time.Now()
		if _, err := w.b.probe(); !errors.Is(err, stream.ErrConnClosed) {
			t.Fatal("a dead remote:", err)
		}
		if d := time.Since(start); d != 10*time.Second {
			t.Fatalf("given up after %v", d)
		}
	})
}

func TestWindowsTakeTheirMemoryFromTheNode(t *testing.T) {
	w := newWorld(t, raw, setup{buffers: 3 << 20, bulk: true, cfg: mux.Config{}})
	w.b.handle("/sink", runHandler(func(_ ctx, s *stream.Blocking) { _, _ = io.Copy(io.Discard, onlyReader{s}) }))
	var most int64
	streams := make([]*stream.Blocking, 3)
	for i := range streams {
		streams[i] = w.a.open("/sink")
	}
	stop := make(chan struct{})
	done := make(chan struct{}, len(streams))
	for _, s := range streams {
		w.rt.Pump("writer", func() {
			defer func() { done <- struct{}{} }()
			p := make([]byte, 256<<10)
			for {
				select {
				case <-stop:
					_ = s.Close()
					return
				default:
				}
				if _, err := s.Write(p); err != nil {
					t.Error(err)
					return
				}
			}
		}, nil)
	}
	w.eventually("the windows grow to what there is", func() bool {
		used, _ := w.b.buffers.Used()
		most = max(most, used)
		return used == 3<<20
	})
	close(stop)
	for range streams {
		within(t, "the writers stop", done)
	}
	w.eventually("what no stream needs goes back while the connection lives", func() bool {
		used, _ := w.b.buffers.Used()
		return used == 0
	})
	if _, err := actors.Ask(t.Context(), w.b.session, func(r actors.Reply[time.Duration]) messages.Session {
		return &messages.Probe{Reply: r}
	}); err != nil {
		t.Error("the connection lives:", err)
	}
}

func TestABulkSenderDoesNotStarveTheOthers(t *testing.T) {
	set := setup{bulk: true}
	set.memory.Window = 8 << 20 // the conduit takes whatever comes
	w := newWorld(t, raw, set)
	w.b.handle("/sink", runHandler(func(_ ctx, s *stream.Blocking) { _, _ = io.Copy(io.Discard, onlyReader{s}) }))
	w.b.handle("/echo", echoByTask)
	stop := make(chan struct{})
	stopped := make(chan struct{}, 8)
	for range cap(stopped) {
		s := w.a.open("/sink")
		w.rt.Pump("writer", func() {
			defer func() { stopped <- struct{}{} }()
			p := make([]byte, 1<<20)
			for {
				select {
				case <-stop:
					_ = s.Close()
					return
				default:
					_, _ = s.Write(p)
				}
			}
		}, nil)
	}
	s := w.a.open("/echo")
	p := make([]byte, 1)
	for range 200 {
		if _, err := s.Write(p); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(p); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	for range cap(stopped) {
		within(t, "the writers stop", stopped)
	}
	_ = s.Close()
}
