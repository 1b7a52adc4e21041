package transporttest

import (
	"errors"
	"testing"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

func muxReset(t *testing.T, p *muxedTest) {
	p.bind()
	a, b := p.stream(t)
	sa, sb := &StreamSink{of: p.a}, &StreamSink{of: p.b}
	sa.bind(a, 1)
	sb.bind(b, 1)
	if err := a.Reset(0x1234); err != nil {
		t.Fatal(err)
	}
	if e := sb.waitReset(t); e.Code != p.code(0x1234) || !e.Remote || e.Err == nil {
		t.Errorf("B: %+v", e)
	}
	for _, s := range []conduit.MuxedStream{a, b} {
		if _, err := s.TryWrite([]byte("x")); err == nil {
			t.Error("a reset stream takes bytes")
		}
		if err := s.Reset(1); err != nil {
			t.Errorf("a second Reset: %v", err)
		}
	}
	p.stream(t) // the conduit goes on
	sa.check(t)
	sb.check(t)
}

func muxClose(t *testing.T, p *muxedTest) {
	p.bind()
	var sinks []*StreamSink
	for range 3 {
		a, b := p.stream(t)
		sa, sb := &StreamSink{of: p.a}, &StreamSink{of: p.b}
		sa.bind(a, 1)
		sb.bind(b, 1)
		sinks = append(sinks, sa, sb)
	}
	if err := p.A.Close(0x42, "enough"); err != nil {
		t.Fatal(err)
	}
	if e := p.a.waitEnded(t); e.Code != 0x42 || e.Remote || e.Err == nil {
		t.Errorf("A: %+v", e)
	}
	if e := p.b.waitEnded(t); e.Code != p.code(0x42) || !e.Remote || e.Err == nil {
		t.Errorf("B: %+v", e)
	}
	for i, s := range sinks {
		if e := s.waitReset(t); e.Remote != (i%2 == 1) || e.Err == nil {
			t.Errorf("stream end %d: %+v", i, e)
		}
		s.check(t)
	}
	if _, err := p.B.OpenStream(); err == nil {
		t.Error("a closed conduit opens streams")
	}
	if err := p.A.Close(1, ""); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}

func muxBindDead(t *testing.T, p *muxedTest) {
	_ = p.A.Close(9, "")
	p.bind()
	if e := p.b.waitEnded(t); e.Code != p.code(9) || !e.Remote {
		t.Errorf("B: %+v", e)
	}
	heir := &MuxedSink{}
	p.B.Bind(heir)
	if e := heir.waitEnded(t); e.Code != p.code(9) || !e.Remote {
		t.Errorf("the heir: %+v", e)
	}
	heir.check(t)
}

func muxStreamPanic(t *testing.T, p *muxedTest) {
	p.bind()
	a, b := p.stream(t)
	sa, sb := &StreamSink{of: p.a}, &StreamSink{of: p.b}
	sb.OnOffer = func(x *buf.Buf) { x.Release(); panic(errBug) }
	sa.bind(a, 1)
	sb.bind(b, 1)
	sendStream(t, a, sa, []byte("x"))
	if e := sa.waitReset(t); !e.Remote {
		t.Errorf("A: %+v", e)
	}
	if e := sb.waitReset(t); e.Remote || !isPanic(e.Err, errBug) {
		t.Errorf("B: %+v", e)
	}
	p.stream(t)
	sa.check(t)
	sb.check(t)
}

func muxPanic(t *testing.T, p *muxedTest) {
	p.b.OnAccepted = func(conduit.MuxedStream) { panic(errBug) }
	p.bind()
	a, err := p.A.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = a.TryWrite([]byte("!")) // if the open alone has not shown it: B may be gone by now
	if e := p.b.waitEnded(t); e.Remote || !isPanic(e.Err, errBug) {
		t.Errorf("B: %+v", e)
	}
	if e := p.a.waitEnded(t); !e.Remote {
		t.Errorf("A: %+v", e)
	}
}

func muxCodes(t *testing.T, p *muxedTest) {
	p.bind()
	// The least, the registry's, ours, and the most that 32 bits hold.
	for _, code := range []uint32{0, 1, 0xff, 0x1001, 0x5452_0001, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
		for _, back := range []bool{false, true} {
			a, b := p.stream(t)
			sa, sb := &StreamSink{of: p.a}, &StreamSink{of: p.b}
			sa.bind(a, 1)
			sb.bind(b, 1)
			from, to := a, sb
			if back {
				from, to = b, sa
			}
			if err := from.Reset(code); err != nil {
				t.Fatal(err)
			}
			if e := to.waitReset(t); e.Code != p.code(code) || !e.Remote {
				t.Errorf("reset with %#x, told %+v", code, e)
			}
		}
	}
}

// muxBreak breaks the connection under streams that are reading and writing.
func muxBreak(t *testing.T, p *muxedTest) {
	p.bind()
	var sinks []*StreamSink
	for range 3 {
		a, b := p.stream(t)
		sa, sb := &StreamSink{of: p.a}, streamReader(p.b, b)
		sa.bind(a, 1)
		sb.bind(b, 2)
		for n, err := 1, error(nil); n > 0 && err == nil; {
			n, err = a.TryWrite(noise(3, 64<<10))
		}
		sinks = append(sinks, sa, sb)
	}
	p.Break()
	for _, m := range []*MuxedSink{p.a, p.b} {
		if e := m.waitEnded(t); e.Err == nil {
			t.Errorf("%+v", e)
		}
	}
	for i, s := range sinks {
		if e := s.waitReset(t); e.Err == nil {
			t.Errorf("stream end %d: %+v", i, e)
		}
		s.check(t)
	}
}

var errBug = errors.New("a bug in a handler")
