package webrtc

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/internal/bucket"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	"github.com/pion/sctp"
)

// raw opens a channel as no stream of ours would be: what is written to it is up to the test.
func raw(t *testing.T, a *conn, id uint16, open []byte) *sctp.Stream {
	t.Helper()
	st, err := a.assoc.OpenStream(id, sctp.PayloadTypeWebRTCBinary)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.WriteSCTP(open, sctp.PayloadTypeWebRTCDCEP); err != nil {
		t.Fatal(err)
	}
	return st
}

func send(t *testing.T, st *sctp.Stream, p []byte) {
	t.Helper()
	if _, err := st.WriteSCTP(p, sctp.PayloadTypeWebRTCBinary); err != nil {
		t.Fatal(err)
	}
}

// ours wants an end that this node has made, with a code, for a reason, and says whose fault it is.
func ours(t *testing.T, e transporttest.Ending, code uint32, why error, whose fault.Origin) {
	t.Helper()
	var we *Error
	if e.Code != code || e.Remote || !errors.Is(e.Err, why) || !errors.As(e.Err, &we) || we.Origin != whose {
		t.Errorf("%+v", e)
	}
}

func TestChannelsBeforeTheHandshakeAreBounded(t *testing.T) {
	a, b := pair(t, same)
	b.mu.Lock()
	b.begun = false // as it was then
	b.mu.Unlock()
	e, _ := accepting(b)
	h := opening(t, a, 100*maxEarly, e, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.early) > maxEarly {
			t.Fatalf("%d channels are held", len(b.early))
		}
	})
	ours(t, h, codeLimit, ErrStreamLimit, fault.Limit)
}

// opening has a open channels, up to a number and never closing one, until the other end has had enough.
func opening(t *testing.T, a *conn, most int, e *transporttest.EndSink, look func()) transporttest.Ending {
	t.Helper()
	for n := range uint16(min(most, 1<<15-2)) {
		st, err := a.assoc.OpenStream(2+2*n, sctp.PayloadTypeWebRTCBinary)
		if err == nil {
			_, err = st.WriteSCTP(openMessage(), sctp.PayloadTypeWebRTCDCEP)
		}
		if err != nil {
			break // the other end has hung up
		}
		look()
		select {
		case h := <-e.How:
			return h
		default:
		}
	}
	return <-e.How
}

// budget gives a connection as much and nothing again, so that it is spent on slow machines too.
func (c *conn) budget(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resets = bucket.New(n, 1, c.t.rt.Now().Add(time.Hour))
}

func (c *conn) held() (theirs, streams, unread int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.theirs, len(c.streams), c.unread
}

// Who opens more streams than it may gets them reset, and loses the connection if it does not stop.
func TestStreamsOfARemoteAreBounded(t *testing.T) {
	a, b := pair(t, same)
	e, _ := accepting(b)
	b.budget(100)
	h := opening(t, a, 100*16*10, e, func() {
		if theirs, _, _ := b.held(); theirs > b.t.cfg.MaxStreams+1 { // the one that is just being refused
			t.Fatalf("%d streams are open", theirs)
		}
	})
	ours(t, h, codeRateLimited, ErrResets, fault.Limit)
}

// A channel that the remote does not close behind us costs a goroutine, and SCTP's time: who leaves many loses
// the connection, whatever it does to the budget.
func TestChannelsThatLingerAreBounded(t *testing.T) {
	a, b := pair(t, same)
	e, _ := accepting(b)
	b.budget(1 << 20)
	opened := 0
	h := opening(t, a, 100*maxLingering, e, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.lingers > maxLingering+1 { // the one that is too many
			t.Fatalf("%d channels linger", b.lingers)
		}
		opened++
		for b.why == nil && b.lingers+b.theirs < opened-4 { // SCTP loses what comes faster
			b.mu.Unlock()
			<-time.After(100 * time.Microsecond)
			b.mu.Lock()
		}
	})
	ours(t, h, codeLimit, ErrLingering, fault.Limit)
}

// A remote that opens streams and resets them costs us what no limit of streams sees.
func TestResetsInAStormEndTheConnection(t *testing.T) {
	a, b := pair(t, same)
	e, _ := accepting(b)
	ea := transporttest.NewEndSink()
	a.Bind(ea)
	b.budget(100)
	for range 100 * resetBurst {
		s, err := a.OpenStream()
		if err != nil {
			if !errors.Is(err, ErrStreamLimit) {
				break
			}
			<-time.After(time.Millisecond)
			continue
		}
		_ = s.Reset(3)
	}
	ours(t, <-e.How, codeRateLimited, ErrResets, fault.Limit)
	if h := <-ea.How; h.Code != codeRateLimited || !h.Remote {
		t.Errorf("the remote was told %+v", h)
	}
}

