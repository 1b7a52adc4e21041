package webrtc

import (
	"bytes"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	"github.com/pion/sctp"
	"github.com/pion/stun/v4"
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

// listening is a listener with its socket, and a socket of strangers.
func listening(t *testing.T, tune func(*Transport)) (*socket, *net.UDPConn) {
	t.Helper()
	tr := New(transporttest.Runtime(t), testConfig(transporttest.Key(2)))
	tune(tr)
	l, err := tr.Listen(anyPort, &transporttest.Acceptor{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := l.(*listener).s
	pc, err := net.DialUDP("udp4", nil, s.bound)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	return s, pc
}

func (s *socket) sizes() (paths, recent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.paths), len(s.recent)
}

// One datagram of a stranger has ended processes of others (CVE-2026-103936): here none costs more than
// an answer.
func TestGarbageCostsNothing(t *testing.T) {
	s, pc := listening(t, same)
	before := transporttest.Goroutines()
	check, err := newCredentials(1).checkMessage(stun.NewTransactionID(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3000 {
		p := make([]byte, n%1300)
		_, _ = rand.Read(p)
		switch {
		case n%3 == 1: // looks like DTLS
			if len(p) > 0 {
				p[0] = 20 + byte(n%44)
			}
		case n%3 == 2: // looks like a check
			p = append([]byte(nil), check[:n%len(check)]...)
			if len(p) > 20 {
				p[20+n%(len(p)-20)] ^= byte(n)
			}
		}
		if isHello(p) {
			continue
		}
		s.handle(p, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1}), 1))
	}
	_, _ = pc.Write([]byte{1}) // and one the long way
	if paths, recent := s.sizes(); paths != 0 || recent > maxRecent {
		t.Errorf("%d connections, %d addresses are remembered", paths, recent)
	}
	transporttest.Settle(t, "goroutines", before, transporttest.Goroutines)
}

func TestAddressesThatSentChecksAreBounded(t *testing.T) {
	s, _ := listening(t, same)
	for n := range 100 * maxRecent {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 1)
		s.checked(check{ufrag: "libp2p+webrtc+v1/same", nominate: true}, from)
		if _, recent := s.sizes(); recent > maxRecent || len(s.order) > maxRecent {
			t.Fatalf("%d addresses are remembered", recent)
		}
	}
	if paths, recent := s.sizes(); paths != 0 || recent != maxRecent {
		t.Errorf("%d connections, %d addresses", paths, recent)
	}
}

// hello is enough of a ClientHello to begin a handshake.
var hello = append([]byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 1}, make([]byte, 11)...)

func TestHandshakesUnderWayAreBounded(t *testing.T) {
	s, _ := listening(t, func(t *Transport) { t.cfg.HalfOpen, t.cfg.HandshakeTimeout = DefaultHalfOpen, 2*time.Second })
	most := 0
	for n := range 100 * DefaultHalfOpen {
		s.handle(hello, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(n >> 8), byte(n)}), 9))
		most = max(most, s.halfOpen.len())
	}
	if most > DefaultHalfOpen {
		t.Errorf("%d handshakes were under way", most)
	}
	transporttest.Settle(t, "handshakes under way", 0, s.halfOpen.len)
	transporttest.Settle(t, "paths", 0, func() int { n, _ := s.sizes(); return n })
}

// Networks that take all they get leave room for one that comes later.
func TestHandshakesOfOneNetworkLeaveRoomForOthers(t *testing.T) {
	for hogs, want := range map[int]int{1: 128, 2: 85, 3: 64, 15: 16} {
		h := halfOpen{max: 256, held: map[netip.Prefix]int{}}
		at := func(n int) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), 1) }
		for range 100 * h.max {
			for n := range hogs {
				h.enter(at(n))
			}
		}
		if got := h.held[netip.PrefixFrom(at(0).Addr(), 32)]; got < want-1 || got > want+1 {
			t.Errorf("%d hogs have %d places each, want %d", hogs, got, want)
		}
		leave := h.enter(at(200))
		if leave == nil {
			t.Errorf("with %d hogs there is no room for another", hogs)
			continue
		}
		n := h.len()
		leave()
		leave()
		if h.len() != n-1 {
			t.Error("a place was given back twice")
		}
	}
}

// A flood from one network does not keep another from connecting.
func TestAFloodOfHandshakesSparesOthers(t *testing.T) {
	rt := transporttest.Runtime(t)
	acc := &transporttest.Acceptor{}
	cfg := testConfig(transporttest.Key(2))
	cfg.HandshakeTimeout = 2 * time.Second
	l, err := New(rt, cfg).Listen(anyPort, acc)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for n := range 1000 {
		l.(*listener).s.handle(hello, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 9, 9, 9}), uint16(n+1)))
	}
	c, err := transporttest.Dial(t.Context(), New(rt, testConfig(transporttest.Key(1))), l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c.Abandon()
	acc.Next(t, 0).Abandon()
}

