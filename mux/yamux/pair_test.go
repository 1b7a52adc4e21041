package yamux

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// chooser decides what happens next: a seeded generator, or the bytes of a fuzz input.
type chooser interface {
	// below returns a number in [0, n); ok is false when there are no more decisions.
	below(n int) (v int, ok bool)
}

type seeded struct{ r *rand.Rand }

func (c seeded) below(n int) (int, bool) { return c.r.IntN(n), true }

type scripted struct{ b []byte }

func (c *scripted) below(n int) (int, bool) {
	if len(c.b) == 0 {
		return 0, false
	}
	v := int(c.b[0])
	c.b = c.b[1:]
	if n > 256 && len(c.b) > 0 {
		v = v<<8 | int(c.b[0])
		c.b = c.b[1:]
		v *= (n + 0xFFFF) >> 16
	}
	return v % n, true
}

// flow is the ledger of one stream as one end's application sees it.
type flow struct {
	body      []byte // lent to Write
	wrote     int    // bytes handed to the wire
	read      int    // bytes received
	held      int    // received, not consumed
	ours      bool
	finished  bool // CloseWrite
	deaf      bool // CloseRead
	broken    bool // reset by either end, or cut
	eof, gone bool
}

// side is one end of a pair: a session, its application, and the wire that leads away from it.
type side struct {
	s     *Session
	name  byte
	flows map[uint32]*flow
	ids   []uint32 // in the order of their opening
	live  []uint32
	wire  []byte
	other *side
}

// pair is two sessions in virtual time with a wire each way that cuts where it likes.
type pair struct {
	t    testing.TB
	c    chooser
	now  time.Time
	a, b *side
	log  []string
	done bool
}

func newPair(t testing.TB, c chooser, cfg Config) *pair {
	p := &pair{t: t, c: c, now: start}
	p.a = &side{s: New(cfg, Client, start), name: 'a', flows: map[uint32]*flow{}}
	p.b = &side{s: New(cfg, Server, start), name: 'b', flows: map[uint32]*flow{}}
	p.a.other, p.b.other = p.b, p.a
	return p
}

// pattern is the byte that a side sends on a stream at an offset.
func pattern(id uint32, by byte, at int) byte {
	return byte(uint32(at)*2654435761>>13) ^ byte(id*37) ^ by
}

func (p *pair) fatal(x *side, format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("%c: %s\nlast steps: %q", x.name, fmt.Sprintf(format, args...), p.log)
}

func (p *pair) note(format string, args ...any) {
	if len(p.log) >= 30 {
		p.log = append(p.log[:0], p.log[1:]...)
	}
	p.log = append(p.log, fmt.Sprintf(format, args...))
}

// pick returns a decision below n; when there are none left it is always 0.
func (p *pair) pick(n int) int {
	v, ok := p.c.below(n)
	if !ok {
		p.done = true
	}
	return v
}

// drain takes the events of x and checks them against the ledger.
func (p *pair) drain(x *side) {
	for ev, ok := x.s.Next(); ok; ev, ok = x.s.Next() {
		f := x.flows[ev.ID]
		switch ev.Kind {
		case StreamOpened:
			if f != nil {
				p.fatal(x, "stream %d opened twice", ev.ID)
			}
			x.add(ev.ID, false)
			continue
		case RemoteGoAway, Ended:
			continue
		}
		if f == nil || f.gone {
			p.fatal(x, "%s for a stream that is not there", showEvent(ev))
		}
		switch ev.Kind {
		case Data:
			if f.eof || f.deaf || len(ev.P) == 0 {
				p.fatal(x, "stray %d bytes on %d: eof %v, deaf %v", len(ev.P), ev.ID, f.eof, f.deaf)
			}
			for i, got := range ev.P {
				if want := pattern(ev.ID, x.other.name, f.read+i); got != want {
					p.fatal(x, "stream %d offset %d is %#x, sent was %#x", ev.ID, f.read+i, got, want)
				}
			}
			f.read += len(ev.P)
			f.held += len(ev.P)
		case RemoteClosed:
			f.eof = true
			far := x.other.flows[ev.ID]
			if !far.finished || !f.deaf && f.read != far.wrote {
				p.fatal(x, "stream %d ends after %d bytes of %d", ev.ID, f.read, far.wrote)
			}
		case Written:
			if ev.N != len(f.body) {
				p.fatal(x, "wrote %d bytes of %d on %d", ev.N, len(f.body), ev.ID)
			}
			f.wrote += len(f.body)
			poison(f.body)
			f.body = nil
		case StreamReset:
			f.broken = true
		case StreamClosed:
			if !f.broken && (!f.eof || !f.finished) {
				p.fatal(x, "stream %d gone while half of it is open", ev.ID)
			}
			f.gone = true
			poison(f.body)
			f.body = nil
			x.remove(ev.ID)
		}
	}
}

