package sockets

import (
	"net"

	"github.com/troupe-p2p/troupe/addrs"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// FromNetAddr makes the address of what package net has bound or reached: IP and port of TCP or UDP, or
// whatever go-multiaddr knows besides.
func FromNetAddr(a net.Addr) (ma.Multiaddr, error) {
	var m ma.Multiaddr
	switch a := a.(type) {
	case *net.TCPAddr:
		m = addrs.FromAddrPort("tcp", a.AddrPort())
	case *net.UDPAddr:
		m = addrs.FromAddrPort("udp", a.AddrPort())
	}
	if m == nil {
		return manet.FromNetAddr(a)
	}
	return m, nil
}
