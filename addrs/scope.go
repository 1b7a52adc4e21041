package addrs

import (
	"net/netip"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
)

// Scope says from where an address can be reached.
type Scope uint8

const (
	// Unknown: no host that this package understands (an onion address, a peer alone).
	Unknown Scope = iota
	// Unspecified: all interfaces. To listen on, not to dial.
	Unspecified
	// InProcess: the memory transport.
	InProcess
	// Loopback: this machine, which a Unix socket is too.
	Loopback
	// LinkLocal: this link.
	LinkLocal
	// Private: this network, which includes those behind a carrier's NAT.
	Private
	// Public: the internet.
	Public
	// Named: a DNS name, which may mean any of the others.
	Named
	// Reserved: multicast, documentation, future use. Nobody is there.
	Reserved
)

func (s Scope) String() string {
	names := [...]string{"unknown", "unspecified", "in-process", "loopback", "link-local", "private", "public", "named", "reserved"}
	if int(s) < len(names) {
		return names[s]
	}
	return names[Unknown]
}

// ScopeOf is the scope of the host in a; of a relayed address, that of the relay.
func ScopeOf(a ma.Multiaddr) Scope {
	if ip, ok := IP(a); ok {
		return ScopeOfIP(ip)
	}
	if name, ok := Name(a); ok {
		return scopeOfName(name)
	}
	if len(a) > 0 {
		switch a[0].Code() {
		case ma.P_MEMORY:
			return InProcess
		case ma.P_UNIX:
			return Loopback
		}
	}
	return Unknown
}

// block is a row of the IANA registries of special-purpose addresses; the first match counts.
type block struct {
	prefix netip.Prefix
	scope  Scope
}

var blocks4 = []block{
	{netip.MustParsePrefix("0.0.0.0/32"), Unspecified},
	{netip.MustParsePrefix("0.0.0.0/8"), Reserved},
	{netip.MustParsePrefix("10.0.0.0/8"), Private},
	{netip.MustParsePrefix("100.64.0.0/10"), Private}, // RFC 6598, carrier-grade NAT
	{netip.MustParsePrefix("127.0.0.0/8"), Loopback},
	{netip.MustParsePrefix("169.254.0.0/16"), LinkLocal},
	{netip.MustParsePrefix("172.16.0.0/12"), Private},
	{netip.MustParsePrefix("192.0.0.0/24"), Reserved},    // RFC 6890
	{netip.MustParsePrefix("192.0.2.0/24"), Reserved},    // RFC 5737, documentation
	{netip.MustParsePrefix("192.88.99.0/24"), Reserved},  // RFC 7526, 6to4 relays
	{netip.MustParsePrefix("192.168.0.0/16"), Private},   //
	{netip.MustParsePrefix("198.18.0.0/15"), Reserved},   // RFC 2544, benchmarks
	{netip.MustParsePrefix("198.51.100.0/24"), Reserved}, // RFC 5737
	{netip.MustParsePrefix("203.0.113.0/24"), Reserved},  // RFC 5737
	{netip.MustParsePrefix("224.0.0.0/3"), Reserved},     // multicast, class E, broadcast
	{netip.MustParsePrefix("0.0.0.0/0"), Public},
}

// RFC 4291 §2.4 and the registry: of IPv6 only 2000::/3 is given out.
var blocks6 = []block{
	{netip.MustParsePrefix("::/128"), Unspecified},
	{netip.MustParsePrefix("::1/128"), Loopback},
	{netip.MustParsePrefix("fe80::/10"), LinkLocal},
	{netip.MustParsePrefix("fc00::/7"), Private},
	{netip.MustParsePrefix("2001:2::/48"), Reserved},   // RFC 5180, benchmarks
	{netip.MustParsePrefix("2001:10::/28"), Reserved},  // RFC 4843, ORCHID
	{netip.MustParsePrefix("2001:20::/28"), Reserved},  // RFC 7343, ORCHIDv2
	{netip.MustParsePrefix("2001:db8::/32"), Reserved}, // RFC 3849, documentation
	{netip.MustParsePrefix("3fff::/20"), Reserved},     // RFC 9637, documentation
	{netip.MustParsePrefix("2000::/3"), Public},
	{netip.MustParsePrefix("::/0"), Reserved},
}

// embedded are the IPv6 blocks that lead to the IPv4 address in them: NAT64 (RFC 6052, at the end)
// and 6to4 (RFC 3056, behind the first two bytes).
var (
	nat64   = netip.MustParsePrefix("64:ff9b::/96")
	sixToFo = netip.MustParsePrefix("2002::/16")
)

// ScopeOfIP is the scope of an IP address. An IPv6 address that leads to an IPv4 address has the
// scope of that one, so that a wrapped 127.0.0.1 is still loopback.
func ScopeOfIP(ip netip.Addr) Scope {
	ip = ip.Unmap().WithZone("")
	blocks := blocks6
	switch {
	case !ip.IsValid():
		return Unknown
	case ip.Is4():
		blocks = blocks4
	case nat64.Contains(ip):
		b := ip.As16()
		return ScopeOfIP(netip.AddrFrom4([4]byte(b[12:])))
	case sixToFo.Contains(ip):
		b := ip.As16()
		return ScopeOfIP(netip.AddrFrom4([4]byte(b[2:])))
	}
	for _, b := range blocks {
		if b.prefix.Contains(ip) {
			return b.scope
		}
	}
	return Unknown
}

// scopeOfName knows the names that never mean the internet: RFC 6761 §6.3 and §6.4, RFC 6762 §3,
// RFC 8375, and .internal, which ICANN has set aside.
func scopeOfName(name string) Scope {
	name = "." + strings.ToLower(strings.TrimSuffix(name, "."))
	for _, special := range []struct {
		suffix string
		scope  Scope
	}{
		{".localhost", Loopback}, {".local", Private}, {".home.arpa", Private}, {".internal", Private},
		{".invalid", Reserved},
	} {
		if strings.HasSuffix(name, special.suffix) {
			return special.scope
		}
	}
	return Named
}
