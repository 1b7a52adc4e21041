package webrtc

import (
	"errors"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

var anyPort = ma.StringCast("/ip4/127.0.0.1/udp/0/webrtc-direct")

// testConfig has few streams and short timeouts, since nobody else tells of a remote that is not there.
func testConfig(key identity.PrivateKey) Config {
	return Config{
		Key: key, MaxStreams: 16, HandshakeTimeout: 5 * time.Second,
		IdleTimeout: 4 * time.Second, KeepAlive: time.Second,
	}
}

func TestTransportKeepsTheContract(t *testing.T) {
	transporttest.RunIP(t, transporttest.Subject{
		New: func(_ testing.TB, rt *actors.Runtime, key identity.PrivateKey) conduit.Transport {
			return New(rt, testConfig(key))
		},
		WrongPeer:  func(err error) bool { return errors.Is(err, identity.ErrMismatch) },
		Break:      func(_ testing.TB, c conduit.Conduit) { crash(c.Muxed.(*conn)) },
		Held:       DefaultStreamWindow + DefaultSendBuffer + maxFrame,
		MaxStreams: 16,
	}, "/udp/0/webrtc-direct")
}

// crash takes the socket of a dialled connection away, so that its remote hears nothing more.
func crash(c *conn) {
	c.path.once.Do(func() {
		_ = c.path.in.Close()
		c.path.close()
	})
}
