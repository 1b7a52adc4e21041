package addrs

import (
	"net/netip"

	ma "github.com/multiformats/go-multiaddr"
)

// host returns the index of the component that names the machine (of the relay, if the address is
// relayed), or -1. An IPv6 zone goes before it.
func host(a ma.Multiaddr) int {
	for i := range a {
		switch a[i].Code() {
		case ma.P_IP6ZONE:
			if i == 0 {
				continue
			}
		case ma.P_IP4, ma.P_IP6, ma.P_DNS, ma.P_DNS4, ma.P_DNS6, ma.P_DNSADDR:
			return i
		}
		break
	}
	return -1
}

// IP is the IP address in a, without the 4-in-6 wrapping and with its zone.
func IP(a ma.Multiaddr) (netip.Addr, bool) {
	i := host(a)
	if i < 0 || isName(a[i].Code()) {
		return netip.Addr{}, false
	}
	ip, ok := netip.AddrFromSlice(a[i].RawValue())
	if !ok {
		return netip.Addr{}, false
	}
	ip = ip.Unmap()
	if i == 1 && ip.Is6() {
		ip = ip.WithZone(a[0].Value())
	}
	return ip, true
}

// Name is the DNS name in a, of whichever kind.
func Name(a ma.Multiaddr) (string, bool) {
	i := host(a)
	if i < 0 || !isName(a[i].Code()) {
		return "", false
	}
	return a[i].Value(), true
}

// HasDNS reports whether any component has to be resolved before a can be dialled.
func HasDNS(a ma.Multiaddr) bool {
	for i := range a {
		if isName(a[i].Code()) {
			return true
		}
	}
	return false
}

func isName(code int) bool {
	switch code {
	case ma.P_DNS, ma.P_DNS4, ma.P_DNS6, ma.P_DNSADDR:
		return true
	}
	return false
}

// Port is the TCP or UDP port behind the host.
func Port(a ma.Multiaddr) (uint16, bool) {
	i := host(a) + 1
	if i == 0 || i >= len(a) {
		return 0, false
	}
	switch a[i].Code() {
	case ma.P_TCP, ma.P_UDP:
		raw := a[i].RawValue()
		return uint16(raw[0])<<8 | uint16(raw[1]), true
	}
	return 0, false
}

// Waist is where an address goes through the network: IP, TCP or UDP, port. All transports that
// share one socket have one waist. It is comparable.
type Waist struct {
	Proto string // "tcp" or "udp"
	Addr  netip.AddrPort
}

// String is the address of the waist.
func (w Waist) String() string { return FromAddrPort(w.Proto, w.Addr).String() }

// ThinWaist is the waist of a; there is none while the host is a name.
func ThinWaist(a ma.Multiaddr) (Waist, bool) {
	ip, okIP := IP(a)
	port, okPort := Port(a)
	if !okIP || !okPort {
		return Waist{}, false
	}
	return Waist{a[host(a)+1].Protocol().Name, netip.AddrPortFrom(ip, port)}, true
}

// FromAddrPort makes the address of a socket; proto is "tcp" or "udp". It is nil if ap is not
// valid or proto is neither.
func FromAddrPort(proto string, ap netip.AddrPort) ma.Multiaddr {
	if !ap.IsValid() || proto != "tcp" && proto != "udp" {
		return nil
	}
	ip := ap.Addr().Unmap()
	port := ap.Port()
	raw := make([]byte, 0, 24)
	if ip.Is4() {
		raw = append(append(raw, ma.P_IP4), ip.AsSlice()...)
	} else {
		if zone := ip.Zone(); zone != "" && len(zone) < 0x80 {
			raw = append(append(raw, ma.P_IP6ZONE, byte(len(zone))), zone...)
		}
		raw = append(append(raw, ma.P_IP6), ip.AsSlice()...)
	}
	if proto == "tcp" {
		raw = append(raw, ma.P_TCP)
	} else {
		raw = append(raw, ma.CodeToVarint(ma.P_UDP)...)
	}
	a, err := ma.NewMultiaddrBytes(append(raw, byte(port>>8), byte(port)))
	if err != nil {
		return nil // a zone with a slash in it
	}
	return a
}

// Prefixes that limits on connections count by: what one customer of a network usually has.
const (
	limitBits4 = 32
	limitBits6 = 56
)

// LimitPrefix is the block of addresses that ip counts with: its IPv4 /32 or its IPv6 /56. Ports
// and the rest of an IPv6 address cost an attacker nothing.
func LimitPrefix(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := limitBits6
	if ip.Is4() {
		bits = limitBits4
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// PrefixOf is the LimitPrefix of the IP in a.
func PrefixOf(a ma.Multiaddr) (netip.Prefix, bool) {
	ip, ok := IP(a)
	if !ok {
		return netip.Prefix{}, false
	}
	return LimitPrefix(ip), true
}
