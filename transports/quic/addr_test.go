package quic

import (
	"errors"
	"net"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
)

func TestAddressesAreTranslatedBothWays(t *testing.T) {
	for _, c := range []struct{ multi, network, address string }{
		{"/ip4/127.0.0.1/udp/0/quic-v1", "udp4", "127.0.0.1:0"},
		{"/ip4/0.0.0.0/udp/4001/quic-v1", "udp4", "0.0.0.0:4001"},
		{"/ip6/::/udp/4001/quic-v1", "udp6", "[::]:4001"},
		{"/ip6/2001:db8::1/udp/65535/quic-v1", "udp6", "[2001:db8::1]:65535"},
		{"/ip6zone/lo/ip6/fe80::1/udp/1/quic-v1", "udp6", "[fe80::1%lo]:1"},
	} {
		a := ma.StringCast(c.multi)
		network, addr, err := udpAddr(a)
		if err != nil || network != c.network || addr.String() != c.address {
			t.Errorf("%s is %s %s, %v; want %s %s", a, network, addr, err, c.network, c.address)
			continue
		}
		if back, err := fromNet(addr); err != nil || !back.Equal(a) {
			t.Errorf("%s came back as %s, %v", a, back, err)
		}
	}
}

func TestAnIPv4PeerOfADualStackSocketIsIPv4(t *testing.T) {
	a, err := fromNet(&net.UDPAddr{IP: net.ParseIP("::ffff:192.0.2.1"), Port: 7})
	if err != nil || a.String() != "/ip4/192.0.2.1/udp/7/quic-v1" {
		t.Errorf("got %v, %v", a, err)
	}
}

func TestForeignAddressesAreNotTranslated(t *testing.T) {
	for _, a := range foreign() {
		if isQUIC(a) {
			t.Errorf("%s passes for one of ours", a)
		}
		if _, _, err := udpAddr(a); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", a, err)
		}
	}
}

func foreign() []ma.Multiaddr {
	out := []ma.Multiaddr{nil}
	for _, s := range []string{
		"/ip4/127.0.0.1", "/udp/1", "/quic-v1", "/ip4/1.2.3.4/udp/1", "/ip4/1.2.3.4/udp/1/quic", "/ip4/1.2.3.4/tcp/1",
		"/ip4/1.2.3.4/udp/1/quic-v1/webtransport", "/dns4/localhost/udp/1/quic-v1", "/ip4/1.2.3.4/quic-v1",
		"/ip6zone/eth0/ip4/1.2.3.4/udp/1/quic-v1", "/ip6/::1/ip6/::1/udp/1/quic-v1", "/memory/1",
		"/ip4/1.2.3.4/udp/1/quic-v1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
	} {
		out = append(out, ma.StringCast(s))
	}
	return out
}
