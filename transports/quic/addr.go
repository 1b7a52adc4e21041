package quic

import (
	"net"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/troupe-p2p/troupe/transports/internal/sockets"
)

// isQUIC reports whether a is an IP address, a UDP port and quic-v1, and nothing more: what follows
// (/webtransport, /p2p) belongs to others.
func isQUIC(a ma.Multiaddr) bool {
	if len(a) == 4 && a[0].Code() == ma.P_IP6ZONE && a[1].Code() == ma.P_IP6 {
		a = a[1:]
	}
	return len(a) == 3 && (a[0].Code() == ma.P_IP4 || a[0].Code() == ma.P_IP6) &&
		a[1].Code() == ma.P_UDP && a[2].Code() == ma.P_QUIC_V1
}

// udpAddr is what package net wants to hear. The network is "udp4" or "udp6", so that the sockets
// of the two families do not take each other's ports.
func udpAddr(a ma.Multiaddr) (network string, addr *net.UDPAddr, err error) {
	if !isQUIC(a) {
		return "", nil, ErrAddress
	}
	network, address, err := manet.DialArgs(a[:len(a)-1])
	if err != nil {
		return "", nil, err
	}
	addr, err = net.ResolveUDPAddr(network, address)
	return network, addr, err
}

var quicV1 = ma.StringCast("/quic-v1")

// fromNet is the multiaddr of one end of a connection.
func fromNet(a net.Addr) (ma.Multiaddr, error) {
	m, err := sockets.FromNetAddr(a)
	if err != nil {
		return nil, err
	}
	return m.Encapsulate(quicV1), nil
}
