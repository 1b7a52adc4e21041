package netconn

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// wrapped is a connection that package net does not know, so that neither do we.
type wrapped struct{ net.Conn }

func (w wrapped) NetConn() net.Conn { return w.Conn }

type wrapping struct{ net.Listener }

func (w wrapping) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return wrapped{c}, nil
}

var overTCP = Config{
	Name:    "wrapped",
	Handles: func(a ma.Multiaddr) bool { return len(a) == 2 && a[1].Code() == ma.P_TCP && manet.IsThinWaist(a) },
	Dial: func(ctx context.Context, a ma.Multiaddr) (net.Conn, error) {
		network, address, err := manet.DialArgs(a)
		if err != nil {
			return nil, err
		}
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return wrapped{c}, nil
	},
	Listen: func(a ma.Multiaddr) (net.Listener, error) {
		network, address, err := manet.DialArgs(a)
		if err != nil {
			return nil, err
		}
		l, err := net.Listen(network, address)
		return wrapping{l}, err
	},
	Addr: manet.FromNetAddr,
}

// What package net's interfaces say is enough; a socket of its own is read and written as such.
func TestTransportKeepsTheContract(t *testing.T) {
	transporttest.Run(t, transporttest.Subject{
		New: func(t testing.TB, rt *actors.Runtime, _ identity.PrivateKey) conduit.Transport {
			tr, err := New(rt, overTCP)
			if err != nil {
				t.Fatal(err)
			}
			return tr
		},
		Listen: ma.StringCast("/ip4/127.0.0.1/tcp/0"),
		Break:  func(_ testing.TB, c conduit.Conduit) { _ = conduit.Reset(c.Raw) },
		Tune: func(t testing.TB, c conduit.Conduit) {
			nc := c.Raw.(interface{ Socket() net.Conn }).Socket().(wrapped).Conn.(*net.TCPConn)
			if err := errors.Join(nc.SetReadBuffer(32<<10), nc.SetWriteBuffer(32<<10)); err != nil {
				t.Fatal(err)
			}
		},
		Held: 1 << 20,
	})
}

func TestFaultsAreNamed(t *testing.T) {
	rt := transporttest.Runtime(t)
	if _, err := New(rt, Config{Name: "half"}); !errors.Is(err, ErrConfig) {
		t.Errorf("half a Config: %v", err)
	}
	broken := errors.New("broken")
	cfg := overTCP
	cfg.Addr = func(net.Addr) (ma.Multiaddr, error) { return nil, broken }
	tr, err := New(rt, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		at   ma.Multiaddr
		want error
	}{"no address": {nil, ErrAddress}, "a foreign one": {ma.StringCast("/memory/1"), ErrAddress}, "no name for it": {ma.StringCast("/ip4/127.0.0.1/tcp/0"), broken}} {
		_, err := tr.Listen(c.at, &transporttest.Acceptor{})
		var e *Error
		if !errors.Is(err, c.want) || !errors.As(err, &e) || e.Origin != fault.Local {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := transporttest.Dial(t.Context(), tr, nil); !errors.Is(err, ErrAddress) {
		t.Errorf("%v", err)
	}
}
