package actors

import (
	"sync"
	"sync/atomic"
	"time"
)

// Pace is what is known of how long turns take of actors that run users' code: those of one protocol's
// handlers have one between them. While they are short, a pump runs them on its own goroutine, which
// saves waking another one. The zero Pace is that of actors of which nothing is known yet.
type Pace struct {
	known  atomic.Bool
	wary   atomic.Int32 // turns that have to be short before a pump runs one again
	always bool         // quick whatever turns take, for tests
}

// SlowPace is that of actors which only workers run, however short their turns are.
var SlowPace = new(Pace)

const (
	// shortTurn is about what it takes to wake ten goroutines.
	shortTurn = 200 * time.Microsecond
	// waryTurns follow one that was not short, for each shortTurn that it took, and maxWaryTurns at most.
	waryTurns    = 16
	maxWaryTurns = 1024
	// relieveAfter is after how long in a turn a pump is relieved, at the latest at twice that.
	relieveAfter = 10 * time.Millisecond
)

// quick says that a pump may run the next turn. A nil Pace is slow.
func (p *Pace) quick() bool {
	return p != nil && (p.always || p.known.Load() && p.wary.Load() <= 0)
}

// took notes a turn. Of those that run beside each other some may not count.
func (p *Pace) took(d time.Duration) {
	if n := p.wary.Load(); d > shortTurn {
		p.beWary(int32(min(waryTurns*int64(d/shortTurn), maxWaryTurns)))
	} else if n > 0 {
		p.wary.CompareAndSwap(n, n-1)
	}
	if !p.known.Load() {
		p.known.Store(true)
	}
}

// beWary has n turns at least be short first.
func (p *Pace) beWary(n int32) {
	for old := p.wary.Load(); old < n && !p.wary.CompareAndSwap(old, n); old = p.wary.Load() {
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
	to       *cell
	at       int // its place
	looks    uint32
	relieved bool // somebody else is the pump
}

// PumpLender is Pump for an f that can be begun again by another goroutine whenever it calls Run, which it
// must not while it holds a lock.
func (rt *Runtime) PumpLender(name string, f func(*Lender), onPanic func(*PanicError)) {
	rt.lender(name, rt.host.goRun, f, onPanic)
}

// ErrandLender is to PumpLender what Errand is to Pump.
func (rt *Runtime) ErrandLender(name string, f func(*Lender), onPanic func(*PanicError)) {
	rt.lender(name, rt.host.goWarm, f, onPanic)
}

func (rt *Runtime) lender(name string, run func(func()), f func(*Lender), onPanic func(*PanicError)) {
	l := &Lender{pump: pump{name: name}, rt: rt, f: f, onPanic: onPanic, w: worker{pump: true}}
	rt.start(&l.pump, run, func() { f(l) }, onPanic)
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
	s := &l.rt.lenders
	s.add(l, c)
	clean := false
	defer func() {
		if !clean { // runtime.Goexit in the turn ends this goroutine, and not the pump
			l.w.leave()
			s.handOver(l)
		}
	}()
	l.w.run(c)
	clean = true
	return s.remove(l)
}

// lenders are those that run users' code now. One timer does for all of them, while there are any.
type lenders struct {
	rt    *Runtime
	after time.Duration // see relieveAfter

	mu    sync.Mutex // before that of the runtime
	out   []*Lender
	looks uint32 // how often the timer has looked
	armed bool
	used  bool // since the timer has looked
}

func (s *lenders) init(rt *Runtime) { s.rt, s.after = rt, relieveAfter }

func (s *lenders) add(l *Lender, to *cell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.to, l.at, l.looks = to, len(s.out), s.looks
	s.out, s.used = append(s.out, l), true
	s.arm()
}

// arm is called with mu held.
func (s *lenders) arm() {
	if !s.armed {
		s.armed = true
		s.rt.host.afterFunc(s.after, s.look)
	}
}

// remove says whether l is still the pump.
func (s *lenders) remove(l *Lender) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.relieved {
		s.drop(l)
	}
	return !l.relieved
}

// drop is called with mu held. The last one takes l's place.
func (s *lenders) drop(l *Lender) {
	n := len(s.out) - 1
	last := s.out[n]
	s.out[l.at], last.at = last, l.at
	s.out[n] = nil
	s.out, l.to = s.out[:n], nil
}

// look relieves those that the timer has seen before.
func (s *lenders) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.out) - 1; i >= 0; i-- { // who takes the place of one that goes has been looked at
		if l := s.out[i]; l.looks != s.looks {
			s.relieve(l)
		}
	}
	s.looks++
	s.armed = false
	if s.used || len(s.out) > 0 {
		s.arm()
	}
	s.used = false
}

// relieve is called with mu held. It has another goroutine be the pump in l's place.
func (s *lenders) relieve(l *Lender) {
	l.to.pol.Pace.beWary(maxWaryTurns)
	s.drop(l)
	l.relieved = true
	s.rt.PumpLender(l.name, l.f, l.onPanic) // before the other is gone: the runtime's end waits for it
	s.rt.pumpEnded(&l.pump)
}

// handOver is relieve for a goroutine that ends.
func (s *lenders) handOver(l *Lender) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.left = true
	if !l.relieved {
		s.relieve(l)
	}
}
