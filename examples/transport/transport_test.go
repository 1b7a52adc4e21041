package mptcp_test

import (
	"context"
	"errors"
	"syscall"
	"testing"

	"github.com/multiformats/go-multiaddr"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	mptcp "github.com/troupe-p2p/troupe/examples/transport"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// The suite is all that a transport has to pass.
func TestTransportKeepsTheContract(t *testing.T) {
	transporttest.Run(t, transporttest.Subject{
		New: func(t testing.TB, rt *actors.Runtime, _ identity.PrivateKey) conduit.Transport {
			tr, err := mptcp.Transport(rt)
			if err != nil {
				t.Fatal(err)
			}
			return tr
		},
		Listen: multiaddr.StringCast("/ip4/127.0.0.1/tcp/0"),
		Foreign: []multiaddr.Multiaddr{
			nil, multiaddr.StringCast("/ip4/127.0.0.1/udp/1"), multiaddr.StringCast("/ip4/127.0.0.1/tcp/1/ws"),
			multiaddr.StringCast("/dns4/localhost/tcp/1"), multiaddr.StringCast("/memory/1"),
		},
		Refused: func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) },
		Break:   func(_ testing.TB, c conduit.Conduit) { _ = conduit.Reset(c.Raw) },
		Held:    64 << 20, // a system lets its buffers grow to tens of megabytes when the reader was fast once
	})
}

func TestANodeTakesItByOneLine(t *testing.T) {
	node := func(listen ...string) *troupe.System {
		n, err := troupe.New(troupe.Config{Listen: listen, Transports: []troupe.Transport{mptcp.Transport}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := n.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return n
	}
	server, client := node("/ip4/127.0.0.1/tcp/0"), node()
	c, err := client.DialAddr(t.Context(), server.ListenAddrs()[0].String()+"/p2p/"+server.ID().String())
	if err != nil {
		t.Fatal(err)
	}
	if c.Peer != server.ID() {
		t.Errorf("connected to %s", c.Peer)
	}
}
