package yamux

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// books is what a session has to have on its books, worked out from its events alone.
type books struct {
	*script
	held   map[uint32]int
	unread []uint32 // those that hold something, whoever has consumed nothing for longest first
	since  map[uint32]time.Time
}

// settle takes the events since the last look, and compares.
func (b *books) settle(why string) {
	b.t.Helper()
	b.drain()
	for _, ev := range b.evs {
		switch ev.Kind {
		case StreamOpened:
			b.held[ev.ID] = 0
		case Data:
			b.held[ev.ID] += ev.N
			if !slices.Contains(b.unread, ev.ID) {
				b.unread = append(b.unread, ev.ID)
				b.since[ev.ID] = b.now
			}
		case StreamClosed:
			if ev.N != b.held[ev.ID] {
				b.t.Fatalf("%s: stream %d closed with %d bytes unread, want %d", why, ev.ID, ev.N, b.held[ev.ID])
			}
			delete(b.held, ev.ID)
			b.forget(ev.ID)
		case Ended:
			b.t.Fatalf("%s: %v", why, ev.Err)
		default:
		}
	}
	b.evs, b.out = nil, nil
	var held, grown, usage int
	for id, n := range b.held {
		st := b.s.streams[id]
		if st == nil || st.held != n {
			b.t.Fatalf("%s: stream %d holds %+v, want %d bytes", why, id, st, n)
		}
		held += n
		grown += st.window - ProtocolWindow
		usage += max(st.window-ProtocolWindow, n)
	}
	if got := b.s.Stats(); got.Held != held || got.Grown != grown || b.s.Usage() != usage || len(b.s.streams) != len(b.held) {
		b.t.Fatalf("%s: held %d, grown %d, usage %d, want %d, %d, %d", why, got.Held, got.Grown, b.s.Usage(), held, grown, usage)
	}
	if got := b.s.Unread(); !slices.Equal(got, b.unread) {
		b.t.Fatalf("%s: unread are %v, want %v", why, got, b.unread)
	}
	since := b.now
	for sum, left := 0, b.unread; len(left) > 0; left = left[1:] {
		if sum += b.held[left[0]]; 2*sum >= held {
			since = b.since[left[0]]
			break
		}
	}
	if got := b.s.UnreadSince(b.now); !got.Equal(since) {
		b.t.Fatalf("%s: half is unread since %v, want %v", why, got, since)
	}
}

func (b *books) forget(id uint32) {
	b.unread = slices.DeleteFunc(b.unread, func(u uint32) bool { return u == id })
}

// consume says that n bytes are done with, and notes what that makes of it.
func (b *books) consume(id uint32, n int) {
	b.s.Consumed(b.now, id, n)
	if n == 0 {
		return
	}
	b.forget(id)
	if b.held[id] -= min(n, b.held[id]); b.held[id] > 0 {
		b.unread = append(b.unread, id)
		b.since[id] = b.now
	}
}

// Whatever streams do, the session's sums are those of its streams, and it knows which has stood
// unread longest.
func TestUsageIsTheSumOfItsStreams(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			x := newScript(t, Config{WindowBudget: 8 << 20, ControlBurst: 1 << 20, ResetBurst: 1 << 20}, Server)
			x.now = x.now.Add(time.Second)
			x.send(Header{Type: TypePing, Flags: FlagACK, Length: 1}) // a long round trip: windows grow
			b := &books{script: x, held: map[uint32]int{}, since: map[uint32]time.Time{}}
			next := uint32(1)
			var widest, most int
			for range 1000 {
				ids := make([]uint32, 0, len(b.held))
				for id := range b.held {
					ids = append(ids, id)
				}
				slices.Sort(ids)
				if len(ids) == 0 || len(ids) < 12 && r.IntN(8) == 0 {
					x.open(next)
					b.held[next] = 0
					ids = append(ids, next)
					next += 2
					b.settle("opened")
				}
				id := ids[r.IntN(len(ids))]
				b.act(r, id, x.s.streams[id])
				x.now = x.now.Add(time.Duration(r.IntN(int(time.Second))))
				widest, most = max(widest, x.s.grown), max(most, x.s.excess)
			}
			if widest == 0 || most == 0 {
				t.Fatal("windows never grew, or nothing was ever held: this proves nothing")
			}
		})
	}
}

