package transporttest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// MuxedPair is two ends of one connection, unbound.
type MuxedPair struct {
	A, B       conduit.Muxed
	KeyA, KeyB identity.PublicKey
	// MaxStreams is how many streams one end may have open at a time, Held how many bytes may
	// be under way on one while nobody reads.
	MaxStreams, Held int
}

// Muxed tests the promises of conduit.Muxed.
func Muxed(t *testing.T, pair func(t *testing.T) MuxedPair) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, p *muxedTest)
	}{
		{"each end knows the other", muxIdentities},
		{"streams carry bytes both ways", muxEcho},
		{"a stream's reader without credit stops its writer and no other", muxBackPressure},
		{"CloseWrite ends one direction, behind the bytes", muxHalfClose},
		{"CloseRead stops the remote's writing and nothing else", muxCloseRead},
		{"Reset takes the code across", muxReset},
		{"CanOpen follows when streams are full", muxLimit},
		{"Close takes the code to every stream and to the remote", muxClose},
		{"the end is told to an owner who comes later", muxBindDead},
		{"a stream's owner who comes late misses nothing", muxBindLate},
		{"a panic of a stream's owner costs the stream", muxStreamPanic},
		{"a panic of the conduit's owner costs the conduit", muxPanic},
		{"a thousand streams in sequence leave nothing behind", muxChurn},
		{"streams opened and reset at once do not pile up", muxRapidReset},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &muxedTest{MuxedPair: pair(t), a: &MuxedSink{}, b: &MuxedSink{}}
			t.Cleanup(func() { _ = p.A.Close(0, ""); _ = p.B.Close(0, "") })
			c.test(t, p)
			p.a.check(t)
			p.b.check(t)
		})
	}
}

type muxedTest struct {
	MuxedPair
	a, b *MuxedSink
}

func (p *muxedTest) bind() { p.A.Bind(p.a); p.B.Bind(p.b) }

// stream opens one at A. Its end at B is unbound.
func (p *muxedTest) stream(t *testing.T) (a, b conduit.MuxedStream) {
	t.Helper()
	n := 0
	p.b.set(func() { n = len(p.b.streams) })
	a, err := p.A.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	b = p.b.Next(t, n)
	if a.ID() != b.ID() {
		t.Errorf("one stream, two IDs: %d and %d", a.ID(), b.ID())
	}
	return a, b
}

// sendStream writes all of p. s is the sender's sink.
func sendStream(t *testing.T, c conduit.MuxedStream, s *StreamSink, p []byte) {
	t.Helper()
	for len(p) > 0 {
		woken := 0
		s.set(func() { woken = s.writable })
		n, err := c.TryWrite(p)
		if err != nil {
			t.Fatal(err)
		}
		if p = p[n:]; len(p) > 0 {
			s.wait(t, "Writable", func() bool { return s.writable > woken })
		}
	}
}

func muxIdentities(t *testing.T, p *muxedTest) {
	for _, c := range []struct {
		end  conduit.Muxed
		want identity.PublicKey
	}{{p.A, p.KeyB}, {p.B, p.KeyA}} {
		if !c.end.PublicKey().Equal(c.want) || !c.end.Peer().MatchesKey(c.want) {
			t.Errorf("%s takes its remote for %s", c.end.Endpoints().Direction, c.end.Peer())
		}
	}
	a, b := p.A.Endpoints(), p.B.Endpoints()
	if a.Direction != conduit.Outbound || b.Direction != conduit.Inbound || !a.Local.Equal(b.Remote) || !a.Remote.Equal(b.Local) {
		t.Errorf("endpoints %+v and %+v", a, b)
	}
}

func muxEcho(t *testing.T, p *muxedTest) {
	p.bind()
	for i := range 3 {
		a, b := p.stream(t)
		sa, sb := streamReader(p.a, a), streamReader(p.b, b)
		sa.bind(a, 1)
		sb.bind(b, 2)
		up, down := noise(byte(i), 3*p.Held+17), noise(byte(i+100), 1000*i+1)
		sendStream(t, a, sa, up)
		sendStream(t, b, sb, down)
		_, _ = a.CloseWrite(), b.CloseWrite()
		if !bytes.Equal(sb.waitClosed(t), up) || !bytes.Equal(sa.waitClosed(t), down) {
			t.Error("bytes differ")
		}
		sa.check(t)
		sb.check(t)
	}
}