func poison(b []byte) {
	for i := range b {
		b[i] = 0xDB
	}
}

func (x *side) add(id uint32, ours bool) {
	x.flows[id] = &flow{ours: ours}
	x.ids = append(x.ids, id)
	x.live = append(x.live, id)
}

func (x *side) remove(id uint32) {
	for i, v := range x.live {
		if v == id {
			x.live = append(x.live[:i], x.live[i+1:]...)
		}
	}
}

// write moves up to n frames of x to its wire.
func (p *pair) write(x *side, n int) {
	for ; n > 0; n-- {
		hdr, body, ok := x.s.NextWrite()
		if !ok {
			break
		}
		x.wire = append(append(x.wire, hdr...), body...)
	}
	p.drain(x)
}

// deliver gives n bytes of x's wire to the other end, in a buffer that is spoilt afterwards.
func (p *pair) deliver(x *side, n int) {
	n = min(n, len(x.wire))
	if n == 0 {
		return
	}
	in := append([]byte(nil), x.wire[:n]...)
	x.wire = append(x.wire[:0], x.wire[n:]...)
	if err := x.other.s.HandleBytes(p.now, in); err != nil {
		p.fatal(x.other, "HandleBytes: %v", err)
	}
	p.drain(x.other)
	poison(in)
}

// step does one random thing.
func (p *pair) step() {
	x := p.a
	if p.pick(2) == 1 {
		x = p.b
	}
	op := p.pick(16)
	var id uint32
	var f *flow
	if len(x.live) > 0 {
		id = x.live[p.pick(len(x.live))]
		f = x.flows[id]
	}
	p.note("%c op %d stream %d", x.name, op, id)
	switch {
	case op == 0:
		if id, err := x.s.OpenStream(p.now); err == nil {
			x.add(id, true)
		} else if !errors.Is(err, ErrOpenBacklog) {
			p.fatal(x, "OpenStream: %v", err)
		}
	case op == 1:
		p.now = p.now.Add(time.Duration(p.pick(2000)) * time.Microsecond)
		x.s.HandleTimeout(p.now)
	case op == 2:
		x.s.Ping(p.now)
	case op <= 6:
		p.write(x, 1+p.pick(20))
	case op <= 9:
		p.deliver(x, 1+p.pick(1<<p.pick(18)))
	case f == nil:
	case op <= 11:
		if f.body != nil || f.finished {
			return
		}
		f.body = make([]byte, p.pick(1<<p.pick(20)))
		for i := range f.body {
			f.body[i] = pattern(id, x.name, f.wrote+i)
		}
		if err := x.s.Write(p.now, id, f.body); err != nil {
			p.fatal(x, "Write: %v", err)
		}
	case op == 12:
		x.s.Accept(p.now, id)
		n := p.pick(1 + f.held)
		x.s.Consumed(p.now, id, n)
		f.held -= n
	case op == 13:
		x.s.Consumed(p.now, id, f.held)
		f.held = 0
	case op == 14:
		if err := x.s.CloseWrite(p.now, id); err != nil {
			p.fatal(x, "CloseWrite: %v", err)
		}
		f.finished = true
	case op == 15:
		switch p.pick(8) {
		case 0:
			f.broken = true
			x.s.Reset(p.now, id, uint32(p.pick(1000)))
		case 1:
			x.s.CloseRead(p.now, id, 5)
			f.deaf, f.held = true, 0
		case 2:
			if f.body != nil {
				f.wrote += x.s.CancelWrite(id)
				poison(f.body)
				f.body = nil
			}
		}
	}
	p.drain(x)
	checkBounds(p.t, x.s)
}

