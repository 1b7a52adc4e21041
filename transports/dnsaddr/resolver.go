package dnsaddr

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/clean"
	"github.com/troupe-p2p/troupe/internal/rawaddr"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	ma "github.com/multiformats/go-multiaddr"
	madns "github.com/multiformats/go-multiaddr-dns"
)

// Error is the error of this package; errors.Is and errors.As see through it, to *net.DNSError
// too.
type Error = fault.Error

var (
	// ErrNoAddress: the names exist, and no address came of them.
	ErrNoAddress = errors.New("no address for this name")
	// ErrDepth: names lead to names, and MaxDepth was not enough.
	ErrDepth = errors.New("names lead to names too often")
	// ErrTooMany: more look-ups are needed than one name is worth.
	ErrTooMany = errors.New("too many look-ups")
)

// Resolver resolves the names in multiaddrs. It keeps nothing between calls: caching is the
// system resolver's business.
type Resolver struct {
	rt    *actors.Runtime
	cfg   Config
	names *madns.Resolver
}

// New makes a resolver. Its goroutines are pumps of rt.
func New(rt *actors.Runtime, cfg Config) *Resolver {
	r := &Resolver{rt: rt, cfg: cfg.withDefaults(), names: madns.DefaultResolver}
	if cfg.Lookup != nil {
		r.names, _ = madns.NewResolver(madns.WithDefaultResolver(cfg.Lookup)) // this option cannot fail
	}
	return r
}

// NeedsResolving says whether a holds a name.
func NeedsResolving(a ma.Multiaddr) bool { return madns.Matches(a) }

// Start resolves a and calls done exactly once, from another goroutine. When ctx ends first, done
// gets ctx's error.
func (r *Resolver) Start(ctx context.Context, a ma.Multiaddr, done func([]ma.Multiaddr, error)) {
	told := false
	r.rt.Pump("resolve "+a.String(), func() {
		addrs, err := r.Resolve(ctx, a)
		told = true
		done(addrs, err)
	}, func(pe *actors.PanicError) {
		if !told {
			r.rt.Pump("resolve "+a.String(), func() { done(nil, pe) }, func(*actors.PanicError) {})
		}
	})
}

// Resolve is Start for those who may wait: tasks and programs. An address without a name is its
// own result. Addresses that a /p2p/ID in a does not fit are left out, so whoever wants one peer
// of a dnsaddr that lists many puts its ID behind the name. The order is that of the answers.
func (r *Resolver) Resolve(ctx context.Context, a ma.Multiaddr) ([]ma.Multiaddr, error) {
	if !NeedsResolving(a) {
		return []ma.Multiaddr{a}, nil
	}
	within, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	s := search{r: r, asked: map[string]bool{}, found: map[string]bool{}}
	s.queue(a)
	for depth := 0; len(s.next) > 0 && len(s.result) < MaxAddrs; depth++ {
		if depth == MaxDepth {
			s.failed(ErrDepth)
			break
		}
		s.round(within)
		if ctx.Err() != nil {
			return nil, fail(fault.Local, a, fault.Canceled(ctx))
		}
		if within.Err() != nil {
			s.failed(fmt.Errorf("no answer within %s: %w", r.cfg.Timeout, context.DeadlineExceeded))
			break
		}
	}
	if len(s.result) > 0 {
		return s.result, nil // what did not resolve is made up for
	}
	err := s.err
	if err == nil {
		err = ErrNoAddress
	}
	return nil, fail(origin(err), a, err)
}

func fail(o fault.Origin, a ma.Multiaddr, err error) error {
	return &Error{Transport: "dns", Origin: o, Op: "resolve", Addr: a, Err: err}
}

func origin(err error) fault.Origin {
	var pe *actors.PanicError
	switch {
	case errors.Is(err, ErrDepth), errors.Is(err, ErrTooMany):
		return fault.Limit
	case errors.As(err, &pe):
		return fault.Local
	}
	return fault.Remote
}

// search is one Resolve under way.
type search struct {
	r      *Resolver
	next   []ma.Multiaddr // hold names, for the next round
	asked  map[string]bool
	found  map[string]bool
	result []ma.Multiaddr
	err    error // the first
}

func (s *search) failed(err error) {
	if s.err == nil {
		s.err = err
	}
}

// queue puts a into the next round, unless the same was asked before.
func (s *search) queue(a ma.Multiaddr) {
	a = keepName(a)
	key := string(a.Bytes())
	if s.asked[key] {
		return
	}
	if len(s.asked) == maxLookups {
		s.failed(ErrTooMany)
		return
	}
	s.asked[key] = true
	s.next = append(s.next, a)
}

// take sorts one answer.
func (s *search) take(a ma.Multiaddr) {
	switch {
	case rawaddr.Check(a) != nil:
	case NeedsResolving(a):
		s.queue(a)
	case len(s.result) < MaxAddrs && !s.found[string(a.Bytes())]:
		s.found[string(a.Bytes())] = true
		s.result = append(s.result, a)
	}
}

type answer struct {
	i     int
	addrs []ma.Multiaddr
	err   error
}

// round asks for everything in next. The answers are taken in the order of the questions.
func (s *search) round(ctx context.Context) {
	questions := s.next
	s.next = nil
	answers := make([]answer, len(questions))
	come := make(chan answer, len(questions)) // room for all: a late look-up finds nobody waiting
	asked, waiting := 0, 0
	for asked < len(questions) || waiting > 0 {
		if asked < len(questions) && waiting < atOnce {
			s.r.ask(ctx, asked, questions[asked], come)
			asked++
			waiting++
			continue
		}
		select { // order-free: an answer that comes with the deadline may count or not
		case a := <-come:
			answers[a.i] = a
			waiting--
		case <-ctx.Done():
			waiting, asked = 0, len(questions)
		}
	}
	for _, a := range answers {
		if a.err != nil {
			s.failed(a.err)
		}
		for _, x := range a.addrs {
			s.take(x)
		}
	}
}

// ask looks one name up, in a pump that may be left behind: a resolver need not heed its context.
func (r *Resolver) ask(ctx context.Context, i int, a ma.Multiaddr, come chan<- answer) {
	var told atomic.Bool
	tell := func(addrs []ma.Multiaddr, err error) {
		if told.CompareAndSwap(false, true) {
			come <- answer{i, addrs, err}
		}
	}
	within, cancel := context.WithTimeout(ctx, r.cfg.LookupTimeout)
	stop := r.rt.AfterFunc(r.cfg.LookupTimeout, func() {
		tell(nil, fmt.Errorf("no answer within %s: %w", r.cfg.LookupTimeout, context.DeadlineExceeded))
	})
	r.rt.Pump("resolve "+a.String(), func() {
		defer cancel()
		defer stop()
		as, err := r.names.Resolve(within, a)
		tell(as, clean.Error(err))
	}, func(pe *actors.PanicError) { tell(nil, pe) })
}
