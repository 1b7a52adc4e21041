package addrs

import (
	"net/netip"

	ma "github.com/multiformats/go-multiaddr"
)

// Announcement is what a node may say about where it is.
type Announcement struct {
	// Listen are the bound addresses. Unspecified hosts are replaced by Interfaces.
	Listen []ma.Multiaddr
	// Interfaces are the IP addresses of this machine.
	Interfaces []netip.Addr
	// Announce are addresses that the user says lead here. They come first.
	Announce []ma.Multiaddr
	// NoAnnounce are not told to anybody: each entry stands for all addresses that begin with
	// it, and one that ends in /ipcidr for all IPs of that block.
	NoAnnounce []ma.Multiaddr
}

// Advertised is what to tell a peer that is seen at an address of the scope viewer. None has a /p2p
// at its end, none is unspecified, none is there twice; the order is that of Announce and Listen.
//
// What cannot work for the viewer is left out: loopback for all but this machine, link-local for
// all beyond this network. Private addresses are told to public peers as well: it is how two
// peers behind one NAT find the short way.
func (n Announcement) Advertised(viewer Scope) []ma.Multiaddr {
	own := append(append([]ma.Multiaddr(nil), n.Announce...), ExpandUnspecified(n.Listen, n.Interfaces)...)
	var out []ma.Multiaddr
	for _, a := range own {
		a, _, err := SplitPeer(a)
		if err != nil || len(a) == 0 || !useful(a, viewer) || matchesAny(a, n.NoAnnounce) {
			continue
		}
		out = append(out, a)
	}
	return Unique(out)
}

func useful(a ma.Multiaddr, viewer Scope) bool {
	switch ScopeOf(a) {
	case Unspecified:
		return false
	case InProcess:
		return viewer == InProcess
	case Loopback:
		return here(viewer)
	case LinkLocal:
		return near(viewer)
	default:
		return true
	}
}

// Heard is the part of claimed that a peer, seen at an address of the scope speaker, can know to be
// its own. Nobody on the internet can say what listens on our loopback or in our network; a node
// that believes it can be made to dial its own neighbours.
func Heard(claimed []ma.Multiaddr, speaker Scope) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, a := range claimed {
		ok := false
		switch ScopeOf(a) {
		case Public, Named, Unknown:
			ok = true
		case Private, LinkLocal, Reserved:
			ok = near(speaker)
		case Loopback:
			ok = here(speaker)
		case InProcess:
			ok = speaker == InProcess
		case Unspecified: // an address to listen on
		}
		if ok {
			out = append(out, a)
		}
	}
	return out
}

// here: on this machine. near: on this machine or in a network that is not the internet, which
// in laboratories may well be numbered from a reserved block.
func here(s Scope) bool { return s == Loopback || s == InProcess }

func near(s Scope) bool { return here(s) || s == LinkLocal || s == Private || s == Reserved }

// ExpandUnspecified replaces addresses on all interfaces (0.0.0.0, ::) by one for each IP of the
// same family. Others stay. IPv6 link-local addresses are left out: without their zone, which means
// nothing elsewhere, they cannot be dialled.
func ExpandUnspecified(listen []ma.Multiaddr, interfaces []netip.Addr) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, a := range listen {
		wild, ok := IP(a)
		if !ok || !wild.IsUnspecified() {
			out = append(out, a)
			continue
		}
		i := host(a)
		for _, ip := range interfaces {
			ip = ip.Unmap()
			if !ip.IsValid() || ip.Is4() != wild.Is4() || ip.IsUnspecified() || ip.Is6() && ip.IsLinkLocalUnicast() {
				continue
			}
			if c, err := ma.NewComponent(a[i].Protocol().Name, ip.WithZone("").String()); err == nil {
				out = append(out, join(ma.Multiaddr{*c}, a[i+1:]))
			}
		}
	}
	return Unique(out)
}

// Unique drops later copies of the same address.
func Unique(all []ma.Multiaddr) []ma.Multiaddr {
	seen := make(map[string]bool, len(all))
	out := all[:0:0]
	for _, a := range all {
		if key := string(a.Bytes()); !seen[key] {
			seen[key] = true
			out = append(out, a)
		}
	}
	return out
}

func matchesAny(a ma.Multiaddr, patterns []ma.Multiaddr) bool {
	for _, p := range patterns {
		if matches(a, p) {
			return true
		}
	}
	return false
}

// matches reports whether a begins with the pattern, or lies in the block of a pattern of the form
// /ip4/10.0.0.0/ipcidr/8 (or ip6).
func matches(a, pattern ma.Multiaddr) bool {
	if block, ok := cidr(pattern); ok {
		ip, ok := IP(a)
		return ok && block.Contains(ip.WithZone(""))
	}
	if len(pattern) == 0 || len(pattern) > len(a) {
		return false
	}
	for i := range pattern {
		if !pattern[i].Equal(&a[i]) {
			return false
		}
	}
	return true
}

func cidr(a ma.Multiaddr) (netip.Prefix, bool) {
	ip, ok := IP(a)
	if n := len(a); !ok || n != 2 || a[1].Code() != ma.P_IPCIDR {
		return netip.Prefix{}, false
	}
	p, err := ip.Prefix(int(a[1].RawValue()[0]))
	return p, err == nil
}
