package tcp

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
)

var anyPort = ma.StringCast("/ip4/127.0.0.1/tcp/0")

// bothSocks runs f with the form for systems that tell readiness and with the portable one.
func bothSocks(t *testing.T, f func(t *testing.T, cfg Config)) {
	t.Run("ready", func(t *testing.T) { f(t, Config{}) })
	t.Run("portable", func(t *testing.T) { f(t, Config{portable: true}) })
}

func TestTransportKeepsTheContract(t *testing.T) {
	bothSocks(t, func(t *testing.T, cfg Config) {
		s := transporttest.Subject{
			New: func(_ testing.TB, rt *actors.Runtime, _ identity.PrivateKey) conduit.Transport {
				return New(rt, cfg)
			},
			Listen: anyPort,
			Foreign: []ma.Multiaddr{
				nil,
				ma.StringCast("/ip4/127.0.0.1"),
				ma.StringCast("/ip4/127.0.0.1/udp/1"),
				ma.StringCast("/ip4/127.0.0.1/tcp/1/ws"),
				ma.StringCast("/ip4/127.0.0.1/tcp/1/tls/ws"),
				ma.StringCast("/ip4/127.0.0.1/ip4/127.0.0.1/tcp/1"),
				ma.StringCast("/dns4/localhost/tcp/1"),
				ma.StringCast("/unix/tmp"),
				ma.StringCast("/memory/1"),
			},
			Refused: func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) },
			Break:   func(_ testing.TB, c conduit.Conduit) { _ = conduit.Reset(c.Raw) },
			Held:    16 << 20, // what Linux lets the buffers of a socket grow to
		}
		if cfg.portable {
			s.Held = 1 << 20
			s.Tune = func(t testing.TB, c conduit.Conduit) {
				nc := socket(c.Raw.(*sockets.Conn))
				if err := errors.Join(nc.SetReadBuffer(32<<10), nc.SetWriteBuffer(32<<10)); err != nil {
					t.Fatal(err)
				}
			}
		}
		transporttest.Run(t, s)
	})
}

// pair is two ends of a connection of one transport.
func pair(t *testing.T, cfg Config) (dialler, acceptor *sockets.Conn) {
	t.Helper()
	a, b := transporttest.Pair(t, New(transporttest.Runtime(t), cfg), anyPort)
	return a.Raw.(*sockets.Conn), b.Raw.(*sockets.Conn)
}

func socket(c *sockets.Conn) *net.TCPConn { return c.Socket().(*net.TCPConn) }

func TestResetDropsWhatARemoteDoesNotRead(t *testing.T) {
	bothSocks(t, func(t *testing.T, cfg Config) {
		deaf, c := pair(t, cfg) // nothing reads deaf's socket: it was never bound
		c.Bind(&transporttest.Sink{}, 1)
		c.Drain(make([]byte, 64<<20))
		if err := c.Reset(); err != nil {
			t.Fatal(err)
		}
		// Without a reset the remote would get all that the system has taken, and then EOF.
		var err error
		for p := make([]byte, 1<<20); err == nil; {
			_, err = socket(deaf).Read(p)
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the remote sees %v", err)
		}
	})
}
