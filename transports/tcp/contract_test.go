package tcp

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

var anyPort = ma.StringCast("/ip4/127.0.0.1/tcp/0")

// bothSocks runs f with the form for systems that tell readiness and with the portable one.
func bothSocks(t *testing.T, f func(t *testing.T, cfg Config)) {
	t.Run("ready", func(t *testing.T) { f(t, Config{}) })
	t.Run("portable", func(t *testing.T) { f(t, Config{portable: true}) })
}

func TestRawKeepsTheContract(t *testing.T) {
	bothSocks(t, func(t *testing.T, cfg Config) {
		transporttest.Raw(t, func(t *testing.T) transporttest.RawPair {
			a, b := pair(t, cfg)
			held := 16 << 20 // what Linux lets the buffers of a socket grow to
			if cfg.portable {
				held = 1 << 20
				for _, c := range []*conn{a, b} {
					if err := errors.Join(c.nc.SetReadBuffer(32<<10), c.nc.SetWriteBuffer(32<<10)); err != nil {
						t.Fatal(err)
					}
				}
			}
			return transporttest.RawPair{A: a, B: b, Held: held, Break: func() { abort(t, a) }}
		})
	})
}

func TestTransportKeepsTheContract(t *testing.T) {
	transporttest.Transport(t, transporttest.Subject{
		New: func(t *testing.T) conduit.Transport { return New(transporttest.Runtime(t), Config{}) },
		Any: anyPort,
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
	})
}

// pair is two ends of a connection of one transport.
func pair(t *testing.T, cfg Config) (dialler, acceptor *conn) {
	t.Helper()
	a, b := transporttest.Pair(t, New(transporttest.Runtime(t), cfg), anyPort)
	return a.Raw.(*conn), b.Raw.(*conn)
}

// abort sends a reset.
func abort(t *testing.T, c *conn) {
	t.Helper()
	if err := c.nc.SetLinger(0); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	_ = c.Close()
}
