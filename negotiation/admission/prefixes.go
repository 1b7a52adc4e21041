package admission

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/troupe-p2p/troupe/addrs"
)

// PrefixConfig of Prefixes.
type PrefixConfig struct {
	// Conns is how many inbound connections one prefix may have at a time, half-open ones with
	// them (Limits.ConnsPerPrefix). 0: none.
	Conns int
	// Rate is how many new ones it may have in a second (Limits.NewConnsPerPrefix). 0: none.
	Rate int
	// Exempt prefixes are not counted (Limits.Exempt).
	Exempt []netip.Prefix
}

// maxRemembered is how many prefixes are remembered for their rate alone: they have no connection
// now, and have had a new one in the last second. It stops somebody with a whole IPv6 /32 from filling
// the table with prefixes that are used once. Who is forgotten has the allowance of a second again.
const maxRemembered = 1 << 13

// Prefixes counts inbound connections by where they come from, from when a transport hands them over
// until they have ended. An address costs an attacker more than a peer ID does. A prefix
// is what addrs.LimitPrefix says: an IPv4 address, or a /56 of IPv6. It is owned by whoever accepts.
//
//	Enter   one more, or why not
//	Leave   one less
//
// New ones are counted by a bucket that holds the allowance of one second and is filled evenly, so that
// a second that begins anywhere has at most twice the rate. What is refused costs nothing of it.
type Prefixes struct {
	cfg     PrefixConfig
	sources map[netip.Prefix]*origin // with connections, and at most maxRemembered without
	// Those without connections, first who has lost its last one first.
	head, tail *origin
	idle       int
}

// origin is one prefix.
type origin struct {
	prefix     netip.Prefix
	conns      int
	tokens     float64 // when it was at
	at         time.Time
	prev, next *origin // while conns is 0
}

// NewPrefixes returns books with nobody in them.
func NewPrefixes(cfg PrefixConfig) *Prefixes {
	return &Prefixes{cfg: cfg, sources: make(map[netip.Prefix]*origin)}
}

// PrefixError refuses a connection for where it comes from.
type PrefixError struct {
	// Limit is the field of Limits: "ConnsPerPrefix" or "NewConnsPerPrefix".
	Limit string
	// Source holds the Cap connections, or has opened as many in a second.
	Source netip.Prefix
	Cap    int
}

func (e *PrefixError) Error() string {
	if e.Limit == limitNew {
		return fmt.Sprintf("limit: %v opens more than %d connections in a second (Limits.%s)", e.Source, e.Cap, e.Limit)
	}
	return fmt.Sprintf("limit: %v holds %d of %d connections of one prefix (Limits.%s)", e.Source, e.Cap, e.Cap, e.Limit)
}

const (
	limitConns = "ConnsPerPrefix"
	limitNew   = "NewConnsPerPrefix"
)

// Enter counts one more connection from ip. It returns the prefix to give to Leave, which is not valid
// if the connection is not counted: ip is exempt, or is none.
func (p *Prefixes) Enter(now time.Time, ip netip.Addr) (netip.Prefix, error) {
	p.expire(now)
	ip = ip.Unmap().WithZone("")
	if !ip.IsValid() {
		return netip.Prefix{}, nil
	}
	for _, e := range p.cfg.Exempt {
		if e.Contains(ip) {
			return netip.Prefix{}, nil
		}
	}
	prefix := addrs.LimitPrefix(ip)
	o := p.sources[prefix]
	switch {
	case o != nil && o.conns >= p.cfg.Conns || p.cfg.Conns <= 0:
		return netip.Prefix{}, &PrefixError{Limit: limitConns, Source: prefix, Cap: p.cfg.Conns}
	case o != nil && o.fill(now, p.cfg.Rate) < 1 || p.cfg.Rate <= 0:
		return netip.Prefix{}, &PrefixError{Limit: limitNew, Source: prefix, Cap: p.cfg.Rate}
	case o == nil:
		o = &origin{prefix: prefix, tokens: float64(p.cfg.Rate), at: now}
		p.sources[prefix] = o
	case o.conns == 0:
		p.unlink(o)
	}
	o.conns++
	o.tokens--
	return prefix, nil
}

// Leave counts off a connection of a prefix that Enter has returned.
func (p *Prefixes) Leave(prefix netip.Prefix) {
	o := p.sources[prefix]
	if o == nil || o.conns == 0 {
		return
	}
	if o.conns--; o.conns > 0 {
		return
	}
	o.prev = p.tail
	if p.tail != nil {
		p.tail.next = o
	} else {
		p.head = o
	}
	p.tail = o
	p.idle++
	if p.idle > maxRemembered {
		p.forget(p.head)
	}
}

// Held is how many connections a prefix has.
func (p *Prefixes) Held(prefix netip.Prefix) int {
	if o := p.sources[prefix]; o != nil {
		return o.conns
	}
	return 0
}

// Len is the number of prefixes that are known, Remembered of those without a connection.
func (p *Prefixes) Len() int { return len(p.sources) }

// Remembered is the number of prefixes that are known for their rate alone.
func (p *Prefixes) Remembered() int { return p.idle }

// fill returns what is in the bucket.
func (o *origin) fill(now time.Time, rate int) float64 {
	if passed := now.Sub(o.at); passed > 0 {
		o.tokens = min(float64(rate), o.tokens+float64(rate)*passed.Seconds())
		o.at = now
	}
	return o.tokens
}

// expire forgets those whose buckets have become full: they are as good as unknown.
func (p *Prefixes) expire(now time.Time) {
	for p.head != nil && now.Sub(p.head.at) >= time.Second {
		p.forget(p.head)
	}
}

func (p *Prefixes) forget(o *origin) {
	p.unlink(o)
	delete(p.sources, o.prefix)
}

func (p *Prefixes) unlink(o *origin) {
	if o.prev != nil {
		o.prev.next = o.next
	} else {
		p.head = o.next
	}
	if o.next != nil {
		o.next.prev = o.prev
	} else {
		p.tail = o.prev
	}
	o.prev, o.next = nil, nil
	p.idle--
}
