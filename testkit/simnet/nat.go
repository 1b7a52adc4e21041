package simnet

import (
	"fmt"
	"net/netip"
	"time"
)

// Behavior is one of RFC 4787's, for mapping (section 4.1) and for filtering (section 5).
type Behavior uint8

// The behaviors.
const (
	// EndpointIndependent: one mapping for all destinations; anybody may answer.
	EndpointIndependent Behavior = iota
	// AddressDependent: one mapping for each address; addresses that were written to may answer.
	AddressDependent
	// AddressPortDependent: one mapping for each address and port; only these may answer.
	AddressPortDependent
)

func (b Behavior) String() string {
	switch b {
	case EndpointIndependent:
		return "endpoint-independent"
	case AddressDependent:
		return "address-dependent"
	case AddressPortDependent:
		return "address-and-port-dependent"
	}
	return "unknown"
}

const (
	// udpLifetime is the least that RFC 4787 (REQ-5) allows, which is what many do.
	udpLifetime = 2 * time.Minute
	// tcpLifetime is the least that RFC 5382 (REQ-5) allows for an established connection.
	tcpLifetime = 2*time.Hour + 4*time.Minute
	// maxMappings is how many ports one NAT has to give for each protocol.
	maxMappings = 1<<16 - firstMapped
	firstMapped = 1024
)

// NAT is a box between its hosts and everybody else: a network address translator, or with
// Firewall a stateful filter. It is described before the first host is put behind it; changes after
// that have no effect. The zero value is the most permissive translator. The hosts behind one NAT
// reach each other directly. IPv6 addresses are filtered and not translated.
type NAT struct {
	// Mapping says when destinations share an external port. A "symmetric" NAT is
	// AddressPortDependent in both.
	Mapping Behavior
	// Filtering says who may send to a mapping from outside.
	Filtering Behavior
	// Hairpin lets hosts behind the NAT reach each other by their external endpoints. They see
	// each other's external addresses (RFC 4787 REQ-9).
	Hairpin bool
	// PortPreserving gives a mapping the port that the host uses, if it is free. Default: a port
	// by chance.
	PortPreserving bool
	// Lifetime is how long a mapping lasts after the last packet outward. Default: 2 minutes for
	// datagrams, 2 hours and 4 minutes for streams.
	Lifetime time.Duration
	// Firewall leaves addresses as they are: only Filtering and Lifetime count.
	Firewall bool
	// External is the address of the outer side. Default: the next free public one.
	External netip.Addr
}

func (c *NAT) check() error {
	switch {
	case c.Mapping > AddressPortDependent || c.Filtering > AddressPortDependent:
		return fmt.Errorf("simnet: NAT with mapping %d and filtering %d", c.Mapping, c.Filtering)
	case c.Lifetime < 0:
		return fmt.Errorf("simnet: NAT with a lifetime of %v", c.Lifetime)
	case c.Firewall && (c.Mapping != EndpointIndependent || c.Hairpin || c.PortPreserving || c.External.IsValid()):
		return fmt.Errorf("simnet: a firewall does not translate: leave Mapping, Hairpin, PortPreserving and External alone")
	case c.External.IsValid() && !c.External.Unmap().Is4():
		return fmt.Errorf("simnet: NAT with the external address %s, want IPv4", c.External)
	}
	return nil
}

// gateway is the state of a NAT.
type gateway struct {
	n        *Network
	cfg      NAT
	number   int
	external netip.Addr // invalid for a firewall
	inside   map[netip.Addr]*Host
	hosts    []*Host
	tables   [2]natTable // by proto
}

// translates says whether the address is one of the inner realm.
func (g *gateway) translates(a netip.Addr) bool { return !g.cfg.Firewall && a.Is4() }

func (g *gateway) lifetime(pr proto) time.Duration {
	switch {
	case g.cfg.Lifetime > 0:
		return g.cfg.Lifetime
	case pr == udp:
		return udpLifetime
	}
	return tcpLifetime
}

// mapping is a hole in a NAT. Its zero port is no mapping.
type mapping struct {
	key     natKey
	in, out netip.AddrPort
	used    time.Time // the last packet outward
	allowed map[netip.AddrPort]time.Time
	swept   int
	static  bool // made by hand
}

// natKey is what decides which mapping a packet outward uses.
type natKey struct {
	in, to netip.AddrPort
}

type natTable struct {
	byKey   map[natKey]*mapping
	byOut   map[netip.AddrPort]*mapping
	swept   int              // mappings after the last sweep
	replies map[natKey]reply // to whom came in by a mapping that packets to them would not use
	kept    int              // replies after the last sweep
}

// reply is how an answer goes out: as the question came in.
type reply struct {
	m    *mapping
	used time.Time
}

// part is what the behavior looks at in a remote endpoint.
func (b Behavior) part(ap netip.AddrPort) netip.AddrPort {
	switch b {
	case EndpointIndependent:
		return netip.AddrPort{}
	case AddressDependent:
		return netip.AddrPortFrom(ap.Addr(), 0)
	default:
		return ap
	}
}

