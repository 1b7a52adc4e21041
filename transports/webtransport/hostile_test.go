package webtransport

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/halfopen"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack/quicstacktest"

	quicgo "github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// honest shows that whoever behaves still gets in. Where the listener has little patience, a busy machine may
// need a second try.
func honest(t *testing.T, l *listener, acc *queue) {
	t.Helper()
	var err error
	for range 5 {
		var c conduit.Conduit
		if c, err = transporttest.Dial(t.Context(), New(l.t.rt, testConfig(transporttest.Key(1))), l.Addr()); err != nil {
			continue
		}
		defer c.Abandon()
		s := transporttest.NewEndSink()
		c.Muxed.Bind(s)
		select {
		case theirs := <-acc.ch:
			defer theirs.Abandon()
			transporttest.Carry(t, c.Muxed, theirs.Muxed, make([]byte, 1<<20))
			return
		case e := <-s.How:
			err = e.Err
		}
	}
	t.Fatalf("who is honest does not get in: %v", err)
}

func TestOtherProtocolsAreRefusedInTLS(t *testing.T) {
	_, l, acc := served(t, same)
	for _, alpn := range []string{"libp2p", "h2", "x"} {
		var te *quicgo.TransportError
		if _, err := tries(t, l, alpn); !errors.As(err, &te) || !te.Remote || !te.ErrorCode.IsCryptoError() {
			t.Errorf("%q: %v", alpn, err)
		}
	}
	honest(t, l, acc)
}

func TestGarbageIsAnsweredWithLessThanItIs(t *testing.T) {
	_, l, acc := served(t, same)
	quicstacktest.AnswersLess(t, l.UDP().LocalAddr(), func(yield func([]byte) bool) {
		for i := range 200 {
			p := make([]byte, 1200)
			_, _ = rand.Read(p)
			copy(p, []byte{[]byte{0, 0x40, 0xc0, 0xf0}[i%4], 0, 0, 0, 1, 8})
			if !yield(p) {
				return
			}
		}
	})
	honest(t, l, acc)
}

func TestWhoAsksForSomethingElseIsTold(t *testing.T) {
	_, l, acc := served(t, same)
	for _, c := range []struct {
		method, path, protocol string
		want                   int
	}{
		{http.MethodConnect, "/", token, http.StatusNotFound},
		{http.MethodConnect, endpoint + "/", token, http.StatusNotFound},
		{http.MethodGet, right, "", http.StatusNotFound},
		{http.MethodConnect, endpoint, token, http.StatusBadRequest},
		{http.MethodConnect, endpoint + "?type=tls", token, http.StatusBadRequest},
		{http.MethodConnect, right, "websocket", http.StatusBadRequest},
		{http.MethodConnect, right, token, http.StatusOK},
		{http.MethodConnect, right, newToken, http.StatusOK},
	} {
		if _, got := comes(t, l).asks(t, c.method, c.path, c.protocol); got != c.want {
			t.Errorf("%s %s by %q is answered %d, want %d", c.method, c.path, c.protocol, got, c.want)
		}
	}
	honest(t, l, acc)
}

func TestRequestsWithoutASessionAreCounted(t *testing.T) {
	_, l, acc := served(t, same)
	s := comes(t, l)
	for i := range maxRequests {
		_, got := s.asks(t, http.MethodConnect, "/", token)
		if got != http.StatusNotFound && i < maxRequests-1 { // the end may come before the last answer
			t.Fatalf("request %d is answered %d", i, got)
		}
	}
	<-s.qc.Context().Done()
	honest(t, l, acc)
}

