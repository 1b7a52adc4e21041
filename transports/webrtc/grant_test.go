package webrtc

import (
	"errors"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// Whoever answers before it has read everything waits for a grant, which comes behind bytes that it has
// not read: an echo does.
func TestAGrantIsHeardBehindAFullWindow(t *testing.T) {
	const window = firstWindow
	a, b := pair(t, func(tr *Transport) { tr.cfg.StreamWindow = 2 * window })
	_, streams := accepting(b)
	accepting(a)
	ms, err := a.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	from, reads := ms.(*stream), newLost()
	from.Bind(reads, 1<<10)
	fills(t, from, reads, window)
	to, answers := <-streams, newLost()
	to.Bind(answers, 1)
	for more := false; !more; { // up to a grant, and not one buffer further
		(<-answers.got).Release()
		b.mu.Lock()
		if more = to.granted > window; !more {
			to.credits++
		}
		b.mu.Unlock()
		b.news.of(to)
	}
	b.mu.Lock()
	granted := int(to.granted)
	b.mu.Unlock()
	fills(t, from, reads, granted-window)
	fills(t, to, answers, 4*window)
	drain(reads)
	drain(answers)
}

// fills writes n bytes, as far as the remote lets it.
func fills(t *testing.T, s *stream, l *lost, n int) {
	t.Helper()
	end := time.After(10 * time.Second)
	for p := make([]byte, n); len(p) > 0; {
		taken, err := s.TryWrite(p)
		if err != nil {
			t.Fatal(err)
		}
		if p = p[taken:]; len(p) == 0 {
			return
		}
		select { // order-free: the end is the end
		case <-l.more:
		case <-end:
			t.Fatalf("%d of %d bytes cannot be written", len(p), n)
		}
	}
}

// All streams of a connection may have their windows full at once, with readers that write before they read
// on: each hears its grants all the same, and what is unread is bounded by what was granted.
func TestFullStreamsDoNotWaitForEachOther(t *testing.T) {
	const streams, size, wide = 16, 1 << 20, 4 * firstWindow
	a, b := pair(t, func(tr *Transport) {
		tr.cfg.MaxStreams, tr.cfg.StreamWindow, tr.cfg.ConnWindow = streams, wide, 2*streams*firstWindow+2*wide
	})
	_, accepted := accepting(b)
	accepting(a)
	type end struct {
		s    *stream
		sink *lost
	}
	var asks, echoes []end
	var first []int
	sent := 0
	for range streams {
		ms, err := a.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		e := end{ms.(*stream), newLost()}
		e.s.Bind(e.sink, 1)
		n, err := e.s.TryWrite(make([]byte, size)) // what is left of the window may be too little for a frame
		if err != nil || n > firstWindow || n <= firstWindow-smallFrame {
			t.Fatalf("%d bytes are taken at first, %d may be: %v", n, firstWindow, err)
		}
		first = append(first, n)
		sent += n
		asks = append(asks, e)
	}
	for range streams {
		echoes = append(echoes, end{<-accepted, newLost()})
	}
	if n := stands(10*time.Millisecond, b.unreadBytes); n != sent {
		t.Errorf("%d bytes are unread, %d were taken", n, sent)
	}

	over := make(chan error, 3*streams)
	put := func(e end, p []byte) error {
		for len(p) > 0 {
			n, err := e.s.TryWrite(p)
			if err != nil {
				return err
			}
			if p = p[n:]; len(p) > 0 {
				<-e.sink.more
			}
		}
		return nil
	}
	take := func(e end, each func([]byte) error) error {
		for n := 0; n < size; {
			p := <-e.sink.got
			n += len(p.B)
			if b.unreadBytes() > b.t.cfg.unread() {
				t.Errorf("%d bytes are unread, %d may be", b.unreadBytes(), b.t.cfg.unread())
			}
			err := each(p.B)
			p.Release()
			if err != nil {
				return err
			}
			e.s.More()
		}
		return nil
	}
	for i := range streams {
		ask, echo := asks[i], echoes[i]
		echo.s.Bind(echo.sink, 1)
		go func() { over <- put(ask, make([]byte, size-first[i])) }()
		go func() { over <- take(echo, func(p []byte) error { return put(echo, p) }) }()
		go func() { over <- take(ask, func([]byte) error { return nil }) }()
	}
	late := time.After(20 * time.Second) // less than Stall, which would end it
	for range 3 * streams {
		select { // order-free: late is late
		case err := <-over:
			if err != nil {
				t.Error(err)
			}
		case <-late:
			_ = a.Close(0, "")
			t.Fatal("they wait for each other")
		}
	}
	for _, e := range asks {
		_ = e.s.Reset(0)
	}
	transporttest.Settle(t, "bytes that windows are wider by", 0, func() int {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.lent
	})
}

func (c *conn) unreadBytes() int {
	_, _, n := c.held()
	return n
}

// A connection holds no more than its window where streams have windows: not with all of them full, nor with streams that both ends
// have ended, which are no longer counted, and that nobody has read.
func TestUnreadBytesOfAConnectionAreBoundedWithWindows(t *testing.T) {
	const streams, window = 4, 16 * firstWindow
	a, b := pair(t, func(tr *Transport) {
		tr.cfg.MaxStreams, tr.cfg.StreamWindow, tr.cfg.ConnWindow = streams, 4*firstWindow, window
	})
	e := transporttest.NewEndSink()
	held := make(chan *lost, 1<<10)
	e.OnAccepted = func(s conduit.MuxedStream) { // takes one buffer, and reads nothing
		l := newLost()
		held <- l
		s.Bind(l, 1)
		_ = s.CloseWrite()
	}
	b.Bind(e)
	a.Bind(transporttest.NewEndSink())
	bounded := func() int {
		unread := b.unreadBytes()
		if unread > window+2*streams*maxFrame {
			t.Fatalf("%d bytes are unread, %d may be", unread, window)
		}
		return unread
	}
	data := make([]byte, 4*firstWindow)
	open := 0
	for full := false; !full; {
		s, err := a.OpenStream()
		if err != nil { // until places come back, or none does any more
			before := bounded()
			if full = stands(5*time.Millisecond, bounded) == before && before >= window; !full {
				continue
			}
			break
		}
		s.Bind(newLost(), 1)
		one, err := s.TryWrite(data[:1])
		more, err2 := s.TryWrite(data[1:])
		if err := errors.Join(err, err2); err != nil || one+more > firstWindow {
			t.Fatalf("%d bytes are taken at first, %d may be: %v", one+more, firstWindow, err)
		}
		if err := s.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if open++; open > 10*window/firstWindow {
			t.Fatalf("%d streams were opened, %d bytes are unread", open, bounded())
		}
	}
	if open <= 2*streams {
		t.Errorf("%d streams: no place has come back", open)
	}
	for len(held) > 0 {
		drain(<-held)
	}
}
