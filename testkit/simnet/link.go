package simnet

import (
	"fmt"
	"time"
)

const (
	// DefaultWindow is what a link without Link.Window uses.
	DefaultWindow = 256 << 10
	// maxSegment is the most bytes that travel as one, and so the most that one Offer carries.
	maxSegment = 64 << 10
	// minRTO and maxRTO bound the wait for the next try of what was lost. Kernels go up to two
	// minutes; here a healed network is soon healed.
	minRTO = 200 * time.Millisecond
	maxRTO = 5 * time.Second
	// maxBacklog is how much time's worth of bytes may wait for a slow link: more datagrams are
	// dropped, as a router drops them.
	maxBacklog = 2 * time.Second
)

// Link is one direction between two hosts. The zero value is a perfect one.
type Link struct {
	// Latency is how long a packet travels. Default 0.
	Latency time.Duration
	// Jitter is the most that chance adds to Latency. Default 0.
	Jitter time.Duration
	// Bandwidth in bytes a second; payloads count, headers do not. Default 0: no limit.
	Bandwidth int
	// Loss is the part of segments and datagrams that are lost, 0 to 1. A stream's lost segment
	// is sent again and comes later. Default 0.
	Loss float64
	// Window is how many bytes of a stream may be under way or wait for their reader. A stream
	// takes it from the link when it is opened. Default 256 KiB.
	Window int
}

func (l Link) check() error {
	switch {
	case l.Latency < 0 || l.Jitter < 0:
		return fmt.Errorf("simnet: a link from the future: latency %v, jitter %v", l.Latency, l.Jitter)
	case l.Bandwidth < 0:
		return fmt.Errorf("simnet: bandwidth %d, want bytes a second or 0", l.Bandwidth)
	case !(l.Loss >= 0 && l.Loss <= 1): // which a NaN is not either
		return fmt.Errorf("simnet: loss %v, want a part between 0 and 1", l.Loss)
	case l.Window < 0:
		return fmt.Errorf("simnet: window of %d bytes", l.Window)
	}
	return nil
}

// path is the state of one direction between two hosts.
type path struct {
	from, to *Host
	own      *Link // nil: the default
	cut      bool
	busy     time.Time // until then the wire is full
}

func (n *Network) path(from, to *Host) *path {
	p := from.paths[to]
	if p == nil {
		p = &path{from: from, to: to}
		from.paths[to] = p
	}
	return p
}

func (p *path) link() Link {
	switch {
	case p.own != nil:
		return *p.own
	case p.from == p.to:
		return Link{}
	}
	return p.from.n.def
}

// blocked says that what arrives now is lost.
func (p *path) blocked() bool { return p.cut || p.to.dark }

// window of a stream that is opened now.
func (p *path) window() int {
	if w := p.link().Window; w > 0 {
		return w
	}
	return DefaultWindow
}

// send takes size bytes at once: when the last of them has left, and when it arrives.
func (p *path) send(size int) (left, due time.Time) {
	n, l := p.from.n, p.link()
	left = n.now()
	if l.Bandwidth > 0 {
		if p.busy.After(left) {
			left = p.busy
		}
		left = left.Add(time.Duration(float64(size) / float64(l.Bandwidth) * float64(time.Second)))
		p.busy = left
	}
	return left, left.Add(l.Latency + n.upTo(l.Jitter))
}

// full says that a router would drop a datagram rather than queue it.
func (p *path) full() bool {
	n := p.from.n
	return p.link().Bandwidth > 0 && p.busy.Sub(n.now()) > maxBacklog
}

// travel is how long something without size needs.
func (p *path) travel() time.Duration {
	l := p.link()
	return l.Latency + p.from.n.upTo(l.Jitter)
}

func (p *path) lost() bool { return p.from.n.chance(p.link().Loss) }

// rto is how long a sender waits before it sends again for the first time.
func (p *path) rto() time.Duration {
	there, back := p.link(), p.from.n.path(p.to, p.from).link()
	return max(minRTO, 2*(there.Latency+there.Jitter+back.Latency+back.Jitter))
}

// backoff is the wait after wait.
func backoff(wait time.Duration) time.Duration { return max(wait, min(2*wait, maxRTO)) }
