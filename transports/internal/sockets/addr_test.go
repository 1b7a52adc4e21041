package sockets

import (
	"net"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
)

func TestNetAddrs(t *testing.T) {
	for want, a := range map[string]net.Addr{
		"/ip4/192.0.2.1/tcp/7":            &net.TCPAddr{IP: net.ParseIP("::ffff:192.0.2.1"), Port: 7}, // of a dual-stack socket
		"/ip4/192.0.2.1/udp/7":            &net.UDPAddr{IP: net.ParseIP("192.0.2.1"), Port: 7},
		"/ip6zone/eth0/ip6/fe80::1/udp/7": &net.UDPAddr{IP: net.ParseIP("fe80::1"), Port: 7, Zone: "eth0"},
		"/ip6/::/tcp/0":                   &net.TCPAddr{IP: net.IPv6unspecified},
		"/unix/tmp/x":                     &net.UnixAddr{Net: "unix", Name: "/tmp/x"},
	} {
		if got, err := FromNetAddr(a); err != nil || !got.Equal(ma.StringCast(want)) {
			t.Errorf("%v: %v, %v, want %s", a, got, err, want)
		}
	}
	for _, a := range []net.Addr{nil, &net.TCPAddr{}, &net.IPAddr{}} {
		if got, err := FromNetAddr(a); err == nil {
			t.Errorf("%v: %v", a, got)
		}
	}
}
