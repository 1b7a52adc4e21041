package simnet

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Scheduler is the world's queue of events, its clock and its dice. *actors.Simulation is one.
type Scheduler interface {
	Now() time.Time
	// At runs f once at t, or as soon as possible if t has passed, in a turn of its own and
	// never on the caller's stack. stop prevents a call that has not begun.
	At(t time.Time, f func()) (stop func())
	Uint64() uint64
}

const (
	// DefaultStreamTimeout is shorter than what kernels allow (about 15 minutes), so that a
	// world sees streams break.
	DefaultStreamTimeout = 2 * time.Minute
	// DefaultDialTimeout is package tcp's.
	DefaultDialTimeout = 5 * time.Second
)

// Network is the hosts and what is between them. It belongs to the Scheduler's turns.
type Network struct {
	// StreamTimeout is how long sent bytes may stay unacknowledged until their stream breaks.
	// Default 2 minutes.
	StreamTimeout time.Duration

	s          Scheduler
	def        Link
	hosts      []*Host // as made
	byName     map[string]*Host
	outside    map[netip.Addr]*Host    // addresses that everybody can name
	externals  map[netip.Addr]*gateway // of NATs
	gateways   []*gateway              // as made
	byNAT      map[*NAT]*gateway
	rules      []*Rule
	observers  []func(Delivery)
	lastPublic uint32
	lastStream uint64
}

// New makes an empty network. Its default link has no latency and loses nothing.
func New(s Scheduler) *Network {
	return &Network{
		StreamTimeout: DefaultStreamTimeout,
		s:             s,
		byName:        map[string]*Host{},
		outside:       map[netip.Addr]*Host{},
		externals:     map[netip.Addr]*gateway{},
		byNAT:         map[*NAT]*gateway{},
		lastPublic:    1 << 24, // 1.0.0.0
	}
}

// Hosts are all hosts in the order in which they were made.
func (n *Network) Hosts() []*Host { return append([]*Host(nil), n.hosts...) }

// HostByName finds a host; nil if there is none of that name.
func (n *Network) HostByName(name string) *Host { return n.byName[name] }

var errForeign = errors.New("simnet: a host of another network, or none")

// mine panics if one of the hosts is not of this network: a bug of the caller.
func (n *Network) mine(hosts ...*Host) {
	for _, h := range hosts {
		if h == nil || h.n != n {
			panic(errForeign)
		}
	}
}

// SetDefault sets the link between all hosts for which SetLink was not called. A host's link to
// itself is not among them.
func (n *Network) SetDefault(l Link) error {
	if err := l.check(); err != nil {
		return err
	}
	n.def = l
	return nil
}

// SetLink sets the link of one direction. What is on its way already is not affected.
func (n *Network) SetLink(from, to *Host, l Link) error {
	n.mine(from, to)
	if err := l.check(); err != nil {
		return fmt.Errorf("%w (from %s to %s)", err, from.name, to.name)
	}
	n.path(from, to).own = &l
	return nil
}

// LinkOf is the link of one direction.
func (n *Network) LinkOf(from, to *Host) Link {
	n.mine(from, to)
	return n.path(from, to).link()
}

// Partition cuts everything between the hosts of a and those of b, both ways. What is under way is
// lost; streams send it again until the cut is healed or StreamTimeout has passed.
func (n *Network) Partition(a, b []*Host) {
	n.PartitionOneWay(a, b)
	n.PartitionOneWay(b, a)
}

// PartitionOneWay cuts the one direction.
func (n *Network) PartitionOneWay(from, to []*Host) { n.cut(from, to, true) }

// Heal ends all partitions.
func (n *Network) Heal() {
	for _, from := range n.hosts {
		for _, p := range from.paths { // order-free: each is set to the same
			p.cut = false
		}
	}
}

// HealBetween ends what cuts the hosts of a from those of b, both ways.
func (n *Network) HealBetween(a, b []*Host) {
	n.cut(a, b, false)
	n.cut(b, a, false)
}

func (n *Network) cut(from, to []*Host, cut bool) {
	n.mine(from...)
	n.mine(to...)
	for _, f := range from {
		for _, t := range to {
			if f != t {
				n.path(f, t).cut = cut
			}
		}
	}
}

// Reaches says whether packets pass from one host to the other: no partition, and no dark host.
// NATs are not asked.
func (n *Network) Reaches(from, to *Host) bool {
	n.mine(from, to)
	return !from.dark && !n.path(from, to).blocked()
}

func (n *Network) now() time.Time { return n.s.Now() }

func (n *Network) after(d time.Duration, f func()) (stop func()) {
	return n.s.At(n.now().Add(d), f)
}

// soon runs f in a turn of its own, now.
func (n *Network) soon(f func()) { n.s.At(n.now(), f) }

// upTo draws a duration between 0 and d, both included.
func (n *Network) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(n.s.Uint64() % (uint64(d) + 1))
}

// chance draws true with probability p.
func (n *Network) chance(p float64) bool {
	return p > 0 && float64(n.s.Uint64()>>11)/(1<<53) < p
}
