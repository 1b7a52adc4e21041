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
	transporttest.RunIP(t, transporttest.Subject{
		New: func(_ testing.TB, rt *actors.Runtime, key identity.PrivateKey) conduit.Transport {
			return New(rt, testConfig(key))
		},
		Foreign:    foreign(),
		WrongPeer:  func(err error) bool { return errors.Is(err, identity.ErrMismatch) },
		Break:      func(_ testing.TB, c conduit.Conduit) { _ = c.Muxed.(*conn).UDP().Close() },
		Held:       256<<10 + 2*DefaultSendBuffer + quicstack.MaxDirect + DefaultReadBuffer,
		MaxStreams: 16,
	}, "/udp/0/quic-v1/webtransport")
}

type conn = quicstack.Conn

// pair is two ends of a connection between the first node and the second.
func pair(t *testing.T, tune func(*Config)) (dialler, acceptor *conn) {
	t.Helper()
	rt := transporttest.Runtime(t)
	return transporttest.Ends[*conn](t, node(rt, 1, tune), node(rt, 2, tune), anyPort)
}

func node(rt *actors.Runtime, n byte, tune func(*Config)) *Transport {
	cfg := testConfig(transporttest.Key(n))
	tune(&cfg)
	return New(rt, cfg)
}

func same(*Config) {}
