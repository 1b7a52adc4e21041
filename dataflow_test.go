package troupe_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/testkit/muxtest"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/tcp"

	ma "github.com/multiformats/go-multiaddr"
)

// Where bytes are copied, as docs/dataflow.md states it: two connections over TCP, Noise and yamux,
// and spies between the layers that compare where bytes stand, not what they are. Allocations are
// counted in dataflow_allocs_test.go.

// standsIn says that part stands inside of whole.
func standsIn(whole, part []byte) bool {
	if len(part) == 0 {
		return true
	}
	whole = whole[:cap(whole)]
	for i := range whole {
		if &whole[i] == &part[0] {
			return i+len(part) <= len(whole)
		}
	}
	return false
}

// spies watch the sender's way out and the receiver's way in.
type spies struct {
	mu   sync.Mutex
	body []byte // of the one who writes

	straight, gathered int    // bytes that were sealed where they stood in body, and elsewhere
	sealed             []byte // what the sealer has appended to
	moved              int    // bytes that were written from elsewhere

	read            [][]byte // the latest
	fed             []byte
	reads, strange  int // buffers fed to the opener, and those that were not what was read
	inPlace, beside int // bytes that were opened where they had been read, and elsewhere
	pieces          int // frames that were opened elsewhere
}

type spySealer struct {
	conduit.Sealer
	*spies
}

func (s spySealer) Seal(dst, p []byte) ([]byte, error) {
	out, err := s.Sealer.Seal(dst, p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if standsIn(s.body, p) {
		s.straight += len(p)
	} else {
		s.gathered += len(p)
	}
	s.sealed = out
	return out, err
}

type spyOpener struct {
	conduit.Opener
	*spies
}

func (s spyOpener) Feed(p []byte) {
	s.mu.Lock()
	s.fed = p
	s.reads++
	if !slices.ContainsFunc(s.read, func(b []byte) bool { return standsIn(b, p) }) {
		s.strange++
	}
	s.mu.Unlock()
	s.Opener.Feed(p)
}

func (s spyOpener) Next() ([]byte, bool, error) {
	p, ok, err := s.Opener.Next()
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok && standsIn(s.fed, p) {
		s.inPlace += len(p)
	} else if ok {
		s.beside += len(p)
		s.pieces++
	}
	return p, ok, err
}

// spyOut is the sender's socket.
type spyOut struct {
	conduit.Raw
	*spies
}

func (s spyOut) TryWrite(p []byte) (int, error) {
	s.look(p)
	return s.Raw.TryWrite(p)
}

func (s spyOut) Drain(p []byte) {
	s.look(p)
	s.Raw.Drain(p)
}

func (s spyOut) look(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !standsIn(s.sealed, p) {
		s.moved += len(p)
	}
}

// spyIn is the receiver's socket.
type spyIn struct {
	conduit.Raw
	*spies
}

func (s spyIn) Bind(to conduit.Sink, credits int) { s.Raw.Bind(spySink{to, s.spies}, credits) }

type spySink struct {
	conduit.Sink
	*spies
}

func (s spySink) Offer(b *buf.Buf) {
	s.mu.Lock()
	s.read = append(s.read[max(0, len(s.read)-8):], b.B)
	s.mu.Unlock()
	s.Sink.Offer(b)
}

// secure gives two links the keys of a handshake.
func secure(t testing.TB, a, b *messages.Link) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{1})
	side := func(initiator bool) *noise.Handshake {
		key, err := identity.GenerateKey(identity.Ed25519, random)
		if err != nil {
			t.Fatal(err)
		}
		static, err := noise.NewStatic(key, random)
		if err != nil {
			t.Fatal(err)
		}
		h, err := noise.New(noise.Config{Initiator: initiator, Static: static, Rand: random})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	x, y := side(true), side(false)
	for range 2 {
		for _, err := range []error{second(y.HandleBytes(x.AppendOutput(nil))), second(x.HandleBytes(y.AppendOutput(nil)))} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for l, h := range map[*messages.Link]*noise.Handshake{a: x, b: y} {
		r, ok := h.Done()
		if !ok {
			t.Fatal("the handshake is not over")
		}
		// Without the opener's Close: at the end of a World it would come in the midst of a turn.
		l.Secured.Seal, l.Secured.Open = r.Seal, struct{ conduit.Opener }{r.Open}
	}
}

func second[T any](_ T, err error) error { return err }

// spied is a connection with spies: A sends, B receives.
func spied(t *testing.T) (*muxtest.World, *spies) {
	s := &spies{}
	link := func(t testing.TB, rt *actors.Runtime, _ muxtest.LinkOptions) (a, b *messages.Link) {
		x, y := transporttest.Pair(t, tcp.New(rt, tcp.Config{}), ma.StringCast("/ip4/127.0.0.1/tcp/0"))
		a = muxtest.LinkTo(t, x, transporttest.Key(2).Public())
		b = muxtest.LinkTo(t, y, transporttest.Key(1).Public())
		secure(t, a, b)
		a.Secured.Seal, a.Secured.Raw = spySealer{a.Secured.Seal, s}, spyOut{a.Secured.Raw, s}
		b.Secured.Open, b.Secured.Raw = spyOpener{b.Secured.Open, s}, spyIn{b.Secured.Raw, s}
		return a, b
	}
	w := muxtest.NewWorld(t, muxtest.Subject{Name: "noise", Link: link}, muxtest.Setup{Bulk: true})
	t.Cleanup(func() { // or the end comes in the midst of a frame, of which nobody takes the buffer back
		w.Eventually("all streams are over", func() bool { return !w.A.InUse() && !w.B.InUse() })
	})
	return w, s
}

// Out: bodies of more than 4 KiB are sealed from where their owner has them, into the buffer that is
// written from. Smaller ones are copied once, to share a record.
func TestDataFlowOutCopiesNothingBeforeItIsSealed(t *testing.T) {
	const all = 192 << 10 // less than a window: nobody waits
	for _, row := range []struct {
		name string
		size int
		send func(w *muxtest.World, body *buf.Buf)
		copy bool
	}{
		{"a function writes large pieces", 64 << 10, sendByFunction, false},
		{"a function writes small pieces", 1 << 10, sendByFunction, true},
		{"an actor gives large pieces away", 64 << 10, sendByActor, false},
		{"an actor gives small pieces away", 1 << 10, sendByActor, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			w, s := spied(t)
			got := make(chan int64, 1)
			w.B.Handle("/sink", functionSink(got))
			body := buf.Get(row.size)
			s.mu.Lock()
			s.body = body.B
			s.mu.Unlock()
			for range all / row.size {
				body.Retain()
			}
			row.send(w, body)
			if n := muxtest.Within(t, "all of it arrives", got); n != all {
				t.Fatalf("%d bytes arrived", n)
			}
			body.Release()
			s.mu.Lock()
			defer s.mu.Unlock()
			straight, gathered := all, 0
			if row.copy {
				straight, gathered = 0, all
			}
			// Beside the bodies there are the headers, and what the stream begins with.
			if more := s.gathered - gathered; s.straight != straight || more < 0 || more > 4<<10+all/row.size*yamux.HeaderSize {
				t.Errorf("%d bytes were sealed straight from their owner and %d from elsewhere", s.straight, s.gathered)
			}
			if s.moved != 0 {
				t.Errorf("%d bytes were not written from where they had been sealed to", s.moved)
			}
		})
	}
}

