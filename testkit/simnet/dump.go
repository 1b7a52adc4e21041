package simnet

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// String is Dump's text.
func (n *Network) String() string {
	var b strings.Builder
	n.Dump(&b)
	return b.String()
}

// Dump writes the state of everything, the same for the same state: hosts in the order of their
// names, what each listens on, its streams and who waits for what, partitions, NATs and faults.
func (n *Network) Dump(out io.Writer) {
	hosts := slices.Clone(n.hosts)
	slices.SortFunc(hosts, func(a, b *Host) int { return strings.Compare(a.name, b.name) })
	for _, h := range hosts {
		h.dump(out)
	}
	for _, from := range hosts {
		var to []string
		for _, h := range hosts {
			if p := from.paths[h]; p != nil && p.cut {
				to = append(to, h.name)
			}
		}
		if len(to) > 0 {
			fmt.Fprintf(out, "cut: %s to %s\n", from.name, strings.Join(to, ", "))
		}
	}
	for _, g := range n.gateways {
		g.dump(out)
	}
	for _, r := range n.rules {
		fmt.Fprintf(out, "fault %q: %s", r.Name, r.Do)
		if r.K > 0 {
			fmt.Fprintf(out, " number %d", r.K)
		}
		fmt.Fprintf(out, ", %d matched, %d hit\n", r.matched, r.hits)
	}
}

func (h *Host) dump(out io.Writer) {
	state := "up"
	switch {
	case h.dark:
		state = "dark"
	case h.down:
		state = "down"
	}
	fmt.Fprintf(out, "host %s: %s", h.name, state)
	for _, a := range h.addrs {
		fmt.Fprintf(out, " %s", a)
	}
	if h.gate != nil {
		fmt.Fprintf(out, " behind NAT %d", h.gate.number)
	}
	fmt.Fprintln(out)
	for _, l := range h.listeners {
		fmt.Fprintf(out, "  listens on tcp %s, %d wait to be accepted\n", l.at, len(l.waiting)+l.half)
	}
	for _, c := range h.conns {
		fmt.Fprintf(out, "  listens on udp %s, %d under way\n", c.at, c.flying)
	}
	for _, s := range h.inOrder() {
		s.dump(out)
	}
}

func (s *stream) dump(out io.Writer) {
	var flying int
	for _, g := range s.out.q[s.out.head:] {
		if g.b != nil {
			flying += len(g.b.B)
		}
	}
	fmt.Fprintf(out, "  stream %d %s %s to %s, %s", s.num, s.ends.Direction, s.local, s.remote, s.state)
	if s.closed {
		fmt.Fprint(out, ", closed")
	}
	fmt.Fprintf(out, ": sent %d, %d under way; got %d, %d unread", s.out.sent, flying, s.used, s.in.n)
	for _, why := range s.waits() {
		fmt.Fprintf(out, "; %s", why)
	}
	fmt.Fprintln(out)
}

// waits says what the stream waits for.
func (s *stream) waits() (all []string) {
	if s.out.head < len(s.out.q) && s.out.q[s.out.head].wait > 0 {
		g := s.out.q[s.out.head]
		all = append(all, fmt.Sprintf("sends again since %v", s.n.now().Sub(g.at)))
	}
	if s.out.ackStop != nil {
		all = append(all, fmt.Sprintf("no acknowledgement since %v", s.n.now().Sub(s.out.since)))
	}
	if s.state == open && s.out.room() == 0 {
		all = append(all, "writer waits for the remote to read")
	}
	if s.draining {
		all = append(all, fmt.Sprintf("drains %d more", len(s.rest)))
	}
	switch {
	case s.sink == nil && s.state == open && !s.closed:
		all = append(all, "has no owner")
	case s.in.n > 0 && s.credits <= 0:
		all = append(all, "reader has no credit")
	}
	if s.broken != nil && !s.closed {
		all = append(all, "broken: "+s.broken.Error())
	}
	return all
}

func (g *gateway) dump(out io.Writer) {
	if g.cfg.Firewall {
		fmt.Fprintf(out, "NAT %d: firewall, filtering %s", g.number, g.cfg.Filtering)
	} else {
		fmt.Fprintf(out, "NAT %d: %s, mapping %s, filtering %s", g.number, g.external, g.cfg.Mapping, g.cfg.Filtering)
	}
	fmt.Fprintln(out)
	for pr := range g.tables {
		for _, m := range g.tables[pr].sorted() {
			if !m.over(g.n.now(), g.lifetime(proto(pr))) {
				fmt.Fprintf(out, "  %s %s is %s\n", proto(pr), m.in, m.out)
			}
		}
	}
}

func (t *natTable) sorted() []*mapping {
	var all []*mapping
	for _, m := range t.byOut { // order-free: sorted below
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *mapping) int { return a.out.Compare(b.out) })
	return all
}
