package webtransport

import (
	"net"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multibase"

	"github.com/troupe-p2p/troupe/transports/internal/sockets"
)

// maxHashes bounds the certificate hashes of an address: servers announce two, or three for a while.
const maxHashes = 16

// split takes an address of WebTransport over IP apart; what follows (/p2p) belongs to others.
func split(a ma.Multiaddr) (udp ma.Multiaddr, hashes [][]byte, ok bool) {
	at := 0
	if len(a) > 1 && a[0].Code() == ma.P_IP6ZONE && a[1].Code() == ma.P_IP6 {
		at = 1
	}
	if len(a) < at+4 || len(a) > at+4+maxHashes || a[at].Code() != ma.P_IP4 && a[at].Code() != ma.P_IP6 {
		return nil, nil, false
	}
	for i, code := range []int{ma.P_UDP, ma.P_QUIC_V1, ma.P_WEBTRANSPORT} {
		if a[at+1+i].Code() != code {
			return nil, nil, false
		}
	}
	for _, c := range a[at+4:] {
		if c.Code() != ma.P_CERTHASH {
			return nil, nil, false
		}
		hashes = append(hashes, c.RawValue())
	}
	return a[:at+2], hashes, true
}

func isWebTransport(a ma.Multiaddr) bool {
	_, _, ok := split(a)
	return ok
}

// parse is what package net wants to hear, and the hashes that the server's certificate may have. The
// network is "udp4" or "udp6", so that the sockets of the two families do not take each other's ports.
func parse(a ma.Multiaddr) (network string, addr *net.UDPAddr, hashes [][]byte, err error) {
	udp, hashes, ok := split(a)
	if !ok {
		return "", nil, nil, ErrAddress
	}
	network, address, err := manet.DialArgs(udp)
	if err != nil {
		return "", nil, nil, err
	}
	addr, err = net.ResolveUDPAddr(network, address)
	return network, addr, hashes, err
}

var overQUIC = ma.StringCast("/quic-v1/webtransport")

// fromNet is the multiaddr of one end of a connection.
func fromNet(a net.Addr) (ma.Multiaddr, error) {
	m, err := sockets.FromNetAddr(a)
	if err != nil {
		return nil, err
	}
	return m.Encapsulate(overQUIC), nil
}

// end is an address without the hashes, as the two ends of a connection know it.
func end(a ma.Multiaddr) ma.Multiaddr {
	for i, c := range a {
		if c.Code() == ma.P_CERTHASH {
			return a[:i]
		}
	}
	return a
}

// announced is an address that can be dialled: with the hashes of the certificates.
func announced(a ma.Multiaddr, hashes ...[]byte) (ma.Multiaddr, error) {
	out := append(make(ma.Multiaddr, 0, len(a)+len(hashes)), a...)
	for _, h := range hashes {
		text, err := multibase.Encode(multibase.Base64url, h)
		if err != nil {
			return nil, err
		}
		c, err := ma.NewComponent(ma.ProtocolWithCode(ma.P_CERTHASH).Name, text)
		if err != nil {
			return nil, err
		}
		out = append(out, *c)
	}
	return out, nil
}
