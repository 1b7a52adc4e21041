package actors

import (
	"sync"
	"sync/atomic"
	"time"
)

// Pace is what is known of how long turns take of actors that run users' code: those of one protocol's
// handlers have one between them. While they are short, a pump runs them on its own goroutine, which
// saves waking another one. The zero Pace is that of an actor of which nothing is known yet.
type Pace struct {
	known atomic.Bool
	wary  atomic.Int32 // turns that have to be short before a pump runs one again
}

const (
	// shortTurn is about what it takes to wake ten goroutines.
	shortTurn = 200 * time.Microsecond
	// waryTurns and veryWaryTurns follow one that was not short, and one that a pump was relieved in.
	waryTurns     = 16
	veryWaryTurns = 1024
	// relieveAfter is after how long in a turn a pump is relieved, at the latest at twice that.
	relieveAfter = 10 * time.Millisecond
)

// quick says that a pump may run the next turn. A nil Pace is that of actors that only workers run.
func (p *Pace) quick() bool { return p != nil && p.known.Load() && p.wary.Load() <= 0 }

// beWary is for a turn that a pump was relieved in.
func (p *Pace) beWary() { p.wary.Store(veryWaryTurns) }

// took notes a turn. Those that run beside each other may count for one.
func (p *Pace) took(d time.Duration) {
	switch n := p.wary.Load(); {
	case d > shortTurn:
		p.wary.Store(max(n, waryTurns))
	case n > 0:
		p.wary.CompareAndSwap(n, n-1)
	}
	if !p.known.Load() {
		p.known.Store(true)
	}
}

// Rest is what a turn leaves to be run by the goroutine that has led it: see Ref.LeadRest, Lender.
type Rest interface {
	// Post has a worker run it.
	Post()
}

// Post implements Rest.
func (c *cell) Post() { c.rt.host.schedule(c) }

// Lender is a pump that lends its goroutine to users' code. If that takes long, another goroutine goes on
// as the pump.
type Lender struct {
	pump
	rt      *Runtime
	f       func(*Lender)
	onPanic func(*PanicError)
	w       worker

	// mu of lenders
	to         *cell
	sweep      uint32 // how many there had been when the turn began
	relieved   bool   // somebody else is the pump
	prev, next *Lender
}

// PumpLender is Pump for an f that can be begun again by another goroutine whenever it calls Run. It must
// not hold a lock then.
func (rt *Runtime) PumpLender(name string, f func(*Lender), onPanic func(*PanicError)) {
	l := &Lender{pump: pump{name: name}, rt: rt, f: f, onPanic: onPanic, w: worker{pump: true}}
	rt.start(&l.pump, func() { f(l) }, onPanic)
}

// Run runs what an offer has left. If it reports false, f runs on another goroutine meanwhile: it must
// return at once.
func (l *Lender) Run(r Rest) bool {
	c, ok := r.(*cell)
	if !ok {
		if r != nil {
			r.Post()
		}
		return true
	}
	if l.w.goid == 0 {
		l.w.goid = goid()
	}
	l.rt.lenders.add(l, c)
	clean := false
	defer func() {
		if !clean { // runtime.Goexit in the turn ends this goroutine, and not the pump
			l.w.leave()
			l.left = true
			l.rt.lenders.relieve(l)
		}
	}()
	l.w.run(c)
	clean = true
	return l.rt.lenders.remove(l)
}

// lenders are those that run users' code now. One timer does for all of them, while there are any.
type lenders struct {
	mu    sync.Mutex
	first *Lender
	sweep uint32
	armed bool
	used  bool // since the last sweep
}

func (s *lenders) add(l *Lender, to *cell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.to, l.sweep, l.prev, l.next = to, s.sweep, nil, s.first
	if s.first != nil {
		s.first.prev = l
	}
	s.first, s.used = l, true
	s.arm(l.rt)
}

// arm is called with mu held.
func (s *lenders) arm(rt *Runtime) {
	if !s.armed {
		s.armed = true
		rt.host.afterFunc(relieveAfter, func() { s.look(rt) })
	}
}

// remove says whether l is still the pump.
func (s *lenders) remove(l *Lender) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.relieved {
		s.unlink(l)
	}
	return !l.relieved
}

// unlink is called with mu held.
func (s *lenders) unlink(l *Lender) {
	if l.prev != nil {
		l.prev.next = l.next
	} else {
		s.first = l.next
	}
	if l.next != nil {
		l.next.prev = l.prev
	}
	l.to, l.prev, l.next = nil, nil, nil
}

// look relieves those that were there already at the last one.
func (s *lenders) look(rt *Runtime) {
	s.mu.Lock()
	var late []*Lender
	for l := s.first; l != nil; l = l.next {
		if l.sweep != s.sweep {
			late = append(late, l)
		}
	}
	s.sweep++
	s.armed = false
	if s.used || s.first != nil {
		s.arm(rt)
	}
	s.used = false
	s.mu.Unlock()
	for _, l := range late {
		s.relieve(l)
	}
}

// relieve has another goroutine be the pump in l's place, unless that has happened, or l is through.
func (s *lenders) relieve(l *Lender) {
	s.mu.Lock()
	c := l.to
	if c == nil {
		s.mu.Unlock()
		return
	}
	s.unlink(l)
	l.relieved = true
	s.mu.Unlock()
	c.pol.Pace.beWary()
	rt := l.rt
	rt.PumpLender(l.name, l.f, l.onPanic) // before the other is gone: the runtime's end waits for it
	rt.pumpEnded(&l.pump)
}