// settle lets both ends finish: everything is consumed, closed and delivered.
func (p *pair) settle() {
	for range 10_000 {
		moved := false
		for _, x := range []*side{p.a, p.b} {
			for _, id := range append([]uint32(nil), x.live...) {
				f := x.flows[id]
				x.s.Accept(p.now, id)
				x.s.Consumed(p.now, id, f.held)
				f.held = 0
				if !f.finished {
					if err := x.s.CloseWrite(p.now, id); err != nil {
						p.fatal(x, "CloseWrite: %v", err)
					}
					f.finished = true
				}
			}
			p.drain(x)
			p.write(x, 1<<20)
			moved = moved || len(x.wire) > 0
			p.deliver(x, 1<<30)
			p.now = p.now.Add(time.Millisecond)
		}
		if !moved && !p.a.s.WantsWrite() && !p.b.s.WantsWrite() {
			return
		}
	}
	p.t.Fatal("the pair does not come to rest")
}

func (p *pair) checkEmpty() {
	for _, x := range []*side{p.a, p.b} {
		if err := x.s.Err(); err != nil {
			p.fatal(x, "an honest pair ended: %v", err)
		}
		if n := x.s.NumStreams(); n != 0 {
			p.fatal(x, "%d streams left", n)
		}
		if st := x.s.Stats(); st.Held != 0 || st.Grown != 0 || st.Inbound != 0 || st.Unacked != 0 || st.Unaccepted != 0 {
			p.fatal(x, "left over: %+v", st)
		}
		checkBounds(p.t, x.s)
		for _, id := range x.ids {
			if f := x.flows[id]; !f.gone {
				p.fatal(x, "stream %d never closed", id)
			}
		}
	}
	for _, id := range p.a.ids {
		fa, fb := p.a.flows[id], p.b.flows[id]
		if fb == nil {
			continue // refused, or reset before it was announced
		}
		if !fa.broken && !fb.broken && (!fa.deaf && fa.read != fb.wrote || !fb.deaf && fb.read != fa.wrote) {
			p.t.Fatalf("stream %d: a wrote %d and b read %d, b wrote %d and a read %d", id, fa.wrote, fb.read, fb.wrote, fa.read)
		}
	}
}

// pairConfig is small where that makes caps bite, and strict with frames without effect: what
// honest ends send must not be charged. Random resets are many.
func pairConfig(c chooser) Config {
	pick := func(n int) int { v, _ := c.below(n); return v }
	return Config{
		InitialWindow:     ProtocolWindow << pick(2),
		MaxWindow:         ProtocolWindow << pick(5),
		WindowBudget:      1 << (10 + pick(16)),
		MaxFrame:          1 << (7 + pick(11)),
		MaxInboundStreams: 4 + pick(60),
		AcceptBacklog:     2 + pick(30),
		OpenBacklog:       2 + pick(60),
		ResetBurst:        1 << 30,
		ControlBurst:      400,
		ControlRate:       1000,
	}
}

func TestPairLosesDoublesAndReordersNothing(t *testing.T) {
	seeds, steps := uint64(60), 3000
	if testing.Short() {
		seeds = 10
	}
	total := 0
	for seed := range seeds {
		c := seeded{rand.New(rand.NewPCG(seed, 2))}
		p := newPair(t, c, pairConfig(c))
		for range steps {
			p.step()
		}
		p.settle()
		p.checkEmpty()
		for _, x := range []*side{p.a, p.b} {
			for _, f := range x.flows {
				total += f.read
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if total < int(seeds)<<19 {
		t.Fatalf("only %d bytes went through: the test does not test", total)
	}
}

func TestPairSplitAtEveryByteMeansTheSame(t *testing.T) {
	run := func(chunk int) string {
		p := newPair(t, seeded{rand.New(rand.NewPCG(1, 1))}, Config{})
		x := p.a
		id, err := x.s.OpenStream(p.now)
		if err != nil {
			t.Fatal(err)
		}
		x.add(id, true)
		f := x.flows[id]
		f.body = make([]byte, 100)
		for i := range f.body {
			f.body[i] = pattern(id, x.name, i)
		}
		if err := x.s.Write(p.now, id, f.body); err != nil {
			t.Fatal(err)
		}
		if err := x.s.CloseWrite(p.now, id); err != nil {
			t.Fatal(err)
		}
		f.finished = true
		p.write(x, 100)
		for len(x.wire) > 0 {
			p.deliver(x, chunk)
		}
		far := p.b.flows[id]
		return fmt.Sprint(far.read, far.eof, far.gone)
	}
	for chunk := 1; chunk < 150; chunk++ {
		if got := run(chunk); got != "100 true false" {
			t.Fatalf("in chunks of %d: %s", chunk, got)
		}
	}
}
