// Package mptcp is a transport that is not in Troupe: Multipath TCP, whose connections outlive the
// change from one network to another. Where either end's system does not have it, they are plain TCP.
// Its addresses are those of TCP, and a node takes it, in TCP's place, by one line:
//
//	troupe.Config{Transports: []troupe.Transport{mptcp.Transport}}
package mptcp

import (
	"context"
	"net"

	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/netconn"
)

// Transport is a troupe.Transport.
func Transport(rt *actors.Runtime) (conduit.Transport, error) {
	return netconn.New(rt, netconn.Config{
		Name: "mptcp", Handles: handles, Dial: dial, Listen: listen, Addr: manet.FromNetAddr,
	})
}

// handles takes an IP address and a TCP port, and nothing behind it: that is another transport's.
func handles(a multiaddr.Multiaddr) bool {
	return len(a) == 2 && a[1].Code() == multiaddr.P_TCP && manet.IsThinWaist(a)
}

func dial(ctx context.Context, a multiaddr.Multiaddr) (net.Conn, error) {
	network, address, err := manet.DialArgs(a)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	d.SetMultipathTCP(true)
	return d.DialContext(ctx, network, address)
}

func listen(a multiaddr.Multiaddr) (net.Listener, error) {
	network, address, err := manet.DialArgs(a)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(true)
	return lc.Listen(context.Background(), network, address)
}
