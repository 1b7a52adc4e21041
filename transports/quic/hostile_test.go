package quic

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	quicgo "github.com/quic-go/quic-go"
)

// A remote that opens streams and resets them costs us what no limit of streams sees.
func TestResetsInAStormEndTheConnection(t *testing.T) {
	a, b := pair(t, same)
	s := &ended{how: make(chan ending, 1)}
	s.OnAccepted = func(st conduit.MuxedStream) { st.Bind(&writer{}, 1) }
	b.Bind(s)
	sent := 0
	for range 100 * resetBurst {
		qs, err := a.qc.OpenStreamSync(t.Context())
		if err != nil {
			break
		}
		if _, err := qs.Write([]byte("!")); err != nil {
			break
		}
		qs.CancelWrite(3)
		qs.CancelRead(3)
		sent++
	}
	e := <-s.how
	var qe *Error
	if e.code != rateLimited || e.remote || !errors.Is(e.err, ErrResets) || !errors.As(e.err, &qe) || qe.Origin != fault.Limit {
		t.Errorf("after %d streams: %+v", sent, e)
	}
	var ae *quicgo.ApplicationError
	<-a.qc.Context().Done()
	if _, err := a.qc.OpenStream(); !errors.As(err, &ae) || ae.ErrorCode != rateLimited {
		t.Errorf("the remote was told %v", err)
	}
}

// Windows grow while streams are read. All connections together do not grow without bound, and what one
// has grown by is there for others when it ends.
func TestWindowsShareTheirGrowth(t *testing.T) {
	g := growth{most: DefaultGrowth}
	conns := make([]quicgo.Conn, 100)
	var sum uint64
	for range 100 {
		for i := range conns {
			if g.widen(&conns[i], firstWindow) {
				sum += firstWindow
			}
		}
	}
	if sum == 0 || sum > DefaultGrowth || sum != g.sum {
		t.Fatalf("windows grew by %d, at most %d may be", sum, DefaultGrowth)
	}
	for i := range conns {
		g.ended(&conns[i])
		g.ended(&conns[i])
	}
	if g.sum != 0 || len(g.of) > 0 {
		t.Errorf("%d bytes are taken by nobody", g.sum)
	}

	for _, growth := range []int{1, 1 << 20} {
		t.Run(fmt.Sprint(growth), func(t *testing.T) { // each settles before the next counts buffers
			a, b := pair(t, func(c *Config) { c.StreamWindow, c.ConnWindow, c.Growth = 4<<20, 8<<20, growth })
			moves(t, a, b, 32<<20)
			if grown := b.t.windows.grown(); (grown > 0) != (growth > 1) || grown > growth {
				t.Errorf("windows grew by %d", grown)
			}
			_ = a.Close(0, "")
			transporttest.Settle(t, "bytes that windows have grown by", 0, b.t.windows.grown)
		})
	}
}

func (g *growth) grown() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return int(g.sum)
}

// moves has all bytes read at the other end.
func moves(t *testing.T, a, b *conn, bytes int) {
	t.Helper()
	sink := &transporttest.MuxedSink{}
	opened := make(chan conduit.MuxedStream, 1)
	sink.OnAccepted = func(s conduit.MuxedStream) { opened <- s }
	b.Bind(sink)
	s, err := a.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{again: make(chan struct{}, 1)}
	s.Bind(w, 1)
	var r *transporttest.Counter
	p := make([]byte, 64<<10)
	for left := bytes; left > 0; {
		n, err := s.TryWrite(p[:min(len(p), left)])
		if err != nil {
			t.Fatal(err)
		}
		if left -= n; r == nil {
			theirs := <-opened
			r = transporttest.NewCounter(theirs, bytes)
			theirs.Bind(r, 2)
		}
		if n == 0 {
			<-w.again
		}
	}
	<-r.Done
}