func muxBackPressure(t *testing.T, p *muxedTest) {
	p.bind()
	a, b := p.stream(t)
	sa, sb := &StreamSink{of: p.a}, &StreamSink{of: p.b}
	sa.bind(a, 1)
	sb.bind(b, 1)
	data := noise(1, 2*p.Held)
	sent := 0
	for {
		n, err := a.TryWrite(data[sent:])
		if err != nil {
			t.Fatal(err)
		}
		if sent += n; n == 0 {
			break
		}
	}
	if sent > p.Held {
		t.Errorf("%d bytes were taken while nobody reads", sent)
	}
	sb.wait(t, "the one offer", func() bool { return sb.offers == 1 })

	other, otherB := p.stream(t) // is not affected
	so, sob := &StreamSink{of: p.a}, streamReader(p.b, otherB)
	so.bind(other, 1)
	sob.bind(otherB, 1)
	sendStream(t, other, so, data)
	sob.wait(t, "all bytes of the other stream", func() bool { return len(sob.bytes) == len(data) })

	for got := 0; got < sent; {
		sb.more(b)
		sb.wait(t, "the next offer", func() bool { return len(sb.bytes) > got })
		sb.set(func() { got = len(sb.bytes) })
	}
	sa.wait(t, "Writable", func() bool { return sa.writable > 0 })
	if !bytes.Equal(sb.bytes[:sent], data[:sent]) {
		t.Error("bytes differ")
	}
	sa.check(t)
	sb.check(t)
}

func muxHalfClose(t *testing.T, p *muxedTest) {
	p.bind()
	a, b := p.stream(t)
	sa, sb := streamReader(p.a, a), &StreamSink{of: p.b}
	sa.bind(a, 1)
	sendStream(t, a, sa, []byte("question"))
	if err := a.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := a.TryWrite([]byte("x")); err == nil {
		t.Errorf("%d bytes written after CloseWrite", n)
	}
	sb.bind(b, 4)
	if got := sb.waitClosed(t); string(got) != "question" {
		t.Errorf("B got %q", got)
	}
	sendStream(t, b, sb, []byte("answer"))
	_ = b.CloseWrite()
	if got := sa.waitClosed(t); string(got) != "answer" {
		t.Errorf("A got %q", got)
	}
	sa.check(t)
	sb.check(t)
}

func muxCloseRead(t *testing.T, p *muxedTest) {
	p.bind()
	a, b := p.stream(t)
	sa, sb := streamReader(p.a, a), &StreamSink{of: p.b}
	sa.bind(a, 1)
	sb.bind(b, 1)
	for { // A waits for room when B stops reading
		if n, err := a.TryWrite(noise(2, 64<<10)); err != nil || n == 0 {
			break
		}
	}
	if err := b.CloseRead(7); err != nil {
		t.Fatal(err)
	}
	sa.wait(t, "Writable, to look again", func() bool { return sa.writable > 0 })
	if n, err := a.TryWrite([]byte("x")); err == nil {
		t.Errorf("A writes on: %d bytes", n)
	}
	sendStream(t, b, sb, []byte("the other direction"))
	_ = b.CloseWrite()
	if got := sa.waitClosed(t); string(got) != "the other direction" {
		t.Errorf("A got %q", got)
	}
	sa.check(t)
	sb.check(t)
}

