package quic

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack/quicstacktest"
)

func TestAnotherPeerThanTheWantedOneIsNamed(t *testing.T) {
	rt := transporttest.Runtime(t)
	l, _ := transporttest.Listen(t, New(rt, testConfig(transporttest.Key(2))), anyPort)
	_, err := transporttest.DialPeer(t.Context(), New(rt, testConfig(transporttest.Key(1))), l.Addr(), transporttest.ID(3))
	want := "quic: remote: dial " + l.Addr().String() + ": expected peer " + transporttest.ID(3).String() + ", " +
		transporttest.ID(2).String() + " answered"
	if err == nil || err.Error() != want || !errors.Is(err, identity.ErrMismatch) {
		t.Errorf("err = %v, want %s", err, want)
	}
}

func TestADialToNobodyNamesTheRemote(t *testing.T) {
	tr := New(transporttest.Runtime(t), testConfig(transporttest.Key(1)))
	l, _ := transporttest.Listen(t, tr, anyPort)
	_ = l.Close()
	_, err := transporttest.Dial(t.Context(), tr, l.Addr())
	var qe *Error
	if !errors.As(err, &qe) || qe.Origin.String() != "remote" || !qe.Timeout() || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("err = %v", err)
	}
}

func TestADialThatIsCancelledEndsAtOnce(t *testing.T) {
	cfg := testConfig(transporttest.Key(1))
	cfg.HandshakeTimeout = time.Hour
	tr := New(transporttest.Runtime(t), cfg)
	l, _ := transporttest.Listen(t, tr, anyPort)
	_ = l.Close()
	why := errors.New("another dial won")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer time.AfterFunc(50*time.Millisecond, func() { cancel(why) }).Stop()
	if _, err := transporttest.Dial(ctx, tr, l.Addr()); !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("err = %v", err)
	}
}

func TestWithoutAKeyNothingWorks(t *testing.T) {
	tr := New(transporttest.Runtime(t), Config{})
	transporttest.Joins(t, tr, anyPort, anyPort, ErrNoKey, ErrKey)
}

func TestACodeOfMoreThan32BitsIsTheLargest(t *testing.T) {
	a, b := pair(t, same)
	s := transporttest.NewEndSink()
	a.Bind(s)
	_ = b.QUIC().CloseWithError(1<<40, "why \x1b[2J")
	e := <-s.How
	if e.Code != 1<<32-1 || !e.Remote || !strings.HasSuffix(e.Err.Error(), "remote: connection closed, code 0xffffffff: why ?[2J") {
		t.Errorf("%+v", e)
	}
}

// The QUIC stack's streams hear of the end before its connection has a cause.
func TestWhoMeetsTheEndFirstIsToldWhoseItIs(t *testing.T) {
	for range 50 {
		t.Run("", meetsTheEnd)
	}
}

func meetsTheEnd(t *testing.T) {
	a, b := pair(t, same)
	a.Bind(transporttest.NewEndSink())
	go func() { _ = b.QUIC().CloseWithError(7, "") }()
	var err error
	for err == nil || errors.Is(err, ErrStreamLimit) {
		_, err = a.OpenStream()
	}
	if !strings.HasSuffix(err.Error(), "remote: connection closed, code 0x7") {
		t.Error(err)
	}
}

func TestASilentRemoteEndsTheConnection(t *testing.T) {
	a, b := pair(t, func(c *Config) { c.IdleTimeout = time.Second })
	quicstacktest.SilenceEnds(t, a, b)
}

// What is taken of streams that nobody reads is bounded for each, and for all of them together.
func TestUnreadBytesOfAConnectionAreBounded(t *testing.T) {
	const window, send = 1 << 20, 16 << 10
	a, _ := pair(t, func(c *Config) { c.StreamWindow, c.ConnWindow, c.SendBuffer = window, window, send })
	quicstacktest.UnreadIsBounded(t, a, window, send)
}

// Many small writes do not wait for a pump each, and yet not without bound in the QUIC stack.
func TestBytesThatWaitToBeSentAreBounded(t *testing.T) {
	const window = 32 << 10
	a, _ := pair(t, func(c *Config) { c.StreamWindow = window })
	quicstacktest.UnsentIsBounded(t, a, window)
}

func TestADialLeavesFromTheListenersPort(t *testing.T) {
	rt := transporttest.Runtime(t)
	first, second := New(rt, testConfig(transporttest.Key(1))), New(rt, testConfig(transporttest.Key(2)))
	own, _ := transporttest.Listen(t, first, anyPort)
	c, theirs, l := transporttest.Connect(t, first, second, anyPort)
	_, _ = l.Close(), own.Close()
	if from := theirs.Endpoints().Remote; !from.Equal(own.Addr()) {
		t.Errorf("it came from %s, not from %s", from, own.Addr())
	}
	c.Abandon()
	theirs.Abandon()
}
