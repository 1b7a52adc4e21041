package mux_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/testkit/muxtest"
)

// frame is one yamux frame.
func frame(t yamux.FrameType, f yamux.Flags, id, n uint32, body ...byte) []byte {
	return append(yamux.Header{Type: t, Flags: f, ID: id, Length: n}.Append(nil), body...)
}

// syn opens a stream for a protocol, with a request.
func syn(id uint32, protocol, request string) []byte {
	p := append(propose(protocol), request...)
	return append(frame(yamux.TypeData, yamux.FlagSYN, id, uint32(len(p))), p...)
}

// deaf is a remote that sends and never reads. What it is sent stays in the conduit.
type deaf struct{ w *muxtest.World }

func (d *deaf) Offer(b *buf.Buf) { b.Release() } // the one that it had credit for

func (d *deaf) Drained(error) {}

func (d *deaf) Ended(error) {}

func newDeaf(w *muxtest.World) *deaf {
	d := &deaf{w}
	w.A.Link.Secured.Raw.Bind(d, 1)
	return d
}

// send writes all of p, and says whether the other side still takes it.
func (d *deaf) send(p []byte) bool {
	q, _ := muxtest.Sealer{}.Seal(nil, p)
	for len(q) > 0 {
		n, err := d.w.A.Link.Secured.Raw.TryWrite(q)
		if err != nil {
			return false
		}
		if q = q[n:]; len(q) > 0 {
			select {
			case <-d.w.B.Gone:
				return false
			case <-time.After(100 * time.Microsecond):
			}
		}
	}
	return true
}

func TestARemoteThatAsksAndNeverReadsIsClosedWithin15s(t *testing.T) {
	for _, c := range []struct {
		name string
		room int
		pace time.Duration
		cfg  yamux.Config
		want error
	}{
		{"and the kernel has no room", 128 << 10, time.Millisecond, yamux.Config{ActivePing: -1}, mux.ErrWriteStalled},
		{"and the kernel takes everything", 256 << 20, 100 * time.Millisecond, yamux.Config{}, yamux.ErrNotReading},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				set := muxtest.Setup{Bare: true, Bulk: true, Config: mux.Config{Yamux: c.cfg}}
				set.Link.Window = c.room
				w := muxtest.NewWorld(t, raw, set)
				w.B.Handle("/answer", muxtest.RunHandler(func(_ ctx, s *stream.Blocking) {
					_, _ = s.Read(make([]byte, 10))
					_, _ = s.Write(make([]byte, 10_000))
				}))
				d := newDeaf(w)
				start := time.Now()
				for id := uint32(1); ; id += 2 {
					d.send(syn(id, "/answer", "please"))
					select {
					case <-w.B.Gone:
						if e := w.B.Ended(); e == nil || !errors.Is(e.Err, c.want) {
							t.Errorf("ended with %+v", e)
						}
						if took := time.Since(start); took > 15*time.Second {
							t.Errorf("it took %v", took)
						}
						return
					case <-time.After(c.pace):
					}
				}
			})
		})
	}
}

func TestARemoteThatReadsSlowlyIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := muxtest.Setup{Bare: true, Bulk: true}
		set.Link.Window = 64 << 10
		w := muxtest.NewWorld(t, raw, set)
		w.B.Handle("/bulk", muxtest.RunHandler(func(c ctx, s *stream.Blocking) {
			for c.Err() == nil {
				_, _ = s.Write(make([]byte, 100_000))
			}
		}))
		w.B.Handle("/sink", muxtest.EchoByTask)
		r := newSlow(w, 20_000)
		r.open(t).write(propose("/bulk"))
		up := r.open(t)
		up.write(propose("/sink"))
		for range 300 { // five minutes with traffic both ways
			muxtest.Elapse(time.Second)
			up.write([]byte("x"))
		}
		if e := w.B.Ended(); e != nil {
			t.Fatalf("ended: %v", e.Err)
		}
		r.halt()
	})
}

// slow is a remote over yamux that reads so many bytes a second.
type slow struct {
	*yamuxRemote
	rate int
	quit chan struct{}
}

func newSlow(w *muxtest.World, rate int) *slow {
	r := &slow{makeYamuxRemote(w), rate, make(chan struct{})}
	r.raw.Bind(r, 1)
	r.do(func() {})
	return r
}

func (r *slow) Offer(b *buf.Buf) {
	select {
	case <-time.After(time.Duration(len(b.B)) * time.Second / time.Duration(r.rate)):
	case <-r.quit:
	}
	r.yamuxRemote.Offer(b)
}

func (r *slow) halt() {
	close(r.quit)
	_ = r.raw.Close()
}

func TestAnIdleConnectionIsPingedEveryHalfMinuteAndNotMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := muxtest.NewWorld(t, raw, muxtest.Setup{Bare: true})
		r := newYamuxRemote(w)
		synctest.Wait()
		before := r.bytesIn()
		muxtest.Elapse(10*time.Minute + time.Second)
		if n := (r.bytesIn() - before) / yamux.HeaderSize; n < 15 || n > 25 {
			t.Errorf("%d frames in ten minutes", n)
		}
		if e := w.B.Ended(); e != nil {
			t.Errorf("ended: %v", e.Err)
		}
	})
}

func (r *yamuxRemote) bytesIn() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int(r.core.Stats().BytesIn)
}

