package webtransport

import (
	"errors"
	"net"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
)

const aHash = "/certhash/uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ"

func TestAddressesAreTranslatedBothWays(t *testing.T) {
	for _, c := range []struct {
		multi, network, address string
		hashes                  int
	}{
		{"/ip4/127.0.0.1/udp/0/quic-v1/webtransport", "udp4", "127.0.0.1:0", 0},
		{"/ip4/0.0.0.0/udp/4001/quic-v1/webtransport", "udp4", "0.0.0.0:4001", 0},
		{"/ip6/::/udp/4001/quic-v1/webtransport" + aHash, "udp6", "[::]:4001", 1},
		{"/ip6/2001:db8::1/udp/65535/quic-v1/webtransport" + aHash + aHash, "udp6", "[2001:db8::1]:65535", 2},
		{"/ip6zone/lo/ip6/fe80::1/udp/1/quic-v1/webtransport" + strings.Repeat(aHash, maxHashes-1), "udp6", "[fe80::1%lo]:1", maxHashes - 1},
	} {
		a := ma.StringCast(c.multi)
		network, addr, hashes, err := parse(a)
		if err != nil || network != c.network || addr.String() != c.address || len(hashes) != c.hashes {
			t.Errorf("%s is %s %s with %d hashes, %v; want %s %s with %d", a, network, addr, len(hashes), err, c.network, c.address, c.hashes)
			continue
		}
		back, err := fromNet(addr)
		if err != nil {
			t.Errorf("%s does not come back: %v", a, err)
			continue
		}
		if back, err = announced(back, hashes...); err != nil || !back.Equal(a) {
			t.Errorf("%s came back as %s, %v", a, back, err)
		}
	}
}

func TestAnIPv4PeerOfADualStackSocketIsIPv4(t *testing.T) {
	a, err := fromNet(&net.UDPAddr{IP: net.ParseIP("::ffff:192.0.2.1"), Port: 7})
	if err != nil || a.String() != "/ip4/192.0.2.1/udp/7/quic-v1/webtransport" {
		t.Errorf("got %v, %v", a, err)
	}
}

func TestForeignAddressesAreNotTranslated(t *testing.T) {
	for _, a := range foreign() {
		if isWebTransport(a) {
			t.Errorf("%s passes for one of ours", a)
		}
		if _, _, _, err := parse(a); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", a, err)
		}
	}
}

func foreign() []ma.Multiaddr {
	out := []ma.Multiaddr{nil}
	for _, s := range []string{
		"/ip4/127.0.0.1", "/udp/1", "/quic-v1", "/webtransport", "/ip4/1.2.3.4/udp/1", "/ip4/1.2.3.4/udp/1/quic-v1",
		"/ip4/1.2.3.4/udp/1/quic/webtransport", "/ip4/1.2.3.4/tcp/1", "/ip4/1.2.3.4/udp/1/webtransport",
		"/ip4/1.2.3.4/udp/1/quic-v1" + aHash, "/ip4/1.2.3.4/udp/1/webrtc-direct" + aHash,
		"/dns4/localhost/udp/1/quic-v1/webtransport", "/ip6zone/eth0/ip4/1.2.3.4/udp/1/quic-v1/webtransport",
		"/ip4/1.2.3.4/udp/1/quic-v1/webtransport/webtransport", "/ip4/1.2.3.4/udp/1/quic-v1/webtransport" + aHash + "/udp/1",
		"/ip4/1.2.3.4/udp/1/quic-v1/webtransport" + strings.Repeat(aHash, maxHashes+1), "/memory/1",
		"/ip4/1.2.3.4/udp/1/quic-v1/webtransport/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
	} {
		out = append(out, ma.StringCast(s))
	}
	return out
}