func TestUnidirectionalStreamsOfNoKindAreCounted(t *testing.T) {
	_, l, acc := served(t, func(c *Config) { c.HandshakeTimeout = time.Hour })
	s, err := tries(t, l, http3.NextProtoH3)
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for range 100 * maxUniStreams {
		us, err := s.qc.OpenUniStreamSync(t.Context())
		if err != nil {
			<-s.qc.Context().Done() // streams hear of the end before the connection has told its cause
			break
		}
		_, _ = us.Write([]byte{0x40, typeUniStream, 0})
		_ = us.Close()
		taken++
	}
	var ae *quicgo.ApplicationError
	if err := context.Cause(s.qc.Context()); !errors.As(err, &ae) || ae.ErrorCode != quicgo.ApplicationErrorCode(http3.ErrCodeExcessiveLoad) {
		t.Errorf("it ended with %v", err)
	}
	if taken < maxUniStreams || taken > maxUniStreams+uniStreams {
		t.Errorf("%d were taken, %d may be", taken, maxUniStreams)
	}
	honest(t, l, acc)
}

func TestAHeaderWithoutEndIsRefused(t *testing.T) {
	_, l, acc := served(t, same)
	s := comes(t, l)
	qs, err := s.qc.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = qs.Write(append([]byte{1, 0x80}, 0x06, 0x40, 0)) // HEADERS of 409,600 bytes
	sent := 0
	for range 100 * maxHeader / 1000 {
		n, err := qs.Write(make([]byte, 1000))
		if sent += n; err != nil {
			break
		}
	}
	var se *quicgo.StreamError
	if _, err := qs.Write([]byte{0}); !errors.As(err, &se) || !se.Remote {
		transporttest.Settle(t, "bytes that nobody wanted and that were not refused", 0, func() int {
			if _, err := qs.Write([]byte{0}); errors.As(err, &se) && se.Remote || s.qc.Context().Err() != nil {
				return 0
			}
			return 1
		})
	}
	honest(t, l, acc)
}

// A remote counts as half open until it has proven who it is, and not only until TLS is done.
func TestSessionsWithoutNoiseAreBounded(t *testing.T) {
	const places = 4
	_, l, acc := served(t, func(c *Config) { c.HalfOpen, c.HandshakeTimeout = places, time.Second })
	in := 0
	var last *stranger
	for range 3 * places {
		s, err := tries(t, l, http3.NextProtoH3)
		if err == nil {
			in, last = in+1, s
		}
	}
	if in == 0 || in > places {
		t.Errorf("%d handshakes were taken, at most %d may be", in, places)
	}
	<-last.qc.Context().Done() // they run out of time
	honest(t, l, acc)
	if halfopen.Default != DefaultHalfOpen {
		t.Error("the bound is not that of its table")
	}
}