func sendByFunction(w *muxtest.World, body *buf.Buf) {
	s := w.A.Open("/sink")
	for sent := 0; sent < 192<<10; sent += len(body.B) {
		_, _ = s.Write(body.B)
		body.Release()
	}
	_ = s.Close()
}

func sendByActor(w *muxtest.World, body *buf.Buf) {
	left := 192 << 10
	write := func(s *stream.Stream) {
		for left > 0 {
			left -= len(body.B)
			if s.Write(body) != stream.Accepted {
				return
			}
		}
		s.CloseWrite()
	}
	_, _ = w.A.Ask(messages.OpenStream{Protocols: []string{"/sink"}, Handler: muxtest.ActorHandler(func(*stream.Stream) actor.Actor {
		return receiver(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *stream.Opened:
				write(m.Stream)
			case *stream.Writable:
				write(m.Stream)
			}
		})
	})})
}

// In: what was read is opened where it was read to, but for the one frame that a read may end in;
// that one is copied beside first.
func TestDataFlowInIsOpenedInPlace(t *testing.T) {
	for name, sink := range map[string]func(chan<- int64) stream.Handler{"to a function": functionSink, "to an actor": actorSink} {
		t.Run(name, func(t *testing.T) {
			const all = 8 << 20
			w, s := spied(t)
			got := make(chan int64, 1)
			w.B.Handle("/sink", sink(got))
			st := w.A.Open("/sink")
			if _, err := st.Write(make([]byte, all)); err != nil {
				t.Fatal(err)
			}
			_ = st.CloseWrite()
			if n := muxtest.Within(t, "all of it arrives", got); n != all {
				t.Fatalf("%d bytes arrived", n)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.strange != 0 {
				t.Errorf("%d of %d reads were opened from another buffer", s.strange, s.reads)
			}
			if s.pieces > s.reads || s.beside > s.reads*noise.DefaultFrame || s.inPlace == 0 {
				t.Errorf("%d frames were copied beside in %d reads", s.pieces, s.reads)
			}
			t.Logf("%.2f copies of each byte before it was opened, %d reads", float64(s.beside)/float64(s.beside+s.inPlace), s.reads)
		})
	}
}

// In, further on: yamux hands out what it was given, and whoever does not read has a byte once. An
// actor handler gets that buffer; Read is another copy.
func TestDataFlowInIsCopiedOnceToWait(t *testing.T) {
	core := yamux.New(yamux.Config{}, yamux.Server, boundEpoch)
	frame := append(yamux.Header{Type: yamux.TypeData, Flags: yamux.FlagSYN, ID: 1, Length: 1000}.Append(nil), make([]byte, 1000)...)
	if err := core.HandleBytes(boundEpoch, frame); err != nil {
		t.Fatal(err)
	}
	same := false
	for e, ok := core.Next(); ok; e, ok = core.Next() {
		same = same || e.Kind == yamux.Data && len(e.P) == 1000 && &e.P[0] == &frame[yamux.HeaderSize]
	}
	if !same {
		t.Error("yamux has copied what it got")
	}

	const some = 10_000
	for name, handler := range map[string]func(held chan<- bool, over <-chan struct{}) stream.Handler{
		"function": func(held chan<- bool, over <-chan struct{}) stream.Handler {
			return muxtest.RunHandler(func(_ context.Context, s *stream.Blocking) {
				held <- true
				<-over
				_, _ = io.Copy(io.Discard, s)
			})
		},
		"actor": func(held chan<- bool, over <-chan struct{}) stream.Handler {
			return muxtest.ActorHandler(func(*stream.Stream) actor.Actor {
				return receiver(func(ctx actor.Context) {
					switch m := ctx.Message().(type) {
					case *stream.Data:
						m.Hold()
						b := m.Take()
						held <- len(b.B) == some && &b.B[0] == &m.B[0]
						actors.RuntimeOf(ctx).Pump("holder", func() { <-over; b.Release(); m.Release() }, nil)
					case *stream.RemoteClosed:
						m.Stream.Close()
					}
				})
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := spied(t)
			held, over := make(chan bool, 1), make(chan struct{})
			w.B.Handle("/hold", handler(held, over))
			s := w.A.Open("/hold")
			if _, err := s.Write(make([]byte, some)); err != nil {
				t.Fatal(err)
			}
			if !muxtest.Within(t, "it arrives", held) {
				t.Error("the handler's bytes are not in the buffer that it may take")
			}
			w.Eventually("all that waits is in one buffer", func() bool { return w.Held() == 1 })
			close(over)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// countedChunk counts what is copied into it.
type countedChunk struct {
	*bytes.Buffer
	copied *int
}

func (c countedChunk) Append(p []byte) int {
	n := min(len(p), c.Cap()-c.Len())
	_, _ = c.Write(p[:n])
	*c.copied += n
	return n
}

func (c countedChunk) Release() {}

func TestDataFlowAPipeCopiesInAndOut(t *testing.T) {
	rt := actors.Live(actors.Options{})
	defer rt.Close(t.Context())
	copied := 0
	pipe := rt.NewPipe(func(n int) actors.Chunk { return countedChunk{bytes.NewBuffer(make([]byte, 0, min(n, 4096))), &copied} }, 1, nil)
	in, out := muxtest.Noise(1, 100_000), make([]byte, 100_000)
	for piece := range slices.Chunk(in, 1500) {
		pipe.Put(piece)
	}
	if _, err := io.ReadFull(pipe, out); err != nil || !bytes.Equal(in, out) {
		t.Fatal("other bytes:", err)
	}
	if copied != len(in) {
		t.Errorf("%d bytes were copied in, of %d", copied, len(in))
	}
}

// pourWrite is the size of a write, and of a read, of those who send much.
const pourWrite = 64 << 10

// functionSink takes all, and tells how much when the remote ends.
func functionSink(got chan<- int64) troupe.Handler {
	return troupe.StreamHandler(func(_ context.Context, s *troupe.Stream) {
		p := make([]byte, pourWrite)
		var sum int64
		for {
			n, err := s.Read(p)
			if sum += int64(n); err != nil {
				got <- sum
				return
			}
		}
	})
}

// actorSink does the same.
func actorSink(got chan<- int64) troupe.Handler {
	return troupe.ActorHandler(func() actor.Actor {
		var sum int64
		return receiver(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *troupe.StreamData:
				sum += int64(len(m.B))
			case *troupe.StreamRemoteClosed:
				got <- sum
				m.Stream.Close()
			}
		})
	})
}
