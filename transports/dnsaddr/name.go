package dnsaddr

import (
	"github.com/troupe-p2p/troupe/addrs"

	ma "github.com/multiformats/go-multiaddr"
)

// keepName writes the name of a secure WebSocket's host down once more before an IP address takes
// its place, because the certificate is for the name:
//
//	/dns4/NAME/tcp/443/tls/ws -> /dns4/NAME/tcp/443/tls/sni/NAME/ws
//	/dns4/NAME/tcp/443/wss    -> the same
func keepName(a ma.Multiaddr) ma.Multiaddr {
	name, ok := addrs.Name(a)
	if !ok || addrs.Transport(a) != "wss" {
		return a
	}
	sni, err := ma.NewComponent("sni", name)
	if err != nil {
		return a
	}
	for i := range a {
		switch a[i].Code() {
		case ma.P_SNI:
			return a
		case ma.P_WSS:
			return withName(a[:i], sni, a[i+1:])
		case ma.P_WS: // behind /tls
			return withName(a[:i-1], sni, a[i+1:])
		}
	}
	return a
}

func withName(before ma.Multiaddr, sni *ma.Component, behind ma.Multiaddr) ma.Multiaddr {
	out := append(make(ma.Multiaddr, 0, len(before)+3+len(behind)), before...)
	out = append(append(out, tls...), *sni)
	return append(append(out, ws...), behind...)
}

var tls, ws = ma.StringCast("/tls"), ma.StringCast("/ws")