// act does something to a stream.
func (b *books) act(r *rand.Rand, id uint32, st *stream) {
	b.t.Helper()
	switch k := r.IntN(40); {
	case k < 16 && st.grant > 0 && !st.remoteClosed:
		n := r.IntN(int(st.grant)) + 1
		if k < 4 {
			n = int(st.grant)
		}
		h := Header{Type: TypeData, ID: id, Length: uint32(n)}
		if r.IntN(30) == 0 {
			h.Flags = FlagFIN
		}
		frame := append(h.Append(nil), make([]byte, n)...)
		cut := r.IntN(len(frame))
		b.raw(frame[:cut])
		b.settle("a part of a frame")
		if k%2 == 0 {
			b.consume(id, r.IntN(n))
			b.settle("some of it was consumed")
		}
		b.raw(frame[cut:])
		b.settle("a frame")
	case k < 34:
		b.consume(id, []int{0, 1, st.held / 2, st.held, st.held + 1}[r.IntN(5)])
		b.settle("consumed")
	case k == 34:
		b.s.SetWindowBudget(r.IntN(8 << 20))
	case k == 35:
		before, by := b.s.Grown(), r.IntN(4<<20)
		if b.s.Narrow(by); b.s.Grown() > max(before-by, 0) || b.s.Grown() < before-by-len(b.held) {
			b.t.Fatalf("narrowed by %d, windows had grown by %d and still have by %d", by, before, b.s.Grown())
		}
		b.settle("narrowed")
	case k == 36 && r.IntN(3) == 0:
		b.s.CloseRead(b.now, id, 0)
		b.held[id] = 0
		b.forget(id)
		b.settle("nobody reads it")
	case k == 37 && r.IntN(3) == 0:
		b.s.Reset(b.now, id, 0)
		b.settle("reset")
	case k == 38 && r.IntN(3) == 0:
		b.send(Header{Type: TypeWindowUpdate, Flags: FlagRST, ID: id})
		b.settle("reset by the remote")
	case k == 39 && !st.remoteClosed:
		b.send(Header{Type: TypeWindowUpdate, Flags: FlagFIN, ID: id})
		b.settle("closed by the remote")
	default:
		if err := b.s.CloseWrite(b.now, id); err != nil {
			b.t.Fatal(err)
		}
		b.settle("closed here")
	}
}

func TestNarrowTakesBackPromisesAndNothingElse(t *testing.T) {
	const kib = 1 << 10
	x := measured(t, Config{}, time.Second)
	x.open(3)
	x.open(5)
	for id, times := range map[uint32]int{1: 2, 3: 1} {
		for range times {
			x.fill(id, granted(x, id))
		}
	}
	want := func(why string, usage int, windows ...int) {
		t.Helper()
		got := []int{window(x, 1) / kib, window(x, 3) / kib, window(x, 5) / kib}
		if x.s.Usage() != usage*kib || fmt.Sprint(got) != fmt.Sprint(windows) {
			t.Fatalf("%s: usage %d KiB, windows %d; want %d, %d", why, x.s.Usage()/kib, got, usage, windows)
		}
	}
	want("windows have grown", 768+256, 1024, 512, 256)
	x.out = nil
	x.send(Header{Type: TypeData, ID: 1, Length: 256 * kib}, zeros(256*kib))
	want("what is held within what the window has grown by costs nothing more", 768+256, 1024, 512, 256)
	x.s.Narrow(512 * kib)
	want("each gives half of what it has", 384+128, 640, 384, 256)
	x.s.Consumed(x.now, 1, 256*kib)
	x.want("what is granted stays granted, so there is no room for more")
	x.send(Header{Type: TypeData, ID: 1, Length: 768 * kib}, zeros(768*kib))
	want("a remote that uses what it was granted is not at fault", 768+128, 640, 384, 256)
	x.s.Narrow(-1)
	want("nothing was asked for", 768+128, 640, 384, 256)
	x.s.Narrow(1 << 30)
	want("what is held is held, whatever was promised", 768, 256, 256, 256)
	x.now = x.now.Add(time.Minute)
	x.s.Consumed(x.now, 1, 768*kib)
	want("windows are as wide as they were left", 0, 256, 256, 256)
	x.want("and there is credit for that", "ping SYN 0 2", "window 1 262144")
}

func TestAStreamOverMaxHeldIsToldWhichLimitItWas(t *testing.T) {
	x := newScript(t, Config{MaxHeld: ProtocolWindow}, Server)
	x.open(1)
	x.open(3)
	for _, id := range []uint32{1, 3} {
		x.send(Header{Type: TypeData, ID: id, Length: ProtocolWindow - 1}, zeros(ProtocolWindow-1))
	}
	i := slices.IndexFunc(x.evs, func(ev Event) bool { return ev.Kind == StreamReset })
	if i < 0 || x.evs[i].ID != 3 || x.evs[i].Code != ResetResourceLimit || x.evs[i].Err != ErrMaxHeld {
		t.Fatalf("%+v", x.evs)
	}
}