// What a remote does wrong on a stream costs the stream, and is named.
func TestWhatIsNoStreamIsReset(t *testing.T) {
	for name, do := range map[string]func(t *testing.T, st *sctp.Stream){
		"a frame that is none":      func(t *testing.T, st *sctp.Stream) { send(t, st, []byte{1, 8}) },
		"a frame that is too large": func(t *testing.T, st *sctp.Stream) { send(t, st, []byte{0xff, 0xff, 0x7f}) },
		"a message that is too large": func(t *testing.T, st *sctp.Stream) {
			send(t, st, make([]byte, maxFrame+1))
		},
		"a second open":                func(t *testing.T, st *sctp.Stream) { _, _ = st.WriteSCTP(openMessage(), sctp.PayloadTypeWebRTCDCEP) },
		"more bytes than were granted": func(t *testing.T, st *sctp.Stream) { overrun(t, st) },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, same)
			_, streams := accepting(b)
			st := raw(t, a, 2, openMessage())
			a.assoc.SetMaxMessageSize(1 << 20) // it does not keep to ours
			s, sink := <-streams, newLost()
			s.Bind(sink, 1)
			do(t, st)
			h := <-sink.how
			ours(t, h, codeProtocol, ErrProtocol, fault.Remote)
			drain(sink)
			if _, err := b.OpenStream(); err != nil {
				t.Errorf("the connection does not go on: %v", err)
			}
		})
	}
}

// drain gives back what has come, and what is going to come.
func drain(l *lost) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drained = true
	for {
		select {
		case b := <-l.got:
			b.Release()
		default:
			return
		}
	}
}

// overrun does not care for windows.
func overrun(t *testing.T, st *sctp.Stream) {
	m := appendFrame(nil, frame{data: bytes.Repeat([]byte{1}, maxPayload)})
	for range DefaultStreamWindow/maxPayload + 3 {
		send(t, st, m)
	}
}

// Channels that may lose or reorder bytes, and those whose number is ours to give, are no streams.
func TestWhatIsNoChannelIsClosed(t *testing.T) {
	unordered, partial := openMessage(), openMessage()
	unordered[1], partial[1] = 0x80, 0x01
	for name, c := range map[string]struct {
		id   uint16
		open []byte
	}{
		"unordered":        {2, unordered},
		"partly reliable":  {2, partial},
		"not an open":      {2, []byte{9}},
		"cut short":        {2, openMessage()[:5]},
		"a number of ours": {3, openMessage()},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, same)
			_, streams := accepting(b)
			raw(t, a, c.id, c.open)
			st := raw(t, a, 4, openMessage()) // a good one behind it
			send(t, st, appendFrame(nil, frame{data: []byte("!")}))
			if s := <-streams; s.ID() != 4 {
				t.Errorf("stream %d was accepted", s.ID())
			}
		})
	}
}

// A flag is answered once, however often it comes.
func TestAFloodOfFlagsIsAnsweredOnce(t *testing.T) {
	a, b := pair(t, same)
	_, streams := accepting(b)
	st := raw(t, a, 2, openMessage())
	fin := appendFrame(nil, frame{flag: flagFin})
	for range 1000 {
		send(t, st, fin)
	}
	send(t, st, appendFrame(nil, frame{flag: flagStopSending, code: 5}))
	s, sink := <-streams, newLost()
	s.Bind(sink, 1)
	if _, ok := <-sink.got; ok {
		t.Error("bytes came")
	}
	var got []byte
	p := make([]byte, maxFrame)
	for {
		n, ppi, err := st.ReadSCTP(p)
		if err != nil { // the channel is closed: nothing can happen on it any more
			break
		}
		if carries(ppi) {
			got = append(got, p[:n]...)
		}
	}
	if want := appendFrame(nil, frame{flag: flagFinAck}); !bytes.Equal(got, want) {
		t.Errorf("a thousand FINs were answered by %x", got)
	}
}

// A channel whose open never comes does not take its place for ever.
func TestAChannelThatIsNotOpenedIsGivenUp(t *testing.T) {
	a, b := pair(t, same)
	st, err := a.assoc.OpenStream(2, sctp.PayloadTypeWebRTCBinary)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.WriteSCTP([]byte{0}, sctp.PayloadTypeWebRTCBinaryEmpty); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	for len(b.streams) == 0 {
		b.mu.Unlock()
		<-time.After(time.Millisecond)
		b.mu.Lock()
	}
	b.streams[2].late(time.Now().Add(2 * patience))
	theirs := b.theirs
	b.mu.Unlock()
	if theirs != 0 {
		t.Errorf("%d streams are open", theirs)
	}
}