// Nothing that comes from nowhere costs more than it costs to send, and who is honest still gets in.
func TestGarbageIsAnsweredWithLessThanItIs(t *testing.T) {
	tr := New(transporttest.Runtime(t), testConfig(transporttest.Key(1)))
	acc := &transporttest.Acceptor{}
	l, err := tr.Listen(anyPort, acc)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	nc, err := net.DialUDP("udp4", nil, l.(*listener).s.bound)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	long := func(first byte, version string) []byte {
		p := make([]byte, 1200)
		_, _ = rand.Read(p)
		p[0] = first
		copy(p[1:], version+"\x08") // and 8 bytes of a connection ID
		return p
	}
	out := 0
	for range 50 {
		short := make([]byte, 1200)
		_, _ = rand.Read(short)
		short[0] = 0x40
		for _, p := range [][]byte{
			{0}, {0x40}, {0xc0}, short,
			long(0x80, "\x00\x00\x00\x00"), // Version Negotiation, which only clients get
			long(0xc0, "\x0a\x0a\x0a\x0a"), // a version of nobody
			long(0xc0, "\x00\x00\x00\x01"), // Initial
			long(0xd0, "\x00\x00\x00\x01"), // 0-RTT
			long(0xf0, "\x00\x00\x00\x01"), // Retry
		} {
			if _, err := nc.Write(p); err != nil {
				t.Fatal(err)
			}
			out += len(p)
		}
	}
	in, buf := 0, make([]byte, 2048)
	for {
		_ = nc.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := nc.Read(buf)
		if err != nil {
			break
		}
		in += n
	}
	if in > out {
		t.Errorf("%d bytes came back for %d", in, out)
	}
	c, err := transporttest.Dial(t.Context(), New(transporttest.Runtime(t), testConfig(transporttest.Key(2))), l.Addr())
	if err != nil {
		t.Fatalf("who is honest does not get in: %v", err)
	}
	defer c.Abandon()
	defer acc.Next(t, 0).Abandon()
}

// A node that crashed and is back does not leave its remotes to find out by a timeout.
func TestARestartEndsTheConnectionsOfBefore(t *testing.T) {
	rt := transporttest.Runtime(t)
	patient := func(n byte) *Transport {
		cfg := testConfig(transporttest.Key(n))
		cfg.IdleTimeout = time.Hour
		return New(rt, cfg)
	}
	acc := &transporttest.Acceptor{}
	l, err := patient(1).Listen(anyPort, acc)
	if err != nil {
		t.Fatal(err)
	}
	c, err := transporttest.Dial(t.Context(), patient(2), l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abandon()
	s := &ended{how: make(chan ending, 1)}
	c.Muxed.Bind(s)
	<-c.Muxed.(*conn).confirmed.done // before that it would go on with its handshake, which no reset ends
	_ = l.(*listener).s.pc.Close()   // says nothing to anybody
	again, err := patient(1).Listen(l.Addr(), &transporttest.Acceptor{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	st, err := c.Muxed.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.TryWrite(make([]byte, 512)); err != nil {
		t.Fatal(err)
	}
	if e := <-s.how; !strings.Contains(e.err.Error(), "quic: remote: ") || !strings.Contains(e.err.Error(), "stateless reset") {
		t.Errorf("%+v", e)
	}
}

// A key of resets is one address's, or a node's second socket would tell how to reset what runs over the
// first.
func TestEachAddressHasAResetKeyOfItsOwn(t *testing.T) {
	key := func(n byte, port int) quicgo.StatelessResetKey {
		k, err := resetKey(transporttest.Key(n), &net.UDPAddr{IP: net.IPv4zero, Port: port})
		if err != nil {
			t.Fatal(err)
		}
		return *k
	}
	if before, after := key(1, 1), key(1, 1); before != after {
		t.Error("a node that is back has another key")
	}
	if key(1, 1) == key(1, 2) || key(1, 1) == key(2, 1) {
		t.Error("two addresses or two nodes have one key")
	}
}

// Close waits for nobody: not for a remote that is gone, nor for streams that are stuck.
func TestCloseOfAStuckConnectionIsQuick(t *testing.T) {
	a, b := pair(t, same)
	s := &ended{how: make(chan ending, 1)}
	a.Bind(s)
	st, err := a.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{again: make(chan struct{}, 1)}
	st.Bind(w, 1)
	if taken := w.stuff(t, st, 4<<20); taken == 4<<20 {
		t.Fatal("it is not stuck")
	}
	_ = b.s.pc.Close()
	began := time.Now()
	_ = a.Close(7, "bye")
	if e := <-s.how; e.code != 7 || e.remote || time.Since(began) > time.Second {
		t.Errorf("%+v, after %v", e, time.Since(began))
	}
}
