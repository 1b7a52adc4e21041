package tcp

import (
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// isTCP reports whether a is an IP address and a port, and nothing more: what follows a TCP port
// (/tls, /ws, /http) belongs to another transport.
func isTCP(a ma.Multiaddr) bool {
	if len(a) == 3 && a[0].Code() == ma.P_IP6ZONE && a[1].Code() == ma.P_IP6 {
		a = a[1:]
	}
	return len(a) == 2 && (a[0].Code() == ma.P_IP4 || a[0].Code() == ma.P_IP6) && a[1].Code() == ma.P_TCP
}

// dialArgs is what package net wants to hear. The network is "tcp4" or "tcp6", so that
// /ip6/::/tcp/P does not take the port of /ip4/0.0.0.0/tcp/P as well.
func dialArgs(a ma.Multiaddr) (network, address string, err error) {
	if !isTCP(a) {
		return "", "", ErrAddress
	}
	return manet.DialArgs(a)
}
