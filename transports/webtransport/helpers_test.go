package webtransport

import (
	"context"
	stdtls "crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack"

	ma "github.com/multiformats/go-multiaddr"
	quicgo "github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// queue is an acceptor that can be waited for beside something else.
type queue struct {
	transporttest.Acceptor
	ch chan conduit.Conduit
}

func (q *queue) Accepted(c conduit.Conduit) { q.ch <- c }

func (q *queue) next(t *testing.T) *conn {
	t.Helper()
	select {
	case c := <-q.ch:
		return c.Muxed.(*conn)
	case <-time.After(20 * time.Second):
		t.Fatal("nobody was accepted")
		return nil
	}
}

// served is a listener that is alone on its socket.
func served(t *testing.T, tune func(*Config)) (*Transport, *listener, *queue) {
	t.Helper()
	tr, acc := node(transporttest.Runtime(t), 2, tune), &queue{ch: make(chan conduit.Conduit, 64)}
	l, err := tr.Listen(anyPort, acc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return tr, l.(*listener), acc
}

// stranger is a client that does as it likes.
type stranger struct {
	qc *quicgo.Conn
	hc *http3.RawClientConn
}

// comes shakes hands as far as TLS.
func comes(t *testing.T, l *listener) *stranger {
	t.Helper()
	s, err := tries(t, l, http3.NextProtoH3)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http3.Transport{EnableDatagrams: true, AdditionalSettings: settings}
	s.hc = tr.NewRawClientConn(s.qc)
	str, err := s.qc.AcceptUniStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go s.hc.HandleUnidirectionalStream(str)
	<-s.hc.ReceivedSettings()
	return s
}

func tries(t *testing.T, l *listener, alpn string) (*stranger, error) {
	t.Helper()
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	tr := &quicgo.Transport{Conn: pc}
	t.Cleanup(func() { _ = tr.Close(); _ = pc.Close() })
	conf := stackConfig(Config{}.tuning())
	conf.HandshakeIdleTimeout = 3 * time.Second
	qc, err := tr.Dial(t.Context(), l.UDP().LocalAddr(), &stdtls.Config{
		InsecureSkipVerify: true, NextProtos: []string{alpn},
	}, conf)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = qc.CloseWithError(0, "") })
	return &stranger{qc: qc}, nil
}

// asks sends one request, and says what the answer was.
func (s *stranger) asks(t *testing.T, method, path, protocol string) (*http3.RequestStream, int) {
	t.Helper()
	rs, err := s.hc.OpenRequestStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := request("localhost")
	r.Method, r.Proto = method, protocol
	u, err := r.URL.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	r.URL = u
	if err := rs.SendRequestHeader(r); err != nil {
		t.Fatal(err)
	}
	rsp, err := rs.ReadResponse()
	if err != nil {
		return rs, 0
	}
	return rs, rsp.StatusCode
}

const right = endpoint + "?type=" + handshake

func sessionOf(c *conn) *session { return c.Layer().(*session) }

// impostor has the certificates of a node, and does something else behind them.
func impostor(t *testing.T, rt *actors.Runtime, n byte, greet func(context.Context, *quicstack.Link)) ma.Multiaddr {
	t.Helper()
	tr := New(rt, testConfig(transporttest.Key(n)))
	l, err := tr.stack.Listen("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, quicstack.Protocol{
		Transport: name, ALPN: http3.NextProtoH3, Config: tr.served, Multiaddr: fromNet, Handshake: tr.handshakes,
		Greet: func(ctx context.Context, k *quicstack.Link) *quicstack.Conn {
			greet(ctx, k)
			return nil
		},
	}, &transporttest.Acceptor{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	c := chainAt(t, n, time.Now())
	a, err := announced(l.Addr(), c.is.hash, c.next.hash)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
