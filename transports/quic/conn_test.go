package quic

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack"
)

func peerID(t *testing.T, n byte) identity.ID {
	t.Helper()
	id, err := identity.IDFromKey(transporttest.Key(n).Public())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAnotherPeerThanTheWantedOneIsNamed(t *testing.T) {
	rt := transporttest.Runtime(t)
	l, err := New(rt, testConfig(transporttest.Key(2))).Listen(anyPort, &transporttest.Acceptor{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, err = transporttest.DialPeer(t.Context(), New(rt, testConfig(transporttest.Key(1))), l.Addr(), peerID(t, 3))
	want := "quic: remote: dial " + l.Addr().String() + ": expected peer " + peerID(t, 3).String() + ", " +
		peerID(t, 2).String() + " answered"
	if err == nil || err.Error() != want || !errors.Is(err, identity.ErrMismatch) {
		t.Errorf("err = %v, want %s", err, want)
	}
}

func TestADialToNobodyNamesTheRemote(t *testing.T) {
	tr := New(transporttest.Runtime(t), testConfig(transporttest.Key(1)))
	l, err := tr.Listen(anyPort, &transporttest.Acceptor{})
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	_, err = transporttest.Dial(t.Context(), tr, l.Addr())
	var qe *Error
	if !errors.As(err, &qe) || qe.Origin.String() != "remote" || !qe.Timeout() || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("err = %v", err)
	}
}

func TestADialThatIsCancelledEndsAtOnce(t *testing.T) {
	cfg := testConfig(transporttest.Key(1))
	cfg.HandshakeTimeout = time.Hour
	tr := New(transporttest.Runtime(t), cfg)
	l, err := tr.Listen(anyPort, &transporttest.Acceptor{})
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	why := errors.New("another dial won")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer time.AfterFunc(50*time.Millisecond, func() { cancel(why) }).Stop()
	if _, err = transporttest.Dial(ctx, tr, l.Addr()); !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("err = %v", err)
	}
}

func TestWithoutAKeyNothingWorks(t *testing.T) {
	tr := New(transporttest.Runtime(t), Config{})
	if _, err := tr.Listen(anyPort, &transporttest.Acceptor{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("it listens: %v", err)
	}
	if _, err := transporttest.Dial(t.Context(), tr, anyPort); !errors.Is(err, ErrNoKey) {
		t.Errorf("it dials: %v", err)
	}
	if err := tr.Join(conduit.Node{Key: transporttest.Key(1)}); err != nil {
		t.Fatal(err)
	}
	l, err := tr.Listen(anyPort, &transporttest.Acceptor{})
	if err != nil {
		t.Fatalf("with a node's key: %v", err)
	}
	_ = l.Close()
	if err := tr.Join(conduit.Node{Key: transporttest.Key(2)}); !errors.Is(err, ErrKey) {
		t.Errorf("it joins another node: %v", err)
	}
}

type ending struct {
	code   uint32
	remote bool
	err    error
}

// ended records how a conduit ended.
type ended struct {
	transporttest.MuxedSink
	how chan ending
}

func (e *ended) Ended(code uint32, remote bool, err error) { e.how <- ending{code, remote, err} }

func TestACodeOfMoreThan32BitsIsTheLargest(t *testing.T) {
	a, b := pair(t, same)
	s := &ended{how: make(chan ending, 1)}
	a.Bind(s)
	_ = b.QUIC().CloseWithError(1<<40, "why \x1b[2J")
	e := <-s.how
	if e.code != 1<<32-1 || !e.remote || !strings.HasSuffix(e.err.Error(), "remote: connection closed, code 0xffffffff: why ?[2J") {
		t.Errorf("%+v", e)
	}
}

func TestASilentRemoteEndsTheConnection(t *testing.T) {
	a, b := pair(t, func(c *Config) { c.IdleTimeout = time.Second })
	s := &ended{how: make(chan ending, 1)}
	b.Bind(s)
	_ = a.UDP().Close()
	e := <-s.how
	if e.code != 0 || e.remote || !strings.Contains(e.err.Error(), "quic: remote: talk to") || !strings.Contains(e.err.Error(), "no answer") {
		t.Errorf("%+v", e)
	}
}

// What is taken of streams that nobody reads is bounded for each, and for all of them together.
func TestUnreadBytesOfAConnectionAreBounded(t *testing.T) {
	const streams, window, conn, send = 8, 1 << 20, 1 << 20, 16 << 10
	a, _ := pair(t, func(c *Config) { c.StreamWindow, c.ConnWindow, c.SendBuffer = window, conn, send })
	taken := 0
	for range streams {
		s, err := a.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		sink := &writer{again: make(chan struct{}, 1)}
		s.Bind(sink, 1)
		taken += sink.stuff(t, s, 100*send)
	}
	if limit := conn + streams*(2*send+quicstack.MaxDirect); taken > limit || taken < firstWindow {
		t.Errorf("%d bytes were taken, %d to %d may be", taken, firstWindow, limit)
	}
}

// writer writes until nothing more is taken for a while.
type writer struct {
	transporttest.StreamSink
	again chan struct{}
}

func (w *writer) Offer(b *buf.Buf) { b.Release() }
func (w *writer) RemoteClosed()    {}

func (w *writer) Writable() {
	select {
	case w.again <- struct{}{}:
	default:
	}
}

func (w *writer) Reset(uint32, bool, error) {}

func (w *writer) stuff(t *testing.T, s conduit.MuxedStream, most int) (taken int) {
	t.Helper()
	p := make([]byte, 10_000)
	for taken < most {
		n, err := s.TryWrite(p)
		if err != nil {
			t.Fatal(err)
		}
		if taken += n; n == len(p) {
			continue
		}
		select {
		case <-w.again:
		case <-time.After(200 * time.Millisecond):
			return taken
		}
	}
	return taken
}

// Many small writes do not wait for a pump each, and yet not without bound in the QUIC stack.
func TestBytesThatWaitToBeSentAreBounded(t *testing.T) {
	const window = 32 << 10
	a, _ := pair(t, func(c *Config) { c.StreamWindow = window })
	s, err := a.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	s.Bind(&writer{again: make(chan struct{}, 1)}, 1)
	small, taken := make([]byte, 100), 0
	for range 100 * (2*DefaultSendBuffer + quicstack.MaxDirect) / len(small) {
		n, err := s.TryWrite(small)
		if err != nil {
			t.Fatal(err)
		}
		if taken += n; n < len(small) {
			break
		}
	}
	if limit := window + 2*DefaultSendBuffer + quicstack.MaxDirect; taken > limit || taken < DefaultSendBuffer {
		t.Errorf("%d bytes were taken, %d to %d may be", taken, DefaultSendBuffer, limit)
	}
}

func TestADialLeavesFromTheListenersPort(t *testing.T) {
	rt := transporttest.Runtime(t)
	first, second := New(rt, testConfig(transporttest.Key(1))), New(rt, testConfig(transporttest.Key(2)))
	var ends []conduit.Conduit
	acc := &transporttest.Acceptor{}
	l, err := second.Listen(anyPort, acc)
	if err != nil {
		t.Fatal(err)
	}
	own, err := first.Listen(anyPort, &transporttest.Acceptor{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := transporttest.Dial(t.Context(), first, l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	ends = append(ends, c, acc.Next(t, 0))
	for _, x := range []interface{ Close() error }{l, own} {
		_ = x.Close()
	}
	if from := ends[1].Endpoints().Remote; !from.Equal(own.Addr()) {
		t.Errorf("it came from %s, not from %s", from, own.Addr())
	}
	for _, e := range ends {
		e.Abandon()
	}
}
