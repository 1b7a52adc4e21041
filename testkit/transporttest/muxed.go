package transporttest

import (
	"bytes"
	"testing"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// MuxedPair is two ends of one connection, unbound.
type MuxedPair struct {
	A, B       conduit.Muxed
	KeyA, KeyB identity.PublicKey
	// Break ends the connection as a crash of A's machine would.
	Break func()
	// MaxStreams is how many streams one end may have open at a time, Held how many bytes may
	// be under way on one while nobody reads.
	MaxStreams, Held int
	// NoCodes says that the wire has no room for codes: the remote sees 0.
	NoCodes bool
	// Streams is how many short streams one test opens. Default 10,000.
	Streams int
}

// NewMuxed makes a pair that lasts until its ends are closed. Its runtime is to be Runtime's.
type NewMuxed func(t *testing.T) MuxedPair

// Muxed tests the promises of conduit.Muxed.
func Muxed(t *testing.T, pair NewMuxed) {
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
		{"every code is told as it is, both ways", muxCodes},
		{"CanOpen follows when streams are full", muxLimit},
		{"Close takes the code to every stream and to the remote", muxClose},
		{"an abrupt end wakes everybody", muxBreak},
		{"the end is told to an owner who comes later", muxBindDead},
		{"a stream's owner who comes late misses nothing", muxBindLate},
		{"a panic of a stream's owner costs the stream", muxStreamPanic},
		{"a panic of the conduit's owner costs the conduit", muxPanic},
		{"a thousand streams in sequence leave nothing behind", muxChurn},
		{"ten thousand short streams, opened by both ends", muxShort},
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

// stream opens one at A. Its end at B is unbound. An open alone need not show at the remote (QUIC
// sends nothing for it), so a first byte goes across, which is read here.
func (p *muxedTest) stream(t *testing.T) (a, b conduit.MuxedStream) {
	t.Helper()
	n := p.b.accepted()
	a, err := openStream(p.A, p.a) // a handshake's stream may hold its place for a moment longer
	if err != nil {
		t.Fatal(err)
	}
	greet(t, a)
	b = p.b.Next(t, n)
	if a.ID() != b.ID() {
		t.Errorf("one stream, two IDs: %d and %d", a.ID(), b.ID())
	}
	first := &StreamSink{of: p.b}
	first.bind(b, 1)
	first.wait(t, "the first byte", func() bool { return len(first.bytes) == 1 })
	return a, b
}

// greet sends the byte that shows a stream to the remote.
func greet(t *testing.T, a conduit.MuxedStream) {
	t.Helper()
	if n, err := a.TryWrite([]byte("!")); n != 1 {
		t.Fatalf("the first byte of a stream: %d taken, %v", n, err)
	}
}

// code is what the remote sees of a code.
func (p *muxedTest) code(c uint32) uint32 {
	if p.NoCodes {
		return 0
	}
	return c
}

// sendStream writes all of p. s is the sender's sink.
func sendStream(t testing.TB, c conduit.MuxedStream, s *StreamSink, p []byte) {
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
	answerOn(t, b, sb, sa, "answer")
}

// answerOn is B's direction of a stream, to its end.
func answerOn(t *testing.T, b conduit.MuxedStream, sb, sa *StreamSink, answer string) {
	t.Helper()
	sendStream(t, b, sb, []byte(answer))
	_ = b.CloseWrite()
	if got := sa.waitClosed(t); string(got) != answer {
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
	// What A writes until it has heard of it may be taken, piece by piece; then it is told, and if
	// it waits for room it is woken for that.
	for n, more := 0, noise(2, 64<<10); ; {
		woken := 0
		sa.set(func() { woken = sa.writable })
		k, err := a.TryWrite(more)
		if err != nil {
			break
		}
		if n += k; n > p.Held { // as much as nobody reads, and not a byte more
			t.Fatalf("A writes on: %d bytes", n)
		}
		if k < len(more) {
			sa.wait(t, "Writable, to look again", func() bool { return sa.writable > woken })
		}
	}
	answerOn(t, b, sb, sa, "the other direction")
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
