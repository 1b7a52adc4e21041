package actors

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ledger makes chunks and knows which have been given back.
type ledger struct{ made, released atomic.Int64 }

type piece struct {
	l    *ledger
	b    []byte
	gone bool
}

func (l *ledger) make(n int) Chunk {
	l.made.Add(1)
	return &piece{l: l, b: make([]byte, 0, max(4, min(n, 64)))}
}

func (c *piece) Bytes() []byte { return c.b }
func (c *piece) Append(p []byte) int {
	n := min(len(p), cap(c.b)-len(c.b))
	c.b = append(c.b, p[:n]...)
	return n
}

func (c *piece) Release() {
	if c.gone {
		panic("released twice")
	}
	c.gone = true
	for i := range c.b {
		c.b[i] = 0xAA // poison
	}
	c.l.released.Add(1)
}

func (l *ledger) check(t *testing.T) {
	t.Helper()
	if l.made.Load() != l.released.Load() {
		t.Fatalf("%d chunks made, %d given back", l.made.Load(), l.released.Load())
	}
}

func TestPipe(t *testing.T) {
	reason := errors.New("reason")
	for name, c := range map[string]struct {
		script func(p *Pipe) []any // what Read, Put and so on gave
		want   string
	}{
		"bytes come out as they went in": {func(p *Pipe) []any {
			return []any{p.Put([]byte("hel")), p.Put([]byte("lo")), p.Len(), read(p, 4), read(p, 4), p.Len()}
		}, "[true true 5 hell o 0]"},
		"the end comes after the last byte": {func(p *Pipe) []any {
			p.Put([]byte("ab"))
			p.End(io.EOF)
			p.End(reason)
			return []any{p.Put([]byte("c")), read(p, 1), read(p, 1), read(p, 1), read(p, 1)}
		}, "[false a b EOF EOF]"},
		"a break comes at once and counts what nobody has read": {func(p *Pipe) []any {
			p.Put([]byte("abcd"))
			r := read(p, 1)
			return []any{r, p.Break(reason), p.Break(io.EOF), read(p, 1), p.Put([]byte("x")), p.Len()}
		}, "[a 4 0 reason false 0]"},
		"a deadline that has passed beats the bytes": {func(p *Pipe) []any {
			p.Put([]byte("ab"))
			p.SetDeadline(time.Unix(1, 0))
			late := read(p, 2)
			p.SetDeadline(time.Time{})
			return []any{late, read(p, 2)}
		}, "[i/o timeout ab]"},
		"empty reads and puts": {func(p *Pipe) []any {
			return []any{p.Put(nil), read(p, 0), p.Len(), p.Put([]byte("a")), read(p, 0), read(p, 9)}
		}, "[true  0 true  a]"},
	} {
		t.Run(name, func(t *testing.T) {
			rt, _ := standStill(t)
			var l ledger
			p := rt.NewPipe(l.make, 1<<20, nil)
			if got := fmt.Sprint(c.script(p)); got != c.want {
				t.Fatalf("got  %s\nwant %s", got, c.want)
			}
			p.Break(io.ErrClosedPipe)
			l.check(t)
		})
	}
}

func read(p *Pipe, n int) any {
	b := make([]byte, n)
	k, err := p.Read(b)
	if err != nil {
		return err
	}
	return string(b[:k])
}

func TestAReaderIsWokenByWhateverHappens(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(p *Pipe)
		want string
	}{
		"bytes":             {func(p *Pipe) { p.Put([]byte("x")) }, "x"},
		"end":               {func(p *Pipe) { p.End(io.EOF) }, "EOF"},
		"break":             {func(p *Pipe) { p.Break(io.ErrClosedPipe) }, io.ErrClosedPipe.Error()},
		"past deadline":     {func(p *Pipe) { p.SetDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded.Error()},
		"near deadline":     {func(p *Pipe) { p.SetDeadline(time.Now().Add(time.Millisecond)) }, os.ErrDeadlineExceeded.Error()},
		"deadline, renewed": {func(p *Pipe) { p.SetDeadline(time.Now().Add(time.Hour)); p.Put([]byte("y")) }, "y"},
	} {
		t.Run(name, func(t *testing.T) {
			rt := run(t)
			var l ledger
			p := rt.NewPipe(l.make, 1, nil)
			got := make(chan string, 2)
			for range 2 { // two readers: one after the other
				go func() { got <- fmt.Sprint(read(p, 1)) }()
			}
			if !eventually(func() bool { return !p.reader.TryLock() || unlock(&p.reader) }) {
				t.Fatal("nobody reads")
			}
			c.do(p)
			want(t, "the first reader", got, c.want)
			p.Break(io.EOF)
			within(t, "the second reader", got)
			l.check(t)
		})
	}
}

func unlock(mu *sync.Mutex) bool { mu.Unlock(); return false }

func TestProgressIsToldInBatchesAndWhenThePipeRunsEmpty(t *testing.T) {
	rt, _ := standStill(t)
	var l ledger
	var told []int
	p := rt.NewPipe(l.make, 10, func(n int) { told = append(told, n) })
	p.Put(make([]byte, 25))
	for range 5 {
		read(p, 4)
	}
	read(p, 100)
	if got := fmt.Sprint(told); got != "[12 13]" {
		t.Fatal(got)
	}
	p.Put(make([]byte, 5))
	read(p, 3) // neither a batch nor empty
	if n := p.Break(io.EOF); n != 5 || len(told) != 2 {
		t.Fatalf("%d bytes of credit are lost", 5-n)
	}
	l.check(t)
}