func muxReset(t *testing.T, p *muxedTest) {
	p.bind()
	a, b := p.stream(t)
	sa, sb := &StreamSink{of: p.a}, &StreamSink{of: p.b}
	sa.bind(a, 1)
	sb.bind(b, 1)
	if err := a.Reset(0x1234); err != nil {
		t.Fatal(err)
	}
	if e := sb.waitReset(t); e.Code != 0x1234 || !e.Remote || e.Err == nil {
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

func muxLimit(t *testing.T, p *muxedTest) {
	p.bind()
	var mine, theirs []conduit.MuxedStream
	for range p.MaxStreams {
		a, b := p.stream(t)
		mine, theirs = append(mine, a), append(theirs, b)
	}
	if _, err := p.A.OpenStream(); err == nil {
		t.Fatal("one stream too many")
	}
	if s, err := p.B.OpenStream(); err != nil {
		t.Errorf("B's streams count apart: %v", err)
	} else {
		_ = s.Reset(0)
	}
	_ = mine[0].CloseWrite()
	_ = mine[0].CloseRead(0)
	_ = theirs[0].CloseRead(0)
	_ = theirs[0].CloseWrite()
	p.a.wait(t, "CanOpen", func() bool { return p.a.canOpen == 1 })
	p.stream(t)
	_, _ = p.A.OpenStream()
	_ = theirs[1].Reset(0)
	p.a.wait(t, "CanOpen", func() bool { return p.a.canOpen == 2 })
	p.stream(t)
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
	if e := p.b.waitEnded(t); e.Code != 0x42 || !e.Remote || e.Err == nil {
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
	if e := p.b.waitEnded(t); e.Code != 9 || !e.Remote {
		t.Errorf("B: %+v", e)
	}
	heir := &MuxedSink{}
	p.B.Bind(heir)
	if e := heir.waitEnded(t); e.Code != 9 || !e.Remote {
		t.Errorf("the heir: %+v", e)
	}
	heir.check(t)
}

func muxBindLate(t *testing.T, p *muxedTest) {
	p.A.Bind(p.a)
	a, err := p.A.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	sa := &StreamSink{of: p.a}
	sa.bind(a, 1)
	sendStream(t, a, sa, []byte("early"))
	_ = a.CloseWrite()
	p.B.Bind(p.b)
	b := p.b.Next(t, 0)
	first, second := &StreamSink{of: p.b}, &StreamSink{of: p.b}
	first.bind(b, 1)
	first.wait(t, "the bytes", func() bool { return len(first.bytes) == 5 })
	first.waitClosed(t)
	second.bind(b, 1)
	sendStream(t, b, second, []byte("late"))
	sa.wait(t, "the answer", func() bool { return string(sa.bytes) == "late" })
	first.check(t)
	second.check(t)
}

var errBug = errors.New("a bug in a handler")

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
	if _, err := p.A.OpenStream(); err != nil {
		t.Fatal(err)
	}
	if e := p.b.waitEnded(t); e.Remote || !isPanic(e.Err, errBug) {
		t.Errorf("B: %+v", e)
	}
	if e := p.a.waitEnded(t); !e.Remote {
		t.Errorf("A: %+v", e)
	}
}

func muxChurn(t *testing.T, p *muxedTest) {
	p.bind()
	for i := range 1000 {
		a, b := p.stream(t)
		sa, sb := &StreamSink{of: p.a}, &StreamSink{of: p.b}
		sa.bind(a, 1)
		sb.bind(b, 1)
		sendStream(t, a, sa, []byte("ping"))
		switch i % 4 {
		case 0:
			_, _ = a.CloseWrite(), b.CloseWrite()
			sa.waitClosed(t)
			sb.waitClosed(t)
		case 1:
			_ = a.Reset(1)
			sb.waitReset(t)
		case 2:
			_ = b.Reset(1)
			sa.waitReset(t)
		case 3:
			_, _, _ = a.CloseWrite(), b.CloseRead(2), b.CloseWrite()
			sa.waitClosed(t)
		}
		sa.check(t)
		sb.check(t)
	}
}

func muxRapidReset(t *testing.T, p *muxedTest) {
	p.A.Bind(p.a) // nobody accepts at B for now
	for range 20 * p.MaxStreams {
		a, err := p.A.OpenStream()
		if err != nil {
			break // the limit counts them: just as well
		}
		_ = a.Reset(3)
	}
	p.B.Bind(p.b)
	a, err := p.A.OpenStream()
	for woken := 1; err != nil; woken++ {
		p.a.wait(t, "CanOpen", func() bool { return p.a.canOpen >= woken })
		a, err = p.A.OpenStream()
	}
	p.b.wait(t, "the stream that is meant", func() bool {
		n := len(p.b.streams)
		return n > 0 && n <= p.MaxStreams+1 && p.b.streams[n-1].ID() == a.ID()
	})
}
