package simnet

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// HostOptions of a host. The zero value is a host with one public address.
type HostOptions struct {
	// Addrs are the addresses of its interfaces, without loopback. Default: the next free public
	// IPv4 address (1.0.0.1 and so on), or behind a translating NAT the next free private one
	// (10.0.0.2 and so on).
	Addrs []netip.Addr
	// NAT is what it is behind. Hosts with the same one are behind the same box. Default: nothing.
	NAT *NAT
}

// Ports from which connections go out: Linux's.
const (
	firstEphemeral = 32768
	lastEphemeral  = 60999
)

// Host is a machine: addresses, sockets, and a process that may crash.
type Host struct {
	n      *Network
	name   string
	number int // as made
	addrs  []netip.Addr
	gate   *gateway
	paths  map[*Host]*path

	epoch int  // of the process: what an older one has made is dead
	down  bool // no process
	dark  bool // no power

	streams   map[pair]*stream     // that the kernel knows
	owned     map[*stream]struct{} // that the process has, and has not closed
	listeners []*listener
	conns     []*PacketConn
	ports     [2]map[uint16]int // in use, by proto
	lastPort  [2]uint16
}

// pair is what names a stream at one end.
type pair struct{ local, remote netip.AddrPort }

// Host adds a host. Names and addresses are taken once.
func (n *Network) Host(name string, o HostOptions) (*Host, error) {
	switch {
	case name == "":
		return nil, errors.New("simnet: a host without a name")
	case n.byName[name] != nil:
		return nil, fmt.Errorf("simnet: there is a host %q already", name)
	}
	h := &Host{n: n, name: name, number: len(n.hosts), paths: map[*Host]*path{}, streams: map[pair]*stream{}, owned: map[*stream]struct{}{}}
	for i := range h.ports {
		h.ports[i] = map[uint16]int{}
		h.lastPort[i] = lastEphemeral
	}
	g, fresh, err := n.gatewayOf(o.NAT)
	if err != nil {
		return nil, fmt.Errorf("%w (host %q)", err, name)
	}
	h.gate = g
	if h.addrs, err = n.addresses(o.Addrs, g); err != nil {
		return nil, fmt.Errorf("%w (host %q)", err, name)
	}
	if fresh {
		n.gateways = append(n.gateways, g)
		n.byNAT[o.NAT] = g
		if g.external.IsValid() {
			n.externals[g.external] = g
		}
	}
	n.hosts = append(n.hosts, h)
	n.byName[name] = h
	for _, a := range h.addrs {
		if g != nil {
			g.inside[a] = h
		}
		if g == nil || !g.translates(a) {
			n.outside[a] = h
		}
	}
	if g != nil {
		g.hosts = append(g.hosts, h)
	}
	return h, nil
}

// gatewayOf is the state of a NAT; fresh if this is its first host.
func (n *Network) gatewayOf(nat *NAT) (g *gateway, fresh bool, err error) {
	if nat == nil {
		return nil, false, nil
	}
	if g := n.byNAT[nat]; g != nil {
		return g, false, nil
	}
	if err := nat.check(); err != nil {
		return nil, false, err
	}
	g = &gateway{n: n, cfg: *nat, number: len(n.gateways), inside: map[netip.Addr]*Host{}}
	if g.number > 255 {
		return nil, false, errors.New("simnet: 256 NATs are the most")
	}
	if !nat.Firewall {
		g.external = nat.External.Unmap()
		if !nat.External.IsValid() {
			g.external = n.nextPublic()
		} else if n.taken(g.external) {
			return nil, false, fmt.Errorf("simnet: the external address %s is taken", g.external)
		}
	}
	return g, true, nil
}

func (n *Network) taken(a netip.Addr) bool { return n.outside[a] != nil || n.externals[a] != nil }

// addresses checks those that were asked for, or finds one.
func (n *Network) addresses(want []netip.Addr, g *gateway) ([]netip.Addr, error) {
	if len(want) == 0 {
		if g == nil || g.cfg.Firewall {
			return []netip.Addr{n.nextPublic()}, nil
		}
		return g.nextPrivate()
	}
	var all []netip.Addr
	for _, a := range want {
		a = a.Unmap()
		inner := g != nil && g.translates(a)
		switch {
		case !a.IsValid() || a.Zone() != "" || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast():
			return nil, fmt.Errorf("simnet: %s is no address for a host", a)
		case inner && !a.IsPrivate():
			return nil, fmt.Errorf("simnet: %s is not private, and its host is behind a NAT that translates", a)
		case slices.Contains(all, a), inner && g.inside[a] != nil, !inner && n.taken(a), !inner && g != nil && a == g.external:
			return nil, fmt.Errorf("simnet: the address %s is taken", a)
		}
		all = append(all, a)
	}
	return all, nil
}

// nextPublic is 1.0.0.1, 1.0.0.2 and so on.
func (n *Network) nextPublic() netip.Addr {
	for {
		n.lastPublic++
		c := n.lastPublic
		a := netip.AddrFrom4([4]byte{byte(c >> 24), byte(c >> 16), byte(c >> 8), byte(c)})
		if last := a.As4()[3]; last != 0 && last != 255 && !n.taken(a) {
			return a
		}
	}
}

