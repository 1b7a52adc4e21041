package yamux

import (
	"testing"
	"time"
)

// wire moves everything that from has to write into to, as a conduit with one reused buffer.
type wire struct {
	buf []byte
	now time.Time
}

// move reports whether anything was there. on is called for each event of to.
func (w *wire) move(from, to *Session, on func(Event)) bool {
	w.buf = w.buf[:0]
	for len(w.buf) < 256<<10 {
		hdr, body, ok := from.NextWrite()
		if !ok {
			break
		}
		w.buf = append(append(w.buf, hdr...), body...)
	}
	for _, ok := from.Next(); ok; _, ok = from.Next() {
	}
	if len(w.buf) == 0 {
		return false
	}
	if err := to.HandleBytes(w.now, w.buf); err != nil {
		panic(err)
	}
	for ev, ok := to.Next(); ok; ev, ok = to.Next() {
		on(ev)
	}
	return true
}

func noEvent(Event) {}

// bulk is one direction of 64 KiB writes over n streams, taking turns.
type bulk struct {
	wire
	a, b *Session
	ids  []uint32
	body []byte
	got  int
	on   func(Event)
}

func newBulk(t testing.TB, streams int) *bulk {
	x := &bulk{a: New(Config{}, Client, start), b: New(Config{}, Server, start), body: make([]byte, 64<<10)}
	x.now = start
	x.on = func(ev Event) {
		switch ev.Kind {
		case StreamOpened:
			x.b.Accept(x.now, ev.ID)
		case Data:
			x.got += ev.N
			x.b.Consumed(x.now, ev.ID, ev.N)
		}
	}
	for range streams {
		id, err := x.a.OpenStream(start)
		if err != nil {
			t.Fatal(err)
		}
		x.ids = append(x.ids, id)
	}
	x.round(t)
	return x
}

// round sends one body on every stream.
func (x *bulk) round(t testing.TB) {
	want := x.got + len(x.ids)*len(x.body)
	for _, id := range x.ids {
		if err := x.a.Write(x.now, id, x.body); err != nil {
			t.Fatal(err)
		}
	}
	for x.got < want || x.b.WantsWrite() {
		x.now = x.now.Add(time.Microsecond)
		x.move(x.a, x.b, x.on)
		x.move(x.b, x.a, noEvent)
	}
}

func TestBulkAllocatesNothing(t *testing.T) {
	x := newBulk(t, 16)
	for range 100 {
		x.round(t) // windows grow and buffers settle
	}
	if n := testing.AllocsPerRun(200, func() { x.round(t) }); n != 0 {
		t.Fatalf("%v allocations for 16 frames of 64 KiB and their credit", n)
	}
}

func benchmarkBulk(b *testing.B, streams int) {
	x := newBulk(b, streams)
	b.SetBytes(int64(streams * len(x.body)))
	b.ReportAllocs()
	for b.Loop() {
		x.round(b)
	}
}

// The two copies into the wire's buffer are the conduit's; the core moves no byte.
func BenchmarkBulkOneStream64KiB(b *testing.B)      { benchmarkBulk(b, 1) }
func BenchmarkBulkSixteenStreams64KiB(b *testing.B) { benchmarkBulk(b, 16) }

// exchange is request and response of 100 bytes on a new stream each, n at a time.
type exchange struct {
	wire
	a, b     *Session
	req, res []byte
	done     int
	onA, onB func(Event)
}

func newExchange() *exchange {
	x := &exchange{a: New(Config{}, Client, start), b: New(Config{}, Server, start),
		req: make([]byte, 100), res: make([]byte, 100)}
	x.now = start
	x.onB = func(ev Event) {
		switch ev.Kind {
		case StreamOpened:
			x.b.Accept(x.now, ev.ID)
		case Data:
			x.b.Consumed(x.now, ev.ID, ev.N)
		case RemoteClosed:
			if x.b.Write(x.now, ev.ID, x.res) != nil || x.b.CloseWrite(x.now, ev.ID) != nil {
				panic("no answer")
			}
		}
	}
	x.onA = func(ev Event) {
		switch ev.Kind {
		case Data:
			x.a.Consumed(x.now, ev.ID, ev.N)
		case StreamClosed:
			x.done++
		case StreamReset:
			panic("refused")
		}
	}
	return x
}

func (x *exchange) round(t testing.TB, n int) {
	want := x.done + n
	for range n {
		id, err := x.a.OpenStream(x.now)
		if err != nil {
			t.Fatal(err)
		}
		if x.a.Write(x.now, id, x.req) != nil || x.a.CloseWrite(x.now, id) != nil {
			t.Fatal("no request")
		}
	}
	for x.done < want {
		x.now = x.now.Add(time.Microsecond)
		x.move(x.a, x.b, x.onB)
		x.move(x.b, x.a, x.onA)
	}
}

func TestShortStreamsAllocateNothingOnceWarm(t *testing.T) {
	x := newExchange()
	for range 2000 {
		x.round(t, 16)
	}
	if n := testing.AllocsPerRun(500, func() { x.round(t, 16) }); n != 0 {
		t.Fatalf("%v allocations for 16 streams from SYN to both FINs", n)
	}
}

func BenchmarkThousandShortStreams(b *testing.B) {
	x := newExchange()
	b.ReportAllocs()
	for b.Loop() {
		for range 1000 / 200 {
			x.round(b, 200)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/stream")
}

func BenchmarkFramesOf100Bytes(b *testing.B) {
	s := New(Config{}, Server, start)
	in := Header{Type: TypeWindowUpdate, Flags: FlagSYN, ID: 1}.Append(nil)
	if err := s.HandleBytes(start, in); err != nil {
		b.Fatal(err)
	}
	for _, ok := s.Next(); ok; _, ok = s.Next() {
	}
	in = in[:0]
	for range 500 {
		in = append(Header{Type: TypeData, ID: 1, Length: 100}.Append(in), make([]byte, 100)...)
	}
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.HandleBytes(start, in); err != nil {
			b.Fatal(err)
		}
		for ev, ok := s.Next(); ok; ev, ok = s.Next() {
			s.Consumed(start, ev.ID, ev.N)
		}
		for _, _, ok := s.NextWrite(); ok; _, _, ok = s.NextWrite() {
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/frame")
}
