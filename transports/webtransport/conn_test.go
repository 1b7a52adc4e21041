package webtransport

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack/quicstacktest"
	"github.com/troupe-p2p/troupe/transports/quic"

	ma "github.com/multiformats/go-multiaddr"
	quicgo "github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

func TestWithoutAKeyNothingWorks(t *testing.T) {
	tr := New(transporttest.Runtime(t), Config{})
	transporttest.Joins(t, tr, anyPort, anyPort, ErrNoKey, ErrKey)
}

func TestAnotherPeerThanTheWantedOneIsNamed(t *testing.T) {
	_, l, _ := served(t, same)
	_, err := transporttest.DialPeer(t.Context(), New(l.t.rt, testConfig(transporttest.Key(1))), l.Addr(), transporttest.ID(3))
	if err == nil || !strings.HasPrefix(err.Error(), "webtransport: remote: dial "+end(l.Addr()).String()) ||
		!strings.Contains(err.Error(), transporttest.ID(3).String()) || !strings.Contains(err.Error(), transporttest.ID(2).String()) {
		t.Errorf("err = %v", err)
	}
}

// The session's last word has the code and the reason; the end of the connection has them too, for a remote
// that is told by that first.
func TestACloseTellsItsCodeEitherWay(t *testing.T) {
	for _, code := range []uint32{0, 7, 0x1001, 1<<32 - 1} {
		a, b := pair(t, same)
		s := transporttest.NewEndSink()
		b.Bind(s)
		_ = a.Close(code, "why \x1b[2J")
		if e := <-s.How; e.Code != code || !e.Remote || !strings.Contains(e.Err.Error(), "why ?[2J") {
			t.Errorf("code %#x: %+v", code, e)
		}
		a, b = pair(t, same)
		s = transporttest.NewEndSink()
		b.Bind(s)
		_ = a.QUIC().CloseWithError(sessionOf(a).connCode(code), "why")
		if e := <-s.How; e.Code != code || !e.Remote || !strings.Contains(e.Err.Error(), "why") {
			t.Errorf("code %#x with the connection: %+v", code, e)
		}
	}
}

// go-libp2p closes QUIC with a code of nobody's behind the session's last word.
func TestCodesOfHTTPMeanNothing(t *testing.T) {
	a, b := pair(t, same)
	s := transporttest.NewEndSink()
	b.Bind(s)
	_ = a.QUIC().CloseWithError(1, "")
	if e := <-s.How; e.Code != 0 || !e.Remote {
		t.Errorf("%+v", e)
	}
	a, b = pair(t, same)
	s = transporttest.NewEndSink()
	b.Bind(s)
	sessionOf(a).str.(*http3.RequestStream).CancelWrite(0x10c)
	if e := <-s.How; e.Code != 0 || !e.Remote || !strings.Contains(e.Err.Error(), "reset") {
		t.Errorf("%+v", e)
	}
}

func TestASilentRemoteEndsTheConnection(t *testing.T) {
	a, b := pair(t, func(c *Config) { c.IdleTimeout = time.Second })
	quicstacktest.SilenceEnds(t, a, b)
}

// Close waits for nobody for long: not for a remote that is gone, nor for streams that are stuck.
func TestCloseOfAStuckConnectionIsQuick(t *testing.T) {
	a, b := pair(t, same)
	quicstacktest.StuckCloseIsQuick(t, a, b)
}

