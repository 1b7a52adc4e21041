package main

import (
	"net"
	"net/netip"
	"slices"
)

// interfaces are this machine's IP addresses, loopback first, and 127.0.0.1 in any case.
func interfaces() []netip.Addr {
	own := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	all, _ := net.InterfaceAddrs() // without them there is still loopback
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				own = append(own, ip.Unmap())
			}
		}
	}
	slices.SortStableFunc(own, func(a, b netip.Addr) int { return rank(a) - rank(b) })
	return own
}

func rank(ip netip.Addr) int {
	if ip.IsLoopback() {
		return 0
	}
	return 1
}
