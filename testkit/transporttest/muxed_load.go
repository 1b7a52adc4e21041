package transporttest

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

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
	told := 0
	p.a.set(func() { told = p.a.canOpen })
	_ = mine[0].CloseWrite()
	_ = mine[0].CloseRead(0)
	_ = theirs[0].CloseRead(0)
	_ = theirs[0].CloseWrite()
	p.a.wait(t, "CanOpen", func() bool { return p.a.canOpen == told+1 })
	p.stream(t)
	if _, err := p.A.OpenStream(); err == nil {
		t.Fatal("one stream too many, the second time")
	}
	_ = theirs[1].Reset(0)
	p.a.wait(t, "CanOpen", func() bool { return p.a.canOpen == told+2 })
	p.stream(t)
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

// muxShort has both ends open streams as fast as they may: a question and its end one way, the
// same bytes and their end back. No stream's place may be lost on the way.
func muxShort(t *testing.T, p *muxedTest) {
	total := p.Streams
	if total <= 0 {
		total = 10_000
	}
	p.a.OnAccepted = func(s conduit.MuxedStream) { bindEcho(p.a, s) }
	p.b.OnAccepted = func(s conduit.MuxedStream) { bindEcho(p.b, s) }
	p.bind()
	each := max(1, min(p.MaxStreams, 16)) // askers at each end
	together(t, 2*each, func(i int) {
		c, of := p.A, p.a
		if i%2 == 1 {
			c, of = p.B, p.b
		}
		for k := i; k < total; k += 2 * each {
			if err := ask(c, of, uint64(k)); err != nil {
				t.Errorf("stream %d: %v", k, err)
				return
			}
		}
	})
	for _, c := range []struct {
		c  conduit.Muxed
		of *MuxedSink
	}{{p.A, p.a}, {p.B, p.b}} {
		for range p.MaxStreams { // every place is free again, as soon as the remote is through
			s, err := openStream(c.c, c.of)
			if err != nil {
				t.Fatalf("%s end, after all streams have ended: %v", c.c.Endpoints().Direction, err)
			}
			defer func() { _ = s.Reset(0) }()
		}
	}
}

// openStream waits for CanOpen as often as it has to. It may run on any goroutine.
func openStream(c conduit.Muxed, of *MuxedSink) (conduit.MuxedStream, error) {
	for {
		told := 0
		of.set(func() { told = of.canOpen })
		s, err := c.OpenStream()
		if err == nil {
			return s, nil
		}
		if !of.await(func() bool { return of.canOpen > told }) {
			return nil, fmt.Errorf("CanOpen did not follow %w", err)
		}
	}
}

func ask(c conduit.Muxed, of *MuxedSink, k uint64) error {
	s, err := openStream(c, of)
	if err != nil {
		return err
	}
	sink := streamReader(of, s)
	sink.bind(s, 1)
	question := binary.BigEndian.AppendUint64([]byte("what about "), k)
	if n, err := s.TryWrite(question); n < len(question) {
		return fmt.Errorf("%d bytes taken of a fresh stream: %w", n, err)
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	var answer []byte
	if !sink.await(func() bool { answer = sink.bytes; return sink.closed > 0 || len(sink.reset) > 0 }) {
		return fmt.Errorf("no answer, %d bytes came", len(sink.bytes))
	}
	if string(answer) != string(question) {
		return fmt.Errorf("%q was answered by %q", question, answer)
	}
	return nil
}

// bindEcho sends back what comes on a short stream.
func bindEcho(of *MuxedSink, s conduit.MuxedStream) {
	e := &echoSink{StreamSink: StreamSink{of: of}, s: s}
	e.OnOffer = func(b *buf.Buf) {
		e.out = append(e.out, b.B...)
		b.Release()
		e.more(s)
	}
	e.set(func() { e.allowed = 1 })
	s.Bind(e, 1)
}

type echoSink struct {
	StreamSink
	s   conduit.MuxedStream
	out []byte
}

func (e *echoSink) RemoteClosed() {
	e.StreamSink.RemoteClosed()
	_, _ = e.s.TryWrite(e.out)
	_ = e.s.CloseWrite()
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
	p.b.OnAccepted = func(s conduit.MuxedStream) { // its reset may come a little later: an owner hears of that
		p.b.set(func() { p.b.streams = append(p.b.streams, s) })
		(&StreamSink{of: p.b}).bind(s, 1)
	}
	p.B.Bind(p.b)
	a, err := openStream(p.A, p.a)
	if err != nil {
		t.Fatal(err)
	}
	greet(t, a)
	p.b.wait(t, "the stream that is meant", func() bool {
		n := len(p.b.streams)
		return n > 0 && n <= p.MaxStreams+1 && p.b.streams[n-1].ID() == a.ID()
	})
}
