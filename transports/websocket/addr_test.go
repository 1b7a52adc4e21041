package websocket

import (
	"errors"
	"testing"

	"github.com/troupe-p2p/troupe/testkit/transporttest"

	ma "github.com/multiformats/go-multiaddr"
)

const someone = "/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"

func TestAddressesSayWhomToAskForWhat(t *testing.T) {
	for _, c := range []struct {
		addr             string
		network, address string
		server           string // the certificate's name; "": not secure
		url              string
		listen           bool
	}{
		{"/ip4/192.0.2.1/tcp/80/ws", "tcp4", "192.0.2.1:80", "", "ws://192.0.2.1:80/", true},
		{"/ip6/2001:db8::1/tcp/80/ws", "tcp6", "[2001:db8::1]:80", "", "ws://[2001:db8::1]:80/", true},
		{"/ip6zone/lo/ip6/fe80::1/tcp/80/ws", "tcp6", "[fe80::1%lo]:80", "", "ws://[fe80::1]:80/", true},
		{"/ip4/192.0.2.1/tcp/443/wss", "tcp4", "192.0.2.1:443", "192.0.2.1", "ws://192.0.2.1:443/", true},
		{"/ip4/192.0.2.1/tcp/443/tls/ws", "tcp4", "192.0.2.1:443", "192.0.2.1", "ws://192.0.2.1:443/", true},
		{"/ip4/192.0.2.1/tcp/443/tls/sni/a.example/ws", "tcp4", "192.0.2.1:443", "a.example", "ws://a.example:443/", true},
		{"/dns/a.example/tcp/443/wss", "tcp", "a.example:443", "a.example", "ws://a.example:443/", false},
		{"/dns4/a.example/tcp/80/ws", "tcp4", "a.example:80", "", "ws://a.example:80/", false},
		{"/dns6/a.example/tcp/443/tls/sni/b.example/ws", "tcp6", "a.example:443", "b.example", "ws://b.example:443/", false},
		{"/ip4/192.0.2.1/tcp/80/ws/http-path/p2p%2Fws", "tcp4", "192.0.2.1:80", "", "ws://192.0.2.1:80/p2p/ws", true},
		{"/dns4/a.example/tcp/443/wss/http-path/x%20y", "tcp4", "a.example:443", "a.example", "ws://a.example:443/x%20y", false},
	} {
		a := ma.StringCast(c.addr)
		to, err := parse(a)
		if err != nil {
			t.Errorf("%s: %v", c.addr, err)
			continue
		}
		server := ""
		if to.secure {
			server = to.serverName()
		}
		if to.network != c.network || to.address != c.address || server != c.server || to.url() != c.url {
			t.Errorf("%s: %s %s, certificate of %q, %s; want %s %s, %q, %s",
				c.addr, to.network, to.address, server, to.url(), c.network, c.address, c.server, c.url)
		}
		tr := New(transporttest.Runtime(t), Config{})
		if !tr.CanDial(a) || tr.CanListen(a) != c.listen {
			t.Errorf("%s: CanDial %v, CanListen %v; want true, %v", c.addr, tr.CanDial(a), tr.CanListen(a), c.listen)
		}
	}
}

// foreign are addresses that are none of the transport's business.
var foreign = []string{
	"/ip4/127.0.0.1", "/ip4/127.0.0.1/udp/1", "/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/1/tls", "/ip4/127.0.0.1/tcp/1/http",
	"/ip4/127.0.0.1/ws", "/ip4/127.0.0.1/udp/1/ws", "/ip4/127.0.0.1/tcp/1/ws/ws", "/ip4/127.0.0.1/tcp/1/sni/a.example/ws",
	"/ip4/127.0.0.1/tcp/1/ws" + someone, "/ip4/127.0.0.1/tcp/1/ws" + someone + "/p2p-circuit", "/dnsaddr/a.example/tcp/1/ws",
	"/ip4/127.0.0.1/ip4/127.0.0.1/tcp/1/ws", "/unix/tmp", "/memory/1",
}

func TestOtherAddressesAreForOthers(t *testing.T) {
	for _, s := range foreign {
		if to, err := parse(ma.StringCast(s)); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %+v, %v", s, to, err)
		}
	}
	if _, err := parse(nil); !errors.Is(err, ErrAddress) {
		t.Errorf("nothing: %v", err)
	}
}

func TestJoiningAddressesLeavesThemAlone(t *testing.T) {
	a := ma.StringCast("/ip4/127.0.0.1/tcp/1/ws")
	head := a[:2]
	if got := join(head, wssSuffix).String(); got != "/ip4/127.0.0.1/tcp/1/tls/ws" {
		t.Error(got)
	}
	if a.String() != "/ip4/127.0.0.1/tcp/1/ws" {
		t.Errorf("now it is %s", a)
	}
}