// A stream that is reset before anything was written says whose it was all the same.
func TestAResetGetsThroughWithItsHead(t *testing.T) {
	a, b := pair(t, same)
	// An owner of its streams: the reset of one may come a little later than the stream.
	b.Bind(&transporttest.MuxedSink{OnAccepted: func(s conduit.MuxedStream) { transporttest.NewStreamWriter(s) }})
	for range 100 { // more than there are places: each comes back
		_ = transporttest.OpenStream(t, a).Reset(5)
	}
	transporttest.Carry(t, a, b, make([]byte, 1<<20))
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

// Windows grow while streams are read, as far as all connections together may, and what one has grown by
// is there for others when it ends.
func TestWindowsShareTheirGrowth(t *testing.T) {
	const growth = 1 << 20
	server, l, acc := served(t, func(c *Config) { c.StreamWindow, c.ConnWindow, c.Growth = 4<<20, 8<<20, growth })
	c, err := transporttest.Dial(t.Context(), New(l.t.rt, testConfig(transporttest.Key(1))), l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	b := acc.next(t)
	quicstacktest.GrowthIsShared(t, c.Muxed, b, server.stack.Grown, growth)
	_ = b.Close(0, "")
}

// A node that speaks QUIC as well has one socket for both on one address, and each of the two comes and
// goes as it likes.
func TestQUICAndWebTransportShareASocket(t *testing.T) {
	rt := transporttest.Runtime(t)
	node := func(n byte) (q, w conduit.Transport) {
		shared := conduit.Node{Key: transporttest.Key(n), Shared: new(conduit.Shared)}
		qt, wt := quic.New(rt, quic.Config{}), New(rt, Config{})
		if err := errors.Join(qt.Join(shared), wt.Join(shared)); err != nil {
			t.Fatal(err)
		}
		return qt, wt
	}
	q, w := node(1)
	dq, dw := node(2)
	acc := &transporttest.Acceptor{}
	listen := func(tr conduit.Transport, a ma.Multiaddr) conduit.Listener {
		l, err := tr.Listen(a, acc)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	n := 0
	dials := func(tr conduit.Transport, a ma.Multiaddr) {
		t.Helper()
		c, err := transporttest.DialPeer(t.Context(), tr, a, transporttest.ID(1))
		if err != nil {
			t.Fatal(err)
		}
		theirs := acc.Next(t, n)
		n++
		transporttest.Carry(t, c.Muxed, theirs.Muxed, make([]byte, 1<<20))
		if from := theirs.Endpoints(); from.Transport != tr.Name() || !from.Local.Equal(end(a)) {
			t.Errorf("%s from %s at %s", from.Transport, from.Remote, from.Local)
		}
		c.Abandon()
		theirs.Abandon()
	}
	wl := listen(w, anyPort)
	at := end(wl.Addr())
	ql := listen(q, at[:len(at)-1])
	if _, err := w.Listen(at, acc); err == nil {
		t.Error("two listeners of one protocol have one address")
	}
	dials(dw, wl.Addr())
	dials(dq, ql.Addr())
	if a, b := wl.(*listener).UDP(), ql.(*quicstack.Listener).UDP(); a != b {
		t.Errorf("%v and %v are two sockets", a.LocalAddr(), b.LocalAddr())
	}
	_ = ql.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if c, err := transporttest.Dial(ctx, dq, at[:len(at)-1]); err == nil {
		c.Abandon()
		t.Error("QUIC is spoken where nobody listens for it")
	}
	dials(dw, wl.Addr())
	ql = listen(q, at[:len(at)-1])
	_ = wl.Close()
	dials(dq, ql.Addr())
	wl = listen(w, at)
	dials(dw, wl.Addr())
	_, _ = wl.Close(), ql.Close()
	transporttest.Settle(t, "sockets that are still bound", 0, func() int {
		addr, err := net.ResolveUDPAddr("udp4", strings.ReplaceAll(strings.TrimPrefix(at[:2].String(), "/ip4/"), "/udp/", ":"))
		if err != nil {
			t.Fatal(err)
		}
		pc, err := net.ListenUDP("udp4", addr)
		if err != nil {
			return 1
		}
		_ = pc.Close()
		return 0
	})
}

// js-libp2p in a browser closes its end of Noise's stream behind the last message, waits for that, and takes a
// STOP_SENDING in between for a failed dial.
func TestAServerIsDoneWithNoisesStreamWhenItsClientIs(t *testing.T) {
	client := New(transporttest.Runtime(t), testConfig(transporttest.Key(1)))
	_, l, acc := served(t, func(c *Config) { c.headTimeout = time.Second })
	s := comes(t, l)
	rs, _ := s.asks(t, http.MethodConnect, right, token)
	qs, err := s.qc.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h, err := client.initiator(transporttest.ID(2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := qs.Write(h.AppendOutput(appendHead(nil, uint64(rs.StreamID())))); err != nil {
		t.Fatal(err)
	}
	if _, err := secure(qs, h, nil); err != nil {
		t.Fatal(err)
	}
	c := acc.next(t)
	c.Bind(&transporttest.MuxedSink{OnAccepted: func(conduit.MuxedStream) {}})
	theirs, err := c.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	transporttest.NewStreamWriter(theirs)
	if _, err := theirs.TryWrite([]byte("later")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.qc.AcceptStream(t.Context()); err != nil { // whatever the server sent before it is here as well
		t.Fatal(err)
	}
	if qs.Context().Err() != nil {
		t.Errorf("it was told to stop: %v", context.Cause(qs.Context()))
	}
	<-qs.Context().Done() // and who never closes his end gets the place back
	var se *quicgo.StreamError
	if err := context.Cause(qs.Context()); !errors.As(err, &se) || !se.Remote {
		t.Errorf("it ended with %v", err)
	}
}
