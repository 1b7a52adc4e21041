package webrtc

import (
	"bytes"
	"net"
	"net/netip"
	"slices"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multibase"

	"github.com/troupe-p2p/troupe/transports/internal/sockets"
)

// split takes an address apart: how many components go before the certhashes, and whether it is one of
// this transport's at all. What follows (/p2p) belongs to others.
func split(a ma.Multiaddr) (base int, ok bool) {
	ip := 0
	if len(a) > 1 && a[0].Code() == ma.P_IP6ZONE && a[1].Code() == ma.P_IP6 {
		ip = 1
	}
	base = ip + 3
	if len(a) < base || a[ip].Code() != ma.P_IP4 && a[ip].Code() != ma.P_IP6 ||
		a[ip+1].Code() != ma.P_UDP || a[ip+2].Code() != ma.P_WEBRTC_DIRECT {
		return 0, false
	}
	return base, !slices.ContainsFunc(a[base:], func(c ma.Component) bool { return c.Code() != ma.P_CERTHASH })
}

// udpAddr is what package net wants to hear. The network is "udp4" or "udp6", so that the sockets of
// the two families do not take each other's ports.
func udpAddr(a ma.Multiaddr) (network string, addr *net.UDPAddr, err error) {
	base, ok := split(a)
	if !ok {
		return "", nil, ErrAddress
	}
	network, address, err := manet.DialArgs(a[:base-1])
	if err != nil {
		return "", nil, err
	}
	addr, err = net.ResolveUDPAddr(network, address)
	return network, addr, err
}

// hashes are the fingerprints that an address promises, of those that can be checked: SHA-256.
func hashes(a ma.Multiaddr) (known []fingerprint, others int) {
	base, ok := split(a)
	if !ok {
		return nil, 0
	}
	for _, c := range a[base:] {
		mh := c.RawValue()
		if len(mh) == 2+len(fingerprint{}) && bytes.Equal(mh[:2], fingerprint{}.multihash()[:2]) {
			known = append(known, fingerprint(mh[2:]))
		} else {
			others++
		}
	}
	return known, others
}

// without is an address without its certhashes.
func without(a ma.Multiaddr) ma.Multiaddr {
	if base, ok := split(a); ok {
		return a[:base]
	}
	return a
}

var direct = ma.StringCast("/webrtc-direct")

// fromNet is the multiaddr of one end of a connection.
func fromNet(a netip.AddrPort) (ma.Multiaddr, error) {
	m, err := sockets.FromNetAddr(net.UDPAddrFromAddrPort(a))
	if err != nil {
		return nil, err
	}
	return m.Encapsulate(direct), nil
}

// announced adds a certhash to an address.
func announced(a ma.Multiaddr, f fingerprint) (ma.Multiaddr, error) {
	text, err := multibase.Encode(multibase.Base64url, f.multihash())
	if err != nil {
		return nil, err
	}
	c, err := ma.NewComponent("certhash", text)
	if err != nil {
		return nil, err
	}
	return slices.Concat(a, ma.Multiaddr{*c}), nil
}