func TestDatagramsThatWaitAreBounded(t *testing.T) {
	p := newPath(someone, someone, nil)
	for range 100 * pathQueue / 1200 {
		p.push(make([]byte, 1200))
		if n := p.in.Size(); n > pathQueue {
			t.Fatalf("%d bytes wait", n)
		}
	}
	_ = p.Close()
}

func TestChannelsBeforeTheHandshakeAreBounded(t *testing.T) {
	a, b := pair(t, same)
	b.mu.Lock()
	b.begun = false // as it was then
	b.mu.Unlock()
	for n := range 100 * maxEarly {
		if _, err := a.assoc.OpenStream(uint16(2+2*n), sctp.PayloadTypeWebRTCBinary); err != nil {
			t.Fatal(err)
		}
	}
	for n := range uint16(100 * maxEarly) {
		st, _ := a.assoc.OpenStream(2+2*n, sctp.PayloadTypeWebRTCBinary)
		if _, err := st.WriteSCTP(openMessage(), sctp.PayloadTypeWebRTCDCEP); err != nil {
			t.Fatal(err)
		}
	}
	transporttest.Settle(t, "channels that are missing", 0, func() int {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.early) > maxEarly {
			t.Fatalf("%d channels are held", len(b.early))
		}
		return maxEarly - len(b.early)
	})
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
	b.mu.Lock()
	b.resets.Take(resetBurst-100, b.t.rt.Now()) // a slow machine gets there too
	b.mu.Unlock()
	var h ending
	for n := uint16(0); h.err == nil && n < 100*16*10; n++ {
		st, err := a.assoc.OpenStream(2+2*n, sctp.PayloadTypeWebRTCBinary)
		if err == nil {
			_, err = st.WriteSCTP(openMessage(), sctp.PayloadTypeWebRTCDCEP)
		}
		select {
		case h = <-e.how:
		default:
			if err != nil {
				h = <-e.how
			}
		}
		if theirs, _, _ := b.held(); theirs > b.t.cfg.MaxStreams+1 { // the one that is just being refused
			t.Fatalf("%d streams are open", theirs)
		}
	}
	if h.err == nil {
		h = <-e.how
	}
	var we *Error
	if h.code != codeRateLimited || h.remote || !errors.Is(h.err, ErrResets) || !errors.As(h.err, &we) || we.Origin != fault.Limit {
		t.Errorf("%+v", h)
	}
}

// A remote that opens streams and resets them costs us what no limit of streams sees.
func TestResetsInAStormEndTheConnection(t *testing.T) {
	a, b := pair(t, same)
	e, _ := accepting(b)
	ea := newEnded()
	a.Bind(ea)
	b.mu.Lock()
	b.resets.Take(resetBurst-100, b.t.rt.Now()) // a slow machine gets there too
	b.mu.Unlock()
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
	h := <-e.how
	if h.code != codeRateLimited || h.remote || !errors.Is(h.err, ErrResets) {
		t.Errorf("%+v", h)
	}
	if h := <-ea.how; h.code != codeRateLimited || !h.remote {
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
			var we *Error
			if h.code != codeProtocol || h.remote || !errors.Is(h.err, ErrProtocol) || !errors.As(h.err, &we) || we.Origin != fault.Remote {
				t.Errorf("%+v", h)
			}
			drain(sink)
			if _, err := b.OpenStream(); err != nil {
				t.Errorf("the connection does not go on: %v", err)
			}
		})
	}
}

func drain(l *lost) {
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
	last, still := uint64(0), 0
	for still < 20 {
		<-time.After(20 * time.Millisecond)
		if now := st.BufferedAmount(); now != last {
			last, still = now, 0
		} else {
			still++
		}
		if _, _, unread := b.held(); unread > window+maxFrame {
			t.Fatalf("%d bytes are unread", unread)
		}
	}
	if taken := total - int(last); taken > window+2*buffer {
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
	if h := <-sink.how; h.code != codeLimit || !errors.Is(h.err, ErrStalled) {
		t.Errorf("%+v", h)
	}
	_ = e
}

// All streams of a connection together may not hold more than ConnWindow.
func TestUnreadBytesOfAConnectionAreBounded(t *testing.T) {
	const window = 256 << 10
	a, b := pair(t, func(t *Transport) { t.cfg.ConnWindow, t.cfg.StreamWindow = window, 128<<10 })
	accepting(b)
	a.Bind(newEnded())
	data := make([]byte, 1<<20)
	var all []*lost
	for range 16 {
		s, err := a.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		w := newLost()
		all = append(all, w)
		s.Bind(w, 1)
		if _, err := s.TryWrite(data); err != nil {
			t.Fatal(err)
		}
	}
	still := 0
	for last := -1; still < 20; {
		<-time.After(10 * time.Millisecond)
		_, _, unread := b.held()
		if unread > window+16*maxFrame {
			t.Fatalf("%d bytes are unread", unread)
		}
		if unread == last {
			still++
		} else {
			last, still = unread, 0
		}
	}
	if _, _, unread := b.held(); unread < window {
		t.Errorf("%d bytes are unread: the window is not filled", unread)
	}
	_ = all
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