// other is a pair whose dialler knows nothing of windows, as other implementations.
func other(t *testing.T, tune func(*Config)) (a, b *conn) {
	return pair(t, func(tr *Transport) {
		tr.mute = true
		tune(&tr.cfg)
	})
}

// Without windows a stream that nobody reads fills up, then SCTP's buffer does: no byte more is taken.
func TestUnreadBytesAreBoundedWithoutWindows(t *testing.T) {
	const window, buffer = 64 << 10, 128 << 10
	a, b := other(t, func(c *Config) { c.StreamWindow, c.ReceiveBuffer = window, buffer })
	e, streams := accepting(b)
	st := raw(t, a, 2, openMessage())
	m := appendFrame(nil, frame{data: bytes.Repeat([]byte{1}, careful)})
	const total = 100 * (window + buffer)
	for n := 0; n < total; n += careful {
		send(t, st, m)
	}
	s := <-streams
	left := stands(20*time.Millisecond, func() int {
		if _, _, unread := b.held(); unread > window+maxFrame {
			t.Fatalf("%d bytes are unread", unread)
		}
		return int(st.BufferedAmount())
	})
	if taken := total - left; taken > window+2*buffer {
		t.Errorf("%d bytes were taken off the sender", taken)
	}
	// Others wait for that stream; but not for ever.
	b.mu.Lock()
	s.late(time.Now().Add(2 * b.t.cfg.Stall))
	alone := s.gone
	b.theirs++ // another one
	s.late(time.Now().Add(2 * b.t.cfg.Stall))
	b.theirs--
	gone := s.gone
	b.mu.Unlock()
	if alone || !gone {
		t.Errorf("alone it is reset: %v, and with others: %v", alone, gone)
	}
	sink := newLost()
	s.Bind(sink, 1)
	if h := <-sink.how; h.Code != codeLimit || !errors.Is(h.Err, ErrStalled) {
		t.Errorf("%+v", h)
	}
	_ = e
}

// stands waits until a number stays as it is, and says what it is then.
func stands(every time.Duration, number func() int) int {
	last := -1
	for still := 0; still < 20; still++ {
		<-time.After(every)
		if now := number(); now != last {
			last, still = now, -1
		}
	}
	return last
}

// All streams of a connection together may not hold more than ConnWindow.
func TestUnreadBytesOfAConnectionAreBounded(t *testing.T) {
	const window = 256 << 10
	a, b := other(t, func(c *Config) { c.ConnWindow, c.StreamWindow = window, 128<<10 })
	accepting(b)
	a.Bind(transporttest.NewEndSink())
	data := make([]byte, 1<<20)
	for range 16 {
		s, err := a.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		s.Bind(newLost(), 1)
		if _, err := s.TryWrite(data); err != nil {
			t.Fatal(err)
		}
	}
	unread := stands(10*time.Millisecond, func() int {
		_, _, unread := b.held()
		if unread > window+16*maxFrame {
			t.Fatalf("%d bytes are unread", unread)
		}
		return unread
	})
	if unread < window {
		t.Errorf("%d bytes are unread: the window is not filled", unread)
	}
}

// Bytes that wait for the remote's acknowledgement are bounded: what does not fit is not taken.
func TestBytesThatWaitToBeSentAreBounded(t *testing.T) {
	a, b := other(t, func(c *Config) { c.ReceiveBuffer = 128 << 10 })
	accepting(b)
	s, err := a.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := s.TryWrite(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if n := s.(*stream).st.BufferedAmount(); n > DefaultSendBuffer {
			t.Fatalf("%d bytes wait", n)
		}
	}
}

// What costs more than its bytes is bounded by its number.
func TestSmallMessagesThatWaitToBeSentAreBounded(t *testing.T) {
	a, b := other(t, func(c *Config) { c.StreamWindow, c.ReceiveBuffer = 32<<10, 32<<10 })
	_, streams := accepting(b)
	s, err := a.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	w := newLost()
	s.Bind(w, 1)
	const most = smallBuffer/smallest + DefaultSendBuffer/smallFrame
	wrote := 0
	full := func() (buffered int) {
		for range 100 * most {
			n, err := s.TryWrite([]byte{1})
			if err != nil {
				t.Fatal(err)
			}
			wrote += n
			if buffered = int(s.(*stream).st.BufferedAmount()); buffered > most*smallest {
				t.Fatalf("%d bytes wait, of which each four are a message", buffered)
			}
			if n == 0 && buffered > smallBuffer/2 {
				break
			}
		}
		return buffered
	}
	transporttest.Settle(t, "bytes of which each four are a message, below the bound", 0, func() int {
		return max(0, smallBuffer/2-full()) // SCTP's buffer at the other end fills up first
	})
	select { // of what SCTP has taken
	case <-w.more:
	default:
	}
	full()
	theirs := <-streams
	theirs.Bind(forgets(theirs), 1)
	<-w.more
}