// nextPrivate is 10.number.0.2 and so on.
func (g *gateway) nextPrivate() ([]netip.Addr, error) {
	for i := 2; i < 1<<16; i++ {
		a := netip.AddrFrom4([4]byte{10, byte(g.number), byte(i >> 8), byte(i)})
		if g.inside[a] == nil && byte(i) != 0 && byte(i) != 255 {
			return []netip.Addr{a}, nil
		}
	}
	return nil, errors.New("simnet: no private address is left")
}

// Name is the host's name.
func (h *Host) Name() string { return h.name }

// Addrs are the addresses of its interfaces, without loopback.
func (h *Host) Addrs() []netip.Addr { return slices.Clone(h.addrs) }

// External is the address that others see, if the host is behind a NAT that translates.
func (h *Host) External() (netip.Addr, bool) {
	if h.gate == nil || !h.gate.external.IsValid() {
		return netip.Addr{}, false
	}
	return h.gate.external, true
}

// Up says whether the host has a process that may use the network.
func (h *Host) Up() bool { return !h.down }

func (h *Host) has(a netip.Addr) bool { return slices.Contains(h.addrs, a) }

// addrOf is the first address of that family.
func (h *Host) addrOf(v4 bool) (netip.Addr, bool) {
	for _, a := range h.addrs {
		if a.Is4() == v4 {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// ephemeral finds a port that nobody uses.
func (h *Host) ephemeral(pr proto) (uint16, bool) {
	p := h.lastPort[pr]
	for range lastEphemeral - firstEphemeral + 1 {
		if p++; p > lastEphemeral {
			p = firstEphemeral
		}
		if h.ports[pr][p] == 0 {
			h.lastPort[pr] = p
			return p, true
		}
	}
	return 0, false
}

func (h *Host) take(pr proto, port uint16) { h.ports[pr][port]++ }

func (h *Host) release(pr proto, port uint16) {
	if h.ports[pr][port]--; h.ports[pr][port] <= 0 {
		delete(h.ports[pr], port)
	}
}

// inOrder are the host's streams in the order of their numbers.
func (h *Host) inOrder() []*stream {
	all := make([]*stream, 0, len(h.streams))
	for _, s := range h.streams { // order-free: sorted below
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *stream) int {
		return cmp.Or(cmp.Compare(a.num, b.num), cmp.Compare(a.ends.Direction, b.ends.Direction), a.local.Compare(b.local))
	})
	return all
}

// Crash kills the process: its listeners and streams vanish, and the kernel resets the streams at
// their other ends. What the process had made is dead: its conduits report nothing more until
// somebody closes them, and its transports fail with ErrDown, also after Restore.
func (h *Host) Crash() { h.die(false) }

// Vanish cuts the power: as Crash, but nobody hears of it. Who sends to the host gets no answer
// and times out, or gets a reset once the host is back.
func (h *Host) Vanish() { h.die(true) }

func (h *Host) die(dark bool) {
	h.dark = h.dark || dark
	if h.down {
		return
	}
	h.down = true
	h.epoch++
	for _, l := range slices.Clone(h.listeners) {
		l.die()
	}
	for _, s := range h.inOrder() {
		s.die(dark)
	}
	for s := range h.owned { // order-free: the kernel had forgotten them, nobody hears of it
		s.die(dark)
	}
	for _, c := range slices.Clone(h.conns) {
		_ = c.Close()
	}
}

// Restore starts a new process after Crash or Vanish. It has no listeners and no streams, and
// needs transports of its own.
func (h *Host) Restore() { h.down, h.dark = false, false }

// Forward lets everybody reach an inner endpoint of the host by a port of its NAT, as a port
// mapping made by hand or by UPnP does.
func (h *Host) Forward(network string, external uint16, inner netip.AddrPort) error {
	pr := tcpProto
	switch network {
	case "tcp":
	case "udp":
		pr = udp
	default:
		return fmt.Errorf("simnet: no ports of %q, want tcp or udp", network)
	}
	switch {
	case h.gate == nil || !h.gate.translates(inner.Addr()):
		return fmt.Errorf("simnet: %s of %s is not translated by a NAT", inner, h.name)
	case !h.has(inner.Addr()) || inner.Port() == 0 || external == 0:
		return fmt.Errorf("simnet: %s is no endpoint of %s, or port %d is none", inner, h.name, external)
	}
	out := netip.AddrPortFrom(h.gate.external, external)
	t := &h.gate.tables[pr]
	if m := t.byOut[out]; m != nil && !m.over(h.n.now(), h.gate.lifetime(pr)) {
		return fmt.Errorf("simnet: %s of the NAT is in use for %s", out, m.in)
	}
	t.add(&mapping{in: inner, out: out, allowed: map[netip.AddrPort]time.Time{}, static: true})
	return nil
}
