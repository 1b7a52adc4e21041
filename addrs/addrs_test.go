package addrs

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/troupe-p2p/troupe/identity"
)

const (
	peerA = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
	peerB = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
	cert  = "/certhash/uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ"
)

func addr(t testing.TB, s string) ma.Multiaddr {
	t.Helper()
	if s == "" {
		return nil
	}
	a, err := ParseString(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func addrList(t testing.TB, all ...string) []ma.Multiaddr {
	t.Helper()
	var out []ma.Multiaddr
	for _, s := range all {
		out = append(out, addr(t, s))
	}
	return out
}

func text(all []ma.Multiaddr) []string {
	var out []string
	for _, a := range all {
		out = append(out, a.String())
	}
	return out
}

func id(t testing.TB, s string) identity.ID {
	t.Helper()
	p, err := identity.Decode(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// everything is one table, so that no question about an address can be forgotten for a new form.
var everything = []struct {
	addr      string
	transport string
	scope     Scope
	ip        string
	port      uint16 // 0: none
	waist     string
	name      string
	dns       bool
	relayed   bool
}{
	{addr: "", scope: Unknown},
	{addr: "/ip4/1.2.3.4", scope: Public, ip: "1.2.3.4"},
	{addr: "/ip4/1.2.3.4/tcp/4001", transport: "tcp", scope: Public, ip: "1.2.3.4", port: 4001, waist: "/ip4/1.2.3.4/tcp/4001"},
	{addr: "/ip4/1.2.3.4/tcp/4001/p2p/" + peerA, transport: "tcp", scope: Public, ip: "1.2.3.4", port: 4001, waist: "/ip4/1.2.3.4/tcp/4001"},
	{addr: "/ip6/2a00::1/tcp/4001", transport: "tcp", scope: Public, ip: "2a00::1", port: 4001, waist: "/ip6/2a00::1/tcp/4001"},
	{addr: "/ip6zone/eth0/ip6/fe80::1/tcp/1", transport: "tcp", scope: LinkLocal, ip: "fe80::1%eth0", port: 1, waist: "/ip6zone/eth0/ip6/fe80::1/tcp/1"},
	{addr: "/ip6/::ffff:127.0.0.1/tcp/1", transport: "tcp", scope: Loopback, ip: "127.0.0.1", port: 1, waist: "/ip4/127.0.0.1/tcp/1"},
	{addr: "/ip4/10.0.0.1/tcp/1/ws", transport: "ws", scope: Private, ip: "10.0.0.1", port: 1, waist: "/ip4/10.0.0.1/tcp/1"},
	{addr: "/ip4/10.0.0.1/tcp/1/ws/http-path/x", transport: "ws", scope: Private, ip: "10.0.0.1", port: 1, waist: "/ip4/10.0.0.1/tcp/1"},
	{addr: "/dns4/a.example/tcp/443/wss", transport: "wss", scope: Named, port: 443, name: "a.example", dns: true},
	{addr: "/dns4/a.example/tcp/443/tls/ws/p2p/" + peerA, transport: "wss", scope: Named, port: 443, name: "a.example", dns: true},
	{addr: "/dns/a.example/tcp/443/tls/sni/b.example/ws", transport: "wss", scope: Named, port: 443, name: "a.example", dns: true},
	{addr: "/dns6/a.example/tcp/443/tls/ws/http-path/a%2Fb", transport: "wss", scope: Named, port: 443, name: "a.example", dns: true},
	{addr: "/dnsaddr/a.example", scope: Named, name: "a.example", dns: true},
	{addr: "/dnsaddr/a.example/p2p/" + peerA, scope: Named, name: "a.example", dns: true},
	{addr: "/ip4/1.2.3.4/udp/1/quic-v1", transport: "quic-v1", scope: Public, ip: "1.2.3.4", port: 1, waist: "/ip4/1.2.3.4/udp/1"},
	{addr: "/ip4/1.2.3.4/udp/1/quic", transport: "quic", scope: Public, ip: "1.2.3.4", port: 1, waist: "/ip4/1.2.3.4/udp/1"},
	{addr: "/ip4/1.2.3.4/udp/1/quic-v1/webtransport", transport: "webtransport", scope: Public, ip: "1.2.3.4", port: 1, waist: "/ip4/1.2.3.4/udp/1"},
	{addr: "/ip4/1.2.3.4/udp/1/quic-v1/webtransport" + cert + cert, transport: "webtransport", scope: Public, ip: "1.2.3.4", port: 1, waist: "/ip4/1.2.3.4/udp/1"},
	{addr: "/ip4/1.2.3.4/udp/1/webrtc-direct" + cert + "/p2p/" + peerB, transport: "webrtc-direct", scope: Public, ip: "1.2.3.4", port: 1, waist: "/ip4/1.2.3.4/udp/1"},
	{addr: "/ip4/1.2.3.4/tcp/1/p2p/" + peerB + "/p2p-circuit", transport: "p2p-circuit", scope: Public, ip: "1.2.3.4", port: 1, waist: "/ip4/1.2.3.4/tcp/1", relayed: true},
	{addr: "/ip4/1.2.3.4/tcp/1/p2p/" + peerB + "/p2p-circuit/p2p/" + peerA, transport: "p2p-circuit", scope: Public, ip: "1.2.3.4", port: 1, waist: "/ip4/1.2.3.4/tcp/1", relayed: true},
	{addr: "/ip4/127.0.0.1/tcp/1/p2p/" + peerB + "/p2p-circuit/webrtc/p2p/" + peerA, transport: "webrtc", scope: Loopback, ip: "127.0.0.1", port: 1, waist: "/ip4/127.0.0.1/tcp/1", relayed: true},
	{addr: "/p2p/" + peerB + "/p2p-circuit/p2p/" + peerA, transport: "p2p-circuit", scope: Unknown, relayed: true},
	{addr: "/p2p/" + peerA, scope: Unknown},
	{addr: "/memory/7", transport: "memory", scope: InProcess},
	{addr: "/memory/7/p2p/" + peerA, transport: "memory", scope: InProcess},
	{addr: "/unix/run/x.sock", transport: "unix", scope: Loopback},
	{addr: "/unix/run/x.sock/p2p/" + peerA, transport: "unix", scope: Loopback},
	{addr: "/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234", scope: Unknown},
	// Not of any form, though they begin like one.
	{addr: "/ip4/1.2.3.4/udp/1", scope: Public, ip: "1.2.3.4", port: 1, waist: "/ip4/1.2.3.4/udp/1"},
	{addr: "/ip4/1.2.3.4/tcp/1/noise", scope: Public, ip: "1.2.3.4", port: 1, waist: "/ip4/1.2.3.4/tcp/1"},
	{addr: "/ip4/1.2.3.4/tcp/1/tls", scope: Public, ip: "1.2.3.4", port: 1, waist: "/ip4/1.2.3.4/tcp/1"},
	{addr: "/ip4/1.2.3.4/tcp/1/tcp/2", scope: Public, ip: "1.2.3.4", port: 1, waist: "/ip4/1.2.3.4/tcp/1"},
	{addr: "/ip4/1.2.3.4/tcp/1" + cert, scope: Public, ip: "1.2.3.4", port: 1, waist: "/ip4/1.2.3.4/tcp/1"},
	{addr: "/ip4/1.2.3.4/tcp/1/http-path/x", scope: Public, ip: "1.2.3.4", port: 1, waist: "/ip4/1.2.3.4/tcp/1"},
	{addr: "/ip4/1.2.3.4/quic-v1", scope: Public, ip: "1.2.3.4"},
	{addr: "/ip4/1.2.3.4/sctp/9", scope: Public, ip: "1.2.3.4"},
	{addr: "/dnsaddr/a.example/tcp/1", scope: Named, name: "a.example", port: 1, dns: true},
	{addr: "/memory/7/tcp/1", scope: InProcess},
	{addr: "/tcp/1", scope: Unknown},
	{addr: "/tcp/1/ip4/1.2.3.4", scope: Unknown},
	{addr: "/ip6zone/eth0", scope: Unknown},
	{addr: "/ip4/1.2.3.4/tcp/1/p2p/" + peerB + "/p2p-circuit/tcp/2", scope: Public, ip: "1.2.3.4", port: 1, waist: "/ip4/1.2.3.4/tcp/1", relayed: true},
	{addr: "/ip4/1.2.3.4/tcp/1/p2p/" + peerB + "/dns/a.example", scope: Public, ip: "1.2.3.4", port: 1, waist: "/ip4/1.2.3.4/tcp/1", dns: true},
}

func TestEveryQuestionAboutEveryForm(t *testing.T) {
	for _, c := range everything {
		a := addr(t, c.addr)
		if got := Transport(a); got != c.transport {
			t.Errorf("%s: transport %q, want %q", c.addr, got, c.transport)
		}
		if got := ScopeOf(a); got != c.scope {
			t.Errorf("%s: scope %v, want %v", c.addr, got, c.scope)
		}
		if ip, ok := IP(a); ok != (c.ip != "") || ok && ip.String() != c.ip {
			t.Errorf("%s: IP %v, %v", c.addr, ip, ok)
		}
		if port, ok := Port(a); ok != (c.port != 0) || port != c.port {
			t.Errorf("%s: port %d, %v", c.addr, port, ok)
		}
		if w, ok := ThinWaist(a); ok != (c.waist != "") || ok && w.String() != c.waist {
			t.Errorf("%s: waist %v, %v", c.addr, w, ok)
		}
		if name, ok := Name(a); ok != (c.name != "") || name != c.name {
			t.Errorf("%s: name %q, %v", c.addr, name, ok)
		}
		if got := HasDNS(a); got != c.dns {
			t.Errorf("%s: HasDNS %v", c.addr, got)
		}
		if got := IsRelayed(a); got != c.relayed {
			t.Errorf("%s: IsRelayed %v", c.addr, got)
		}
		if prefix, ok := PrefixOf(a); ok != (c.ip != "") || ok && !prefix.Contains(netip.MustParseAddr(c.ip).WithZone("")) {
			t.Errorf("%s: prefix %v, %v", c.addr, prefix, ok)
		}
	}
}

func TestScopesOfIPs(t *testing.T) {
	for scope, all := range map[Scope][]string{
		Unspecified: {"0.0.0.0", "::", "::ffff:0.0.0.0"},
		Loopback:    {"127.0.0.1", "127.255.255.255", "::1", "::ffff:127.1.2.3", "64:ff9b::7f00:1", "2002:7f00:1::"},
		LinkLocal:   {"169.254.0.1", "fe80::1", "febf:ffff::", "fe80::1%eth0"},
		Private: {"10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.127.255.255",
			"fc00::1", "fdff::1", "::ffff:10.1.1.1", "64:ff9b::a00:1", "2002:a00:1::1"},
		Public: {"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0",
			"192.167.255.255", "192.169.0.0", "223.255.255.255", "2000::1", "2a00:1450::1", "2606:4700::1111", "64:ff9b::808:808",
			"2002:808:808::1", "3ffe::1"},
		Reserved: {"0.0.0.1", "192.0.0.8", "192.0.2.1", "198.51.100.1", "203.0.113.7", "198.18.0.1", "198.19.255.255", "192.88.99.1",
			"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "ff02::1", "2001:db8::1", "3fff::1", "2001:2::1",
			"2001:10::1", "2001:20::1", "::2", "100::1", "4000::1", "fec0::1", "64:ff9b::", "64:ff9b:1::1"},
	} {
		for _, s := range all {
			want := scope
			if s == "64:ff9b::" {
				want = Unspecified // NAT64 of 0.0.0.0
			}
			if got := ScopeOfIP(netip.MustParseAddr(s)); got != want {
				t.Errorf("%s: %v, want %v", s, got, want)
			}
		}
	}
	if got := ScopeOfIP(netip.Addr{}); got != Unknown {
		t.Errorf("no address: %v", got)
	}
}

func TestScopesOfNames(t *testing.T) {
	for name, want := range map[string]Scope{
		"example.org": Named, "localhost": Loopback, "LocalHost.": Loopback, "a.localhost": Loopback, "notlocalhost": Named,
		"printer.local": Private, "nas.home.arpa": Private, "db.internal": Private, "x.invalid": Reserved, "local.example": Named,
	} {
		if got := ScopeOf(addr(t, "/dns4/"+name+"/tcp/1")); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestScopesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for s := Unknown; s <= Reserved; s++ {
		if seen[s.String()] {
			t.Errorf("%d: %q is taken", s, s)
		}
		seen[s.String()] = true
	}
	if Scope(200).String() != "unknown" {
		t.Errorf("Scope(200): %q", Scope(200))
	}
}

func TestPeersComeOffAndGoOn(t *testing.T) {
	relayed := "/ip4/1.2.3.4/tcp/1/p2p/" + peerB + "/p2p-circuit"
	for _, c := range []struct{ whole, rest, peer string }{
		{"/ip4/1.2.3.4/tcp/1/p2p/" + peerA, "/ip4/1.2.3.4/tcp/1", peerA},
		{"/ip4/1.2.3.4/tcp/1", "/ip4/1.2.3.4/tcp/1", ""},
		{"/p2p/" + peerA, "", peerA},
		{relayed + "/p2p/" + peerA, relayed, peerA},
		{relayed, relayed, ""},
		{"/ip4/1.2.3.4/tcp/1/p2p/" + peerB, "/ip4/1.2.3.4/tcp/1", peerB},
		{"/unix/run/x.sock/p2p/" + peerA, "/unix/run/x.sock", peerA},
		{"/unix/p2p/" + peerA, "/unix/p2p/" + peerA, ""},
		{"/unix/run/p2p/x.sock", "/unix/run/p2p/x.sock", ""},
		{"", "", ""},
	} {
		rest, p, err := SplitPeer(addr(t, c.whole))
		if err != nil || !rest.Equal(addr(t, c.rest)) || c.peer == "" != (p == "") || p != "" && p.String() != c.peer {
			t.Errorf("%q: %v, %q, %v", c.whole, rest, p, err)
		}
		if rest != nil && len(rest) == 0 {
			t.Errorf("%q: an empty address that is not nil", c.whole)
		}
		if c.peer != "" {
			if back := WithPeer(rest, id(t, c.peer)); !back.Equal(addr(t, c.whole)) {
				t.Errorf("%q: put together as %v", c.whole, back)
			}
		}
	}
}

func TestWithPeerReplacesAndDoesNotTouchItsArgument(t *testing.T) {
	a := addr(t, "/ip4/1.2.3.4/tcp/1/p2p/"+peerA)
	if got := WithPeer(a, id(t, peerB)); got.String() != "/ip4/1.2.3.4/tcp/1/p2p/"+peerB {
		t.Errorf("replaced: %v", got)
	}
	if got := WithPeer(a, id(t, peerA)); !got.Equal(a) {
		t.Errorf("the same peer: %v", got)
	}
	if got := WithPeer(a, ""); got.String() != "/ip4/1.2.3.4/tcp/1" {
		t.Errorf("the zero ID: %v", got)
	}
	rest, _, err := SplitPeer(a)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(rest, addr(t, "/ws")...) // must not write into a
	if a.String() != "/ip4/1.2.3.4/tcp/1/p2p/"+peerA {
		t.Errorf("the argument is now %v", a)
	}
}

func TestPeerThatNoKeyHasIsAnError(t *testing.T) {
	// go-multiaddr alone takes an identity multihash of any length.
	raw := append([]byte{0xa5, 0x03, 45, 0x00, 43}, make([]byte, 43)...)
	a, err := ma.NewMultiaddrBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	if rest, p, err := SplitPeer(a); !errors.Is(err, ErrMalformed) || !errors.Is(err, identity.ErrUnsupported) || p != "" || rest != nil {
		t.Errorf("%v, %q, %v", rest, p, err)
	}
}

func TestCircuitsSplitAtTheFirstMarker(t *testing.T) {
	relay := "/ip4/1.2.3.4/tcp/1/p2p/" + peerB
	for _, c := range []struct {
		whole, relay, rest string
		ok                 bool
	}{
		{relay + "/p2p-circuit/p2p/" + peerA, relay, "/p2p/" + peerA, true},
		{relay + "/p2p-circuit", relay, "", true},
		{"/p2p-circuit/p2p/" + peerA, "", "/p2p/" + peerA, true},
		{"/p2p-circuit", "", "", true},
		{relay + "/p2p-circuit/p2p/" + peerA + "/p2p-circuit", relay, "/p2p/" + peerA + "/p2p-circuit", true},
		{relay, relay, "", false},
		{"", "", "", false},
	} {
		r, rest, ok := SplitCircuit(addr(t, c.whole))
		if ok != c.ok || !r.Equal(addr(t, c.relay)) || !rest.Equal(addr(t, c.rest)) {
			t.Errorf("%q: %v, %v, %v", c.whole, r, rest, ok)
		}
	}
}

func TestLimitPrefixes(t *testing.T) {
	for ip, want := range map[string]string{
		"1.2.3.4":               "1.2.3.4/32",
		"::ffff:1.2.3.4":        "1.2.3.4/32",
		"2a00:1:2:3ff:4::5":     "2a00:1:2:300::/56",
		"2a00:1:2:300::":        "2a00:1:2:300::/56",
		"2a00:1:2:400::":        "2a00:1:2:400::/56",
		"fe80::1%eth0":          "fe80::/56",
		"::1":                   "::/56",
		"2a00:1:2:3ff:ffff::%x": "2a00:1:2:300::/56",
	} {
		if got := LimitPrefix(netip.MustParseAddr(ip)); got.String() != want {
			t.Errorf("%s: %v, want %s", ip, got, want)
		}
	}
	if got := LimitPrefix(netip.Addr{}); got.IsValid() {
		t.Errorf("no address: %v", got)
	}
}

func TestSocketAddressesComeBack(t *testing.T) {
	for _, s := range []string{"1.2.3.4:0", "1.2.3.4:65535", "[::]:80", "[2a00::1]:80", "[fe80::1%eth0]:80", "127.0.0.1:255", "127.0.0.1:256"} {
		ap := netip.MustParseAddrPort(s)
		for _, proto := range []string{"tcp", "udp"} {
			a := FromAddrPort(proto, ap)
			if w, ok := ThinWaist(a); !ok || w != (Waist{proto, ap}) || w.String() != a.String() {
				t.Errorf("%s %s: %v, %v, %v", proto, s, a, w, ok)
			}
			if back := addr(t, a.String()); !back.Equal(a) {
				t.Errorf("%s %s: %v prints as another address", proto, s, a)
			}
		}
	}
	if a := FromAddrPort("tcp", netip.MustParseAddrPort("[::ffff:1.2.3.4]:5")); a.String() != "/ip4/1.2.3.4/tcp/5" {
		t.Errorf("4 in 6: %v", a)
	}
	bad := netip.AddrPortFrom(netip.MustParseAddr("fe80::1").WithZone("a/b"), 1)
	for _, a := range []ma.Multiaddr{FromAddrPort("sctp", netip.MustParseAddrPort("1.2.3.4:5")), FromAddrPort("tcp", netip.AddrPort{}), FromAddrPort("tcp", bad)} {
		if a != nil {
			t.Errorf("not a socket, and yet %v", a)
		}
	}
}

func TestMemoryPorts(t *testing.T) {
	for _, n := range []uint64{0, 1, 1 << 63, 1<<64 - 1} {
		a := Memory(n)
		if got, ok := MemoryPort(a); !ok || got != n {
			t.Errorf("%v: %d, %v", a, got, ok)
		}
		if got, ok := MemoryPort(WithPeer(a, id(t, peerA))); !ok || got != n {
			t.Errorf("%v with a peer: %d, %v", a, got, ok)
		}
	}
	for _, s := range []string{"", "/ip4/1.2.3.4/tcp/1", "/memory/1/ws", "/memory/1/p2p/" + peerA + "/p2p-circuit"} {
		if n, ok := MemoryPort(addr(t, s)); ok {
			t.Errorf("%q: %d", s, n)
		}
	}
}

func TestUserErrorsAreOneLineThatNamesTheFault(t *testing.T) {
	for s, want := range map[string]string{
		"":                                  "it is empty",
		"/":                                 "no components",
		"//":                                "no components",
		"x":                                 "must begin with a slash",
		"127.0.0.1:4001":                    "write /ip4/127.0.0.1/tcp/4001",
		"[::1]:4001":                        "write /ip6/::1/tcp/4001",
		"example.org:4001":                  "write /dns/example.org/tcp/4001",
		"ip4/1.2.3.4/tcp/1":                 "must begin with a slash",
		"http://example.org:80":             "must begin with a slash",
		"/ip4/1.2.3.4//tcp/1":               "two slashes in a row",
		"/ipv4/1.2.3.4/tcp/1":               `"ipv4" is not a protocol`,
		"/ip4/1.2.3/tcp/1":                  `"1.2.3" is not an IPv4 address`,
		"/ip4/::1/tcp/1":                    `"::1" is not an IPv4 address`,
		"/ip6/1.2.3.4.5/tcp/1":              `"1.2.3.4.5" is not an IPv6 address`,
		"/ip4/1.2.3.4/tcp/65536":            `"65536" is not a port`,
		"/ip4/1.2.3.4/tcp/-1":               `"-1" is not a port`,
		"/ip4/1.2.3.4/udp/quic":             `"quic" is not a port`,
		"/ip4/1.2.3.4/tcp":                  "/tcp lacks its value",
		"/ip4":                              "/ip4 lacks its value",
		"/memory/x":                         `"x" is not a value of /memory`,
		"/ip4/1.2.3.4/tcp/1/p2p/12D3x":      `"12D3x": peer ID announces`,
		"/ip4/1.2.3.4/tcp/1/p2p/bafkqa":     `peer ID`,
		"/ip4/1.2.3.4/tcp/1\n":              `"1\n" is not a port`,
		"/dns4/a b/tcp/1":                   "unprintable name in /dns4",
		"/dns4/" + strings.Repeat("a", 254): "name of 254 bytes",
		strings.Repeat("/ws", 40):           "40 components",
		strings.Repeat("x", 5000):           "5000 characters",
	} {
		a, err := ParseString(s)
		if err == nil || a != nil {
			t.Errorf("%.60q: %v, %v", s, a, err)
			continue
		}
		if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrLimit) {
			t.Errorf("%.60q: %v is of no kind", s, err)
		}
		if msg := err.Error(); !strings.Contains(msg, want) || strings.ContainsAny(msg, "\n\r") {
			t.Errorf("%.60q: %q does not say %q", s, msg, want)
		}
	}
	if a, err := ParseString("/ip4/1.2.3.4/tcp/1/"); err != nil || a.String() != "/ip4/1.2.3.4/tcp/1" {
		t.Errorf("a slash at the end: %v, %v", a, err)
	}
}

func TestBoundsNameEachCapOnce(t *testing.T) {
	var names []string
	for _, b := range Bounds() {
		if b.Name == "" || b.Cap <= 0 || b.Attack == "" || slices.Contains(names, b.Name) {
			t.Errorf("%v", b)
		}
		names = append(names, b.Name)
	}
}
