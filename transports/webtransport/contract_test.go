package webtransport

import (
	"errors"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack"

	ma "github.com/multiformats/go-multiaddr"
)

var anyPort = ma.StringCast("/ip4/127.0.0.1/udp/0/quic-v1/webtransport")

// testConfig has small windows, so that they are full soon, and short timeouts, since nobody else
// tells of a remote that is not there.
func testConfig(key identity.PrivateKey) Config {
	return Config{
		Key: key, MaxStreams: 16, StreamWindow: 256 << 10, ConnWindow: 4 << 20,
		HandshakeTimeout: 4 * time.Second, IdleTimeout: 5 * time.Second,
	}
}

func TestTransportKeepsTheContract(t *testing.T) {
	for _, listen := range []string{"/ip4/127.0.0.1/udp/0/quic-v1/webtransport", "/ip6/::1/udp/0/quic-v1/webtransport"} {
		t.Run(listen[1:4], func(t *testing.T) {
			transporttest.Run(t, transporttest.Subject{
				New: func(_ testing.TB, rt *actors.Runtime, key identity.PrivateKey) conduit.Transport {
					return New(rt, testConfig(key))
				},
				Listen:     ma.StringCast(listen),
				Foreign:    foreign(),
				WrongPeer:  func(err error) bool { return errors.Is(err, identity.ErrMismatch) },
				Break:      func(_ testing.TB, c conduit.Conduit) { _ = c.Muxed.(*conn).UDP().Close() },
				Held:       256<<10 + 2*DefaultSendBuffer + quicstack.MaxDirect + DefaultReadBuffer,
				MaxStreams: 16,
			})
		})
	}
}

type conn = quicstack.Conn

// pair is two ends of a connection between the first node and the second.
func pair(t *testing.T, tune func(*Config)) (dialler, acceptor *conn) {
	t.Helper()
	rt := transporttest.Runtime(t)
	node := func(n byte) *Transport {
		cfg := testConfig(transporttest.Key(n))
		tune(&cfg)
		return New(rt, cfg)
	}
	acc := &transporttest.Acceptor{}
	l, err := node(2).Listen(anyPort, acc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	c, err := transporttest.Dial(t.Context(), node(1), l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	a, b := c.Muxed.(*conn), acc.Next(t, 0).Muxed.(*conn)
	t.Cleanup(func() { c.Abandon(); _ = b.Close(0, "") })
	return a, b
}

func same(*Config) {}
