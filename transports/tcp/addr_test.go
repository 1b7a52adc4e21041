package tcp

import (
	"errors"
	"net"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/troupe-p2p/troupe/transports/internal/sockets"
)

func TestAddressesAreTranslatedBothWays(t *testing.T) {
	for _, c := range []struct{ multi, network, address string }{
		{"/ip4/127.0.0.1/tcp/0", "tcp4", "127.0.0.1:0"},
		{"/ip4/0.0.0.0/tcp/4001", "tcp4", "0.0.0.0:4001"},
		{"/ip6/::/tcp/4001", "tcp6", "[::]:4001"},
		{"/ip6/2001:db8::1/tcp/65535", "tcp6", "[2001:db8::1]:65535"},
		{"/ip6zone/eth0/ip6/fe80::1/tcp/1", "tcp6", "[fe80::1%eth0]:1"},
	} {
		a := ma.StringCast(c.multi)
		network, address, err := dialArgs(a)
		if err != nil || network != c.network || address != c.address {
			t.Errorf("%s is %s %s, %v; want %s %s", a, network, address, err, c.network, c.address)
			continue
		}
		na, err := net.ResolveTCPAddr(network, address)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := sockets.FromNetAddr(na); err != nil || !back.Equal(a) {
			t.Errorf("%s came back as %s, %v", a, back, err)
		}
	}
}

func TestForeignAddressesAreNotTranslated(t *testing.T) {
	for _, s := range []string{
		"/ip4/127.0.0.1", "/tcp/1", "/ip4/1.2.3.4/udp/1", "/ip4/1.2.3.4/tcp/1/ws", "/dns/localhost/tcp/1",
		"/ip6zone/eth0/ip4/1.2.3.4/tcp/1", "/ip6zone/a/ip6zone/b/ip6/fe80::1/tcp/1", "/ip6/::1/ip6/::1/tcp/1",
		"/ip4/1.2.3.4/tcp/1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN", "/memory/1",
	} {
		if _, _, err := dialArgs(ma.StringCast(s)); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", s, err)
		}
	}
}