// outward lets a packet from src to dst through and says where it seems to come from. It fails if
// no port is left.
func (g *gateway) outward(pr proto, src, dst netip.AddrPort) (netip.AddrPort, bool) {
	now, life := g.n.now(), g.lifetime(pr)
	t := &g.tables[pr]
	key := natKey{in: src, to: g.cfg.Mapping.part(dst)}
	m := t.byKey[key]
	if r, ok := t.replies[natKey{src, dst}]; ok && now.Sub(r.used) <= life && t.byOut[r.m.out] == r.m {
		t.replies[natKey{src, dst}] = reply{r.m, now}
		m = r.m
	}
	if m != nil && m.over(now, life) {
		t.drop(m)
		m = nil
	}
	if m == nil {
		t.sweep(now, life)
		out, ok := g.port(pr, src, now)
		if !ok {
			return netip.AddrPort{}, false
		}
		m = &mapping{key: key, in: src, out: out, allowed: map[netip.AddrPort]time.Time{}}
		t.add(m)
	}
	m.used = now
	m.allow(g.cfg.Filtering.part(dst), now, life)
	return m.out, true
}

// inward says which inner endpoint a packet from src to dst is for, if it may pass.
func (g *gateway) inward(pr proto, src, dst netip.AddrPort) (netip.AddrPort, bool) {
	now, life := g.n.now(), g.lifetime(pr)
	t := &g.tables[pr]
	m := t.byOut[dst]
	switch {
	case m == nil:
		return netip.AddrPort{}, false
	case m.over(now, life):
		t.drop(m)
		return netip.AddrPort{}, false
	}
	if last, ok := m.allowed[g.cfg.Filtering.part(src)]; !m.static && (!ok || now.Sub(last) > life) {
		return netip.AddrPort{}, false
	}
	if t.byKey[natKey{m.in, g.cfg.Mapping.part(src)}] != m {
		t.expect(natKey{m.in, src}, reply{m, now}, life)
	}
	return m.in, true
}

func (t *natTable) expect(k natKey, r reply, life time.Duration) {
	if t.replies == nil {
		t.replies = map[natKey]reply{}
	}
	t.replies[k] = r
	if len(t.replies) <= 2*t.kept+16 {
		return
	}
	for k, old := range t.replies { // order-free: the expired go
		if r.used.Sub(old.used) > life {
			delete(t.replies, k)
		}
	}
	t.kept = len(t.replies)
}

// over says that the mapping has ended.
func (m *mapping) over(now time.Time, life time.Duration) bool {
	return !m.static && now.Sub(m.used) > life
}

func (m *mapping) allow(remote netip.AddrPort, now time.Time, life time.Duration) {
	m.allowed[remote] = now
	if len(m.allowed) <= 2*m.swept+16 {
		return
	}
	for r, last := range m.allowed { // order-free: the expired go
		if now.Sub(last) > life {
			delete(m.allowed, r)
		}
	}
	m.swept = len(m.allowed)
}

// port finds the outer endpoint of a new mapping.
func (g *gateway) port(pr proto, in netip.AddrPort, now time.Time) (netip.AddrPort, bool) {
	if !g.translates(in.Addr()) {
		return in, true
	}
	t := &g.tables[pr]
	free := func(port uint16) (netip.AddrPort, bool) {
		out := netip.AddrPortFrom(g.external, port)
		m := t.byOut[out]
		if m != nil && m.over(now, g.lifetime(pr)) {
			t.drop(m)
			m = nil
		}
		return out, m == nil
	}
	if g.cfg.PortPreserving {
		if out, ok := free(in.Port()); ok {
			return out, true
		}
	}
	if len(t.byOut) >= maxMappings {
		return netip.AddrPort{}, false
	}
	first := g.n.s.Uint64() % maxMappings
	for i := range uint64(maxMappings) {
		if out, ok := free(uint16(firstMapped + (first+i)%maxMappings)); ok {
			return out, true
		}
	}
	return netip.AddrPort{}, false
}

func (t *natTable) add(m *mapping) {
	if t.byKey == nil {
		t.byKey, t.byOut = map[natKey]*mapping{}, map[netip.AddrPort]*mapping{}
	}
	if !m.static {
		t.byKey[m.key] = m
	}
	t.byOut[m.out] = m
}

func (t *natTable) drop(m *mapping) {
	if t.byKey[m.key] == m {
		delete(t.byKey, m.key)
	}
	if t.byOut[m.out] == m {
		delete(t.byOut, m.out)
	}
}

// sweep keeps the table as small as what is alive.
func (t *natTable) sweep(now time.Time, life time.Duration) {
	if n := len(t.byOut); n <= 2*t.swept+16 && n < maxMappings {
		return
	}
	for _, m := range t.byOut { // order-free: the expired go
		if m.over(now, life) {
			t.drop(m)
		}
	}
	t.swept = len(t.byOut)
}

// RebootNAT makes a NAT forget its mappings, as one that was switched off and on, but for those
// made by Forward.
func (n *Network) RebootNAT(nat *NAT) error {
	g := n.byNAT[nat]
	if g == nil {
		return fmt.Errorf("simnet: no host is behind this NAT")
	}
	for i := range g.tables {
		t := &g.tables[i]
		for _, m := range t.byOut { // order-free: all go but the static ones
			if !m.static {
				t.drop(m)
			}
		}
	}
	return nil
}