func TestSmallPiecesShareChunks(t *testing.T) {
	rt, _ := standStill(t)
	var l ledger
	p := rt.NewPipe(l.make, 1, nil)
	for range 64 {
		p.Put(make([]byte, 1))
	}
	if n := l.made.Load(); n > 16 {
		t.Fatalf("%d chunks for 64 bytes", n)
	}
	p.Break(io.EOF)
	l.check(t)
}

// Bytes and credit are conserved while a writer, a reader and a late break race.
// A reader that has fallen behind catches up, while more comes: the list of chunks is taken off at
// its front and used again.
func TestALongListOfChunksKeepsItsOrder(t *testing.T) {
	l := &ledger{}
	p := run(t).NewPipe(l.make, 1, func(int) {})
	next, want := byte(0), byte(0)
	put := func(n int) {
		for range n {
			b := make([]byte, 64) // a chunk of its own
			for i := range b {
				b[i] = next
			}
			next++
			if !p.Put(b) {
				t.Fatal("refused")
			}
		}
	}
	get := func(n int) {
		var b [64]byte
		for range n {
			if _, err := io.ReadFull(p, b[:]); err != nil || b[0] != want || b[63] != want {
				t.Fatalf("got %d to %d, %v, want %d", b[0], b[63], err, want)
			}
			want++
		}
	}
	put(1000)
	for range 500 {
		get(7)
		put(6)
	}
	get(p.Len() / 64)
	put(3)
	get(3)
	put(100)
	get(30)
	if n := p.Break(io.ErrClosedPipe); n < 70*64 {
		t.Errorf("%d bytes were dropped, want those of 70 chunks", n)
	}
	l.check(t)
}

// fullChunk is a chunk of one byte that costs nothing.
type fullChunk struct{}

var aByte = []byte{0}

func (fullChunk) Bytes() []byte     { return aByte }
func (fullChunk) Append([]byte) int { return 1 }
func (fullChunk) Release()          {}

func TestAPipeThatIsEmptiedAgainAndAgainAllocatesNothing(t *testing.T) {
	rt, _ := standStill(t)
	var chunk Chunk = fullChunk{}
	p := rt.NewPipe(func(int) Chunk { return chunk }, 1, nil)
	b := make([]byte, 16) // a window, in chunks of 16 KiB
	if n := testing.AllocsPerRun(100, func() {
		p.Put(b)
		if _, err := io.ReadFull(p, b); err != nil {
			t.Error(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAPipeUnderLoadLosesNothing(t *testing.T) {
	rt := run(t)
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		var l ledger
		var credit atomic.Int64
		p := rt.NewPipe(l.make, 100, func(n int) { credit.Add(int64(n)) })
		want := make([]byte, 20_000)
		for i := range want {
			want[i] = byte(rnd.Uint32())
		}
		var got bytes.Buffer
		done := make(chan error, 1)
		go func() {
			b := make([]byte, 200)
			for {
				n, err := p.Read(b[:1+len(got.Bytes())%200])
				got.Write(b[:n])
				if err != nil {
					done <- err
					return
				}
			}
		}()
		for rest := want; len(rest) > 0; {
			n := min(len(rest), rnd.IntN(300))
			p.Put(rest[:n])
			rest = rest[n:]
		}
		if seed%2 == 0 {
			p.End(io.EOF)
			if err := within(t, "end", done); err != io.EOF || !bytes.Equal(got.Bytes(), want) || credit.Load() != int64(len(want)) {
				t.Fatalf("seed %d: %v, %d of %d bytes, %d credited", seed, err, got.Len(), len(want), credit.Load())
			}
		} else {
			dropped := p.Break(io.ErrClosedPipe)
			within(t, "end", done)
			if !bytes.HasPrefix(want, got.Bytes()) || credit.Load()+int64(dropped) != int64(len(want)) {
				t.Fatalf("seed %d: %d bytes read, %d credited and %d dropped of %d", seed, got.Len(), credit.Load(), dropped, len(want))
			}
		}
		l.check(t)
	}
}

func TestCrossing(t *testing.T) {
	rt := run(t)
	x := rt.NewCrossing()
	x.Done(9, nil) // no call is open
	reason := errors.New("reason")
	x.Begin()
	go x.Done(3, reason)
	if n, err, late := x.Wait(); n != 3 || err != reason || late {
		t.Fatal(n, err, late)
	}
	x.End()
	x.Done(9, nil) // too late
	x.Begin()
	x.SetDeadline(rt.Now().Add(time.Millisecond))
	if _, err, late := x.Wait(); !late || !errors.Is(err, os.ErrDeadlineExceeded) || !x.Late() {
		t.Fatal(err, late)
	}
	go x.Done(2, nil)
	if n, err := x.WaitDone(); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	x.End()
	x.SetDeadline(time.Time{})
	if x.Late() {
		t.Fatal("late without a deadline")
	}
	x.Begin()
	second := make(chan int, 1)
	go func() { // waits for the first caller's End
		x.Begin()
		defer x.End()
		x.Done(5, nil)
		n, _ := x.WaitDone()
		second <- n
	}()
	x.Done(4, nil)
	if n, _, _ := x.Wait(); n != 4 {
		t.Fatal(n)
	}
	x.End()
	want(t, "the second caller's answer", second, 5)
	x.Begin()
	got := make(chan bool, 1)
	go func() { _, _, late := x.Wait(); got <- late }()
	x.SetDeadline(rt.Now())
	want(t, "a deadline that is set while it waits", got, true)
	x.Done(0, nil)
	_, _ = x.WaitDone()
	x.End()
	if n := testing.AllocsPerRun(100, func() { x.SetDeadline(time.Time{}); x.Begin(); x.Done(1, nil); x.Wait(); x.End() }); n > 0 {
		t.Fatalf("%v allocations for a call", n)
	}
}