// All streams of a connection together have so much waiting, and go on when there is room.
func TestBytesOfAConnectionThatWaitToBeSentAreBounded(t *testing.T) {
	const most = 256 << 10
	a, b := other(t, func(c *Config) { c.StreamWindow, c.ReceiveBuffer, c.ConnSendBuffer = 32<<10, 64<<10, most })
	_, streams := accepting(b)
	var all []*lost
	for range 16 {
		s, err := a.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		w := newLost()
		s.Bind(w, 1)
		all = append(all, w)
		for range 100 {
			if _, err := s.TryWrite(make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
			if n := a.assoc.BufferedAmount(); n > most+16*maxOpen {
				t.Fatalf("%d bytes wait", n)
			}
		}
	}
	for range all { // half of them are reset, so that there is room for the others, which are read
		if s := <-streams; s.ID()%4 == 0 {
			_ = s.Reset(1)
		} else {
			s.Bind(forgets(s), 1)
		}
	}
	for n, w := range all { // streams 2, 4, 6 ...
		if n%2 == 0 {
			<-w.more
		}
	}
}

// forgets reads a stream.
func forgets(s *stream) *transporttest.Counter { return transporttest.NewCounter(s, math.MaxInt) }

// A remote that acknowledges nothing of what is said on its streams gets no further ones.
func TestChannelsThatAreNotAcknowledgedAreBounded(t *testing.T) {
	a, b := pair(t, same)
	_, streams := accepting(b)
	b.mu.Lock()
	b.owed = maxOwed // of a remote that is not pion
	b.mu.Unlock()
	raw(t, a, 2, openMessage())
	select { // order-free: the stream fails the test
	case s := <-streams:
		t.Errorf("stream %d was taken", s.ID())
	case <-time.After(200 * time.Millisecond):
	}
	b.mu.Lock()
	s := &stream{c: b, st: mustStream(t, b, 1), owed: true}
	b.mu.Unlock()
	b.news.of(s) // its last byte was acknowledged
	if s := <-streams; s.ID() != 2 {
		t.Errorf("stream %d was taken", s.ID())
	}
	// What ends in order is owed nothing for long.
	mine, err := a.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	_ = mine.Reset(1)
	transporttest.Settle(t, "channels that are owed", maxOwed-1, func() int {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.owed + b.lingers
	})
}

func mustStream(t *testing.T, c *conn, id uint16) *sctp.Stream {
	t.Helper()
	st, err := c.assoc.OpenStream(id, sctp.PayloadTypeWebRTCBinary)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// Streams that are opened and never used take places until their owner has enough of them, and no longer.
func TestStreamsThatAreNeverUsedGiveTheirPlacesBack(t *testing.T) {
	a, b := pair(t, same)
	_, streams := accepting(b)
	a.Bind(transporttest.NewEndSink())
	fill := func() (ours []*stream) {
		for range b.t.cfg.MaxStreams {
			s, err := a.OpenStream()
			if err != nil {
				t.Fatal(err)
			}
			s.Bind(newLost(), 1)
			ours = append(ours, <-streams)
		}
		return ours
	}
	for range 3 {
		unused := fill()
		if _, err := a.OpenStream(); !errors.Is(err, ErrStreamLimit) {
			t.Fatalf("one stream more: %v", err)
		}
		for _, s := range unused {
			_ = s.Reset(1)
		}
		transporttest.Settle(t, "streams at the one end", 0, func() int { n, _, _ := b.held(); return n })
		transporttest.Settle(t, "streams at the other end", 0, func() int {
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.ours
		})
	}
}

// A peer that takes nothing and says nothing holds up the end of its connection only.
func TestCloseEndsWithinASecondWithAStuckPeer(t *testing.T) {
	a, b := pair(t, same)
	e, _ := accepting(b)
	s, err := b.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	sink := newLost()
	s.Bind(sink, 1)
	crash(a)
	if _, err := s.TryWrite(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	socket := socketOf(b)
	began := time.Now()
	if err := b.Close(7, "enough"); err != nil {
		t.Error(err)
	}
	if h := <-e.How; h.Code != 7 || h.Remote {
		t.Errorf("%+v", h)
	}
	if h := <-sink.how; h.Code != 7 {
		t.Errorf("the stream: %+v", h)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("its owner was told after %v", took)
	}
	transporttest.Settle(t, "paths", 0, func() int { n, _ := socket.sizes(); return n })
	if took := time.Since(began); took > 3*time.Second { // on a slow machine; else in three quarters of one
		t.Errorf("it was gone after %v", took)
	}
}