// Whatever a client stops at, it has the handshake's time and no more.
func TestAHandshakeThatStopsRunsOutOfTime(t *testing.T) {
	for what, stops := range map[string]func(t *testing.T, s *stranger){
		"before CONNECT": func(*testing.T, *stranger) {},
		"in a header": func(t *testing.T, s *stranger) {
			qs, err := s.qc.OpenStreamSync(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = qs.Write([]byte{1, 100, 0})
		},
		"before Noise": func(t *testing.T, s *stranger) { s.asks(t, http.MethodConnect, right, token) },
		"in Noise": func(t *testing.T, s *stranger) {
			rs, _ := s.asks(t, http.MethodConnect, right, token)
			qs, err := s.qc.OpenStreamSync(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = qs.Write(append(appendHead(nil, uint64(rs.StreamID())), 0, 32, 1, 2, 3))
		},
		"in the head of Noise's stream": func(t *testing.T, s *stranger) {
			s.asks(t, http.MethodConnect, right, token)
			qs, err := s.qc.OpenStreamSync(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = qs.Write([]byte{0x40})
		},
	} {
		t.Run(what, func(t *testing.T) {
			tr, l, acc := served(t, func(c *Config) { c.HandshakeTimeout = 300 * time.Millisecond })
			s := comes(t, l)
			began := time.Now()
			stops(t, s)
			<-s.qc.Context().Done()
			if took := time.Since(began); took > 10*tr.cfg.HandshakeTimeout {
				t.Errorf("it took %v", took)
			}
			honest(t, l, acc)
		})
	}
}

func TestNoiseThatDoesNotVerifyEndsTheConnection(t *testing.T) {
	_, l, acc := served(t, same)
	s := comes(t, l)
	rs, _ := s.asks(t, http.MethodConnect, right, token)
	qs, err := s.qc.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := append(appendHead(nil, uint64(rs.StreamID())), 0, 32)
	p = append(p, bytes.Repeat([]byte{9}, 32)...)
	_, _ = qs.Write(append(append(p, 0, 200), make([]byte, 200)...))
	<-s.qc.Context().Done()
	honest(t, l, acc)
}

// A listener that closes does not wait for those who are half-way.
func TestCloseEndsHandshakesUnderWay(t *testing.T) {
	_, l, _ := served(t, func(c *Config) { c.HandshakeTimeout = time.Hour })
	s := comes(t, l)
	s.asks(t, http.MethodConnect, right, token)
	began := time.Now()
	_ = l.Close()
	<-s.qc.Context().Done()
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
}

// CVE-2026-57497 was a library that kept what it did not know.
func TestAnUnknownCapsuleOfHugeLengthIsNotKept(t *testing.T) {
	const sent = 64 << 20
	a, b := pair(t, same)
	b.Bind(&transporttest.MuxedSink{})
	str := sessionOf(a).str.(*http3.RequestStream)
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := live()
	p := capsule(0x3fff, 1<<40, nil)
	for done := 0; done < sent; {
		n, err := str.Write(p)
		if err != nil {
			t.Fatal(err)
		}
		done += n
		p = make([]byte, 64<<10)
	}
	if after := live(); after > before+8<<20 {
		t.Errorf("%d bytes of %d are kept", after-before, sent)
	}
	transporttest.Carry(t, a, b, make([]byte, 1<<20))
}

func TestACapsuleThatIsCutOffEndsTheSession(t *testing.T) {
	for what, c := range map[string]struct{ p, want string }{
		"a last word of a gigabyte": {string(capsule(capsuleClose, 1<<30, nil)), "malformed"},
		"a capsule without its end": {string(capsule(0x3f, 10, []byte("x"))), "EOF"},
	} {
		t.Run(what, func(t *testing.T) {
			a, b := pair(t, same)
			s := transporttest.NewEndSink()
			b.Bind(s)
			str := sessionOf(a).str.(*http3.RequestStream)
			if _, err := str.Write([]byte(c.p)); err != nil {
				t.Fatal(err)
			}
			_ = str.Close()
			var we *Error
			if e := <-s.How; e.Code != 0 || !errors.As(e.Err, &we) || we.Origin != fault.Remote || !strings.Contains(e.Err.Error(), c.want) {
				t.Errorf("%+v", e)
			}
		})
	}
}

// Streams that say nothing take places, for a time.
func TestStreamsThatAreOpenedAndNeverUsedGoAway(t *testing.T) {
	a, b := pair(t, func(c *Config) { c.headTimeout = 100 * time.Millisecond })
	b.Bind(&transporttest.MuxedSink{OnAccepted: func(conduit.MuxedStream) { t.Error("a stream without a head is somebody's") }})
	var all []*quicgo.Stream
	for i := range 16 {
		qs, err := a.QUIC().OpenStreamSync(t.Context()) // the place of Noise's stream comes back
		if err != nil {
			t.Fatal(err)
		}
		if _, err := qs.Write([]byte{0x40}[:i%2]); err != nil {
			t.Fatal(err)
		}
		all = append(all, qs)
	}
	_, _ = all[15].Write([]byte{0x41}) // of the head's three bytes
	for _, qs := range all {
		var se *quicgo.StreamError
		if _, err := qs.Read(make([]byte, 1)); !errors.As(err, &se) || se.ErrorCode != errRejectedStream {
			t.Fatalf("it ended with %v", err)
		}
	}
	transporttest.Carry(t, a, b, make([]byte, 1<<20))
}

func TestStreamsOfNobodyAreRefused(t *testing.T) {
	a, b := pair(t, same)
	b.Bind(&transporttest.MuxedSink{})
	for what, c := range map[string]struct {
		p    []byte
		want quicgo.StreamErrorCode
	}{
		"of another session":      {appendHead(nil, 400), errRejectedStream},
		"of a session of no kind": {appendHead(nil, 1), errRejectedStream},
		"a request":               {[]byte{1, 3, 0, 0, 0}, quicgo.StreamErrorCode(http3.ErrCodeRequestRejected)},
	} {
		qs, err := a.QUIC().OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = qs.Write(c.p)
		var se *quicgo.StreamError
		if _, err := qs.Read(make([]byte, 1)); !errors.As(err, &se) || !se.Remote || se.ErrorCode != c.want {
			t.Errorf("%s: %v", what, err)
		}
		qs.CancelWrite(0)
	}
	us, err := a.QUIC().OpenUniStream()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = us.Write([]byte{0x40, typeUniStream, 0})
	transporttest.Carry(t, a, b, make([]byte, 1<<20))
}

// storm opens streams and lets go of them, until the remote has had enough.
func storm(t *testing.T, a *conn, p []byte) (sent int) {
	t.Helper()
	for range 100 * quicstack.ResetBurst {
		qs, err := a.QUIC().OpenStreamSync(t.Context())
		if err != nil {
			break
		}
		if _, err := qs.Write(p); err != nil {
			break
		}
		qs.SetReliableBoundary()
		qs.CancelWrite(quicgo.StreamErrorCode(toWire(3)))
		qs.CancelRead(quicgo.StreamErrorCode(toWire(3)))
		sent++
	}
	return sent
}

// A remote that opens streams and resets them costs us what no limit of streams sees.
func TestResetsInAStormEndTheConnection(t *testing.T) {
	for what, session := range map[string]uint64{"of the session": 0, "of another one": 4000} {
		t.Run(what, func(t *testing.T) {
			a, b := pair(t, same)
			head := append(appendHead(nil, sessionOf(a).id+session), '!')
			quicstacktest.StormEnds(t, b, func() int { return storm(t, a, head) })
		})
	}
}

func TestAnAddressWithoutAHashIsNotDialled(t *testing.T) {
	_, l, _ := served(t, same)
	_, err := transporttest.Dial(t.Context(), New(l.t.rt, testConfig(transporttest.Key(1))), end(l.Addr()))
	var we *Error
	if !errors.Is(err, ErrNoHash) || !errors.As(err, &we) || we.Origin != fault.Local {
		t.Errorf("err = %v", err)
	}
}

func TestAnotherCertificateIsFoundOut(t *testing.T) {
	_, l, _ := served(t, same)
	other := chainAt(t, 9, time.Now())
	a, err := announced(end(l.Addr()), other.is.hash, other.next.hash)
	if err != nil {
		t.Fatal(err)
	}
	_, err = transporttest.Dial(t.Context(), New(l.t.rt, testConfig(transporttest.Key(1))), a)
	var we *Error
	if !errors.Is(err, ErrCertificate) || !errors.As(err, &we) || we.Origin != fault.Remote {
		t.Errorf("err = %v", err)
	}
}

func TestAnExpiredCertificateIsFoundOut(t *testing.T) {
	for _, away := range []time.Duration{-20 * 24 * time.Hour, 20 * 24 * time.Hour} {
		_, l, _ := served(t, func(c *Config) { c.now = func() time.Time { return time.Now().Add(away) } })
		_, err := transporttest.Dial(t.Context(), New(l.t.rt, testConfig(transporttest.Key(1))), l.Addr())
		if !errors.Is(err, ErrCertificate) || !strings.Contains(err.Error(), map[bool]string{true: "expired", false: "valid from"}[away < 0]) {
			t.Errorf("%v from now: %v", away, err)
		}
	}
}

// Somebody in between, who has a certificate of his own and hands Noise on, is found out by the hashes that
// the other end confirms.
func TestSomebodyInBetweenIsFoundOut(t *testing.T) {
	server, l, _ := served(t, same)
	at := impostor(t, server.rt, 7, func(ctx context.Context, k *quicstack.Link) {
		d := &door{}
		hs := &http3.Server{Handler: d, EnableDatagrams: true, AdditionalSettings: settings}
		hc, err := hs.NewRawServerConn(k.QUIC)
		if err != nil {
			t.Error(err)
			return
		}
		str, _, err := next(ctx, k.QUIC)
		if err != nil {
			t.Error(err)
			return
		}
		hc.HandleRequestStream(str)
		victim, _, err := next(ctx, k.QUIC)
		if err != nil {
			t.Error(err)
			return
		}
		s := comes(t, l)
		rs, _ := s.asks(t, http.MethodConnect, right, token)
		on, err := s.qc.OpenStreamSync(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = on.Write(appendHead(nil, uint64(rs.StreamID())))
		go func() { _, _ = io.Copy(on, victim) }()
		_, _ = io.Copy(victim, on)
	})
	id := transporttest.ID(2)
	_, err := transporttest.DialPeer(t.Context(), New(server.rt, testConfig(transporttest.Key(1))), at, id)
	if !errors.Is(err, ErrHashes) {
		t.Errorf("err = %v", err)
	}
	if c, err := transporttest.DialPeer(t.Context(), New(server.rt, testConfig(transporttest.Key(1))), l.Addr(), id); err != nil {
		t.Errorf("without him: %v", err)
	} else {
		c.Abandon()
	}
}

// A server that is no WebTransport server, and one that refuses, are told apart from nobody at all.
func TestServersThatGiveNoSessionAreNamed(t *testing.T) {
	for what, c := range map[string]struct {
		server *http3.Server
		want   error
	}{
		"without WebTransport": {&http3.Server{}, errNoSessions},
		"without the endpoint": {&http3.Server{
			EnableDatagrams: true, AdditionalSettings: settings,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
		}, ErrRefused},
	} {
		t.Run(what, func(t *testing.T) {
			rt := transporttest.Runtime(t)
			at := impostor(t, rt, 2, func(ctx context.Context, k *quicstack.Link) {
				hc, err := c.server.NewRawServerConn(k.QUIC)
				if err != nil {
					return
				}
				if qs, err := k.QUIC.AcceptStream(ctx); err == nil {
					hc.HandleRequestStream(qs)
				}
				<-k.QUIC.Context().Done()
			})
			_, err := transporttest.Dial(t.Context(), New(rt, testConfig(transporttest.Key(1))), at)
			var we *Error
			if !errors.Is(err, c.want) || !errors.As(err, &we) || we.Origin != fault.Remote {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestAServerThatStopsRunsOutOfTime(t *testing.T) {
	rt := transporttest.Runtime(t)
	at := impostor(t, rt, 2, func(_ context.Context, k *quicstack.Link) { <-k.QUIC.Context().Done() })
	cfg := testConfig(transporttest.Key(1))
	cfg.HandshakeTimeout = 200 * time.Millisecond
	_, err := transporttest.Dial(t.Context(), New(rt, cfg), at)
	var we *Error
	if !errors.As(err, &we) || we.Origin != fault.Remote || !we.Timeout() {
		t.Errorf("err = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(100*time.Millisecond, cancel).Stop()
	cfg.HandshakeTimeout = time.Hour
	if _, err = transporttest.Dial(ctx, New(rt, cfg), at); !errors.Is(err, context.Canceled) {
		t.Errorf("a dial that is cancelled: %v", err)
	}
}