func TestFloodsEndTheConnection(t *testing.T) {
	for name, c := range map[string]struct {
		one  func(i uint32) []byte
		want error
	}{
		"SYN and RST": {func(i uint32) []byte {
			return append(syn(2*i+1, "/echo", "x"), frame(yamux.TypeWindowUpdate, yamux.FlagRST, 2*i+1, 0)...)
		}, yamux.ErrResetFlood},
		"pings": {func(i uint32) []byte { return frame(yamux.TypePing, yamux.FlagSYN, 0, i) }, yamux.ErrControlFlood},
		"a window past the end": {func(uint32) []byte {
			return append(syn(1, "/echo", ""), frame(yamux.TypeWindowUpdate, 0, 1, 1<<32-1)...)
		}, yamux.ErrWindowOverflow},
		"data past the window": {func(uint32) []byte {
			return append(syn(1, "/echo", ""), frame(yamux.TypeData, 0, 1, 1<<30)...)
		}, yamux.ErrWindowExceeded},
		"garbage": {func(uint32) []byte { return bytes.Repeat([]byte{0xa5}, 64) }, yamux.ErrVersion},
	} {
		t.Run(name, func(t *testing.T) {
			end, subject := record(raw)
			w := muxtest.NewWorld(t, subject, muxtest.Setup{Bare: true})
			w.B.Handle("/echo", muxtest.EchoByActor)
			d := newDeaf(w)
			for i, sent := uint32(0), 0; sent < 10<<20; i++ {
				p := c.one(i)
				if sent += len(p); !d.send(p) {
					break
				}
			}
			w.Within("the connection ends", w.B.Gone)
			if e := w.B.Ended(); !errors.Is(e.Err, c.want) {
				t.Errorf("ended with %+v", e)
			}
			if !end.reset.Load() {
				t.Error("what it may never read is still to be sent")
			}
		})
	}
}

func TestAConnectionThatEndsInOrderIsNotReset(t *testing.T) {
	end, subject := record(raw)
	w := muxtest.NewWorld(t, subject, muxtest.Setup{Bare: true})
	newYamuxRemote(w)
	if err := w.B.Session.Control(&messages.CloseConn{Code: 7}); err != nil {
		t.Fatal(err)
	}
	w.Within("the connection ends", w.B.Gone)
	if end.reset.Load() || !end.closed.Load() {
		t.Error("its last words are not sent")
	}
}

func TestANumberThatIsUsedAgainIsAnotherStream(t *testing.T) {
	w := muxtest.NewWorld(t, raw, muxtest.Setup{Bare: true})
	e := muxtest.NewEnding()
	w.B.Handle("/a", e.Handler())
	w.B.Handle("/echo", muxtest.EchoByActor)
	r := newYamuxRemote(w)
	h := newHand()
	r.mu.Lock()
	r.hands[1] = h
	// The handler of the first is on its way when the number is used for another. What is read at once is
	// handled before there is an answer to any of it.
	r.send(slices.Concat(
		syn(1, "/a", "first"), frame(yamux.TypeWindowUpdate, yamux.FlagRST, 1, 9), syn(1, "/echo", "second"),
	))
	r.mu.Unlock()
	for told := ""; told != "stopped"; {
		told = muxtest.Within(t, "the first handler ends", e.Told)
	}
	w.Eventually("one stream is left", func() bool {
		used, _ := w.B.Streams.Used()
		return used == 1 && w.B.Count("handler") == 1
	})
	r.do(func() {
		p := []byte(" third")
		r.send(append(frame(yamux.TypeData, 0, 1, uint32(len(p))), p...))
	})
	got := readFrames(t, r, w)
	if got != agreement("/echo")+"second third" {
		t.Fatalf("the second stream muxtest.Echoes %q", got)
	}
}

// readFrames ends the remote's part and returns the bytes that stream 1 was sent: its core knows
// nothing of the stream, which was opened past it.
func readFrames(t *testing.T, r *yamuxRemote, w *muxtest.World) string {
	t.Helper()
	want := len(agreement("/echo")) + len("second third")
	var body []byte
	w.Eventually("the echo comes", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		body = body[:0]
		in := r.log
		for len(in) >= yamux.HeaderSize {
			h, err := yamux.ParseHeader(in)
			if err != nil {
				t.Fatal(err)
			}
			in = in[yamux.HeaderSize:]
			if h.Type == yamux.TypeData {
				body = append(body, in[:h.Length]...)
				in = in[h.Length:]
			}
		}
		return len(body) >= want
	})
	return string(body)
}

func TestRecordsMayBeCutAnywhere(t *testing.T) {
	w := muxtest.NewWorld(t, raw, muxtest.Setup{Bare: true})
	w.B.Handle("/echo", muxtest.EchoByActor)
	newDeaf(w)
	q, _ := muxtest.Sealer{}.Seal(nil, syn(1, "/echo", "hello"))
	q, _ = muxtest.Sealer{}.Seal(q, frame(yamux.TypeWindowUpdate, yamux.FlagFIN, 1, 0))
	for _, c := range q {
		if n, err := w.A.Link.Secured.Raw.TryWrite([]byte{c}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	w.Eventually("the stream comes and goes", func() bool {
		used, _ := w.B.Streams.Used()
		return used == 0 && len(w.Runtime.Tree("b").Dead) > 0
	})
}
