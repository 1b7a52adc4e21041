package actors

import (
	"bytes"
	"crypto/rand"
	"io"
	mrand "math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// live is the host of real time and real goroutines. A turn runs on a parked worker goroutine
// whose stack has grown to its task already; a fresh goroutine for every wake-up would spend
// more on growing its stack than on the message.
type live struct {
	start time.Time
	keep  int // parked workers at most

	mu     sync.Mutex
	idle   []*worker // last in, first out: the warmest worker is taken first
	unused int       // the fewest that were idle since the last trim: nobody missed them
	trim   bool      // a trim is to come
	shut   bool
}

const (
	// spareWorkers stay whatever happens, for the next wake-up.
	spareWorkers = 2
	// trimEvery is how long a burst's workers wait for another one.
	trimEvery = time.Second
)

// turnBatch is how many messages an actor handles before others on its thread get a chance.
const turnBatch = 32

type worker struct {
	work chan *cell // capacity 1
	goid int64
	f    func() // see call
	next *cell  // its own goroutine: what it runs when it is through
	now  *cell  // of a pump: what it runs
	pump bool   // stands for a pump's goroutine, which runs Inline actors, and others only as a Lender

	// Of a pump that leads.
	lends bool
	lent  *cell // what it is to run as a Lender
}

// pumping are those of pumps that lead a turn.
var pumping = sync.Pool{New: func() any { return &worker{pump: true} }}

func newLive(keep int) *live { return &live{start: time.Now(), keep: keep} }

func (l *live) schedule(c *cell) {
	if w := l.take(); w != nil {
		w.work <- c // capacity 1 and ours: never blocks
		return
	}
	go l.loop(&worker{work: make(chan *cell, 1)}, c)
}

// take is an idle worker, if there is one.
func (l *live) take() *worker {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.idle)
	if n == 0 {
		return nil
	}
	w := l.idle[n-1]
	l.idle[n-1] = nil
	l.idle = l.idle[:n-1]
	l.unused = min(l.unused, n-1)
	return w
}

// call in place of an actor has a worker call its f.
var call = new(cell)

func (l *live) goWarm(f func()) {
	w := l.take()
	if w == nil {
		go l.loop(&worker{work: make(chan *cell, 1), f: f}, call)
		return
	}
	w.f = f
	w.work <- call
}

func (l *live) loop(w *worker, c *cell) {
	w.goid = goid()
	for {
		if c == call {
			f := w.f
			w.f, c = nil, nil
			f()
		}
		for ; c != nil; c = w.take() {
			l.run(w, c)
		}
		l.mu.Lock()
		if l.shut || len(l.idle) >= l.keep {
			l.mu.Unlock()
			return
		}
		l.idle = append(l.idle, w)
		if len(l.idle) > spareWorkers && !l.trim {
			l.trim = true
			l.unused = len(l.idle)
			time.AfterFunc(trimEvery, l.retire)
		}
		l.mu.Unlock()
		if c = <-w.work; c == nil {
			return
		}
	}
}

func (w *worker) take() *cell {
	c := w.next
	w.next = nil
	return c
}

// run has a pump's goroutine run one turn of c, and then of those that follow.
func (w *worker) run(c *cell) {
	for ; c != nil; c = w.take() {
		w.now = c
		if c.turn(turnBatch, w) {
			c.rt.host.schedule(c)
		}
	}
	w.now = nil
}

// leave has workers run what a pump's goroutine was to.
func (w *worker) leave() {
	for _, c := range []*cell{w.now, w.next, w.lent} {
		if c != nil {
			c.rt.host.schedule(c)
		}
	}
}

func (l *live) run(w *worker, c *cell) {
	done := false
	defer func() {
		// runtime.Goexit in a handler ends this goroutine; the actor goes on with another.
		if !done {
			l.schedule(c)
			if next := w.take(); next != nil {
				l.schedule(next)
			}
		}
	}()
	for c.turn(turnBatch, w) {
		if w.next != nil {
			l.schedule(c) // what follows waits for one batch, not for a crowd
			break
		}
		runtime.Gosched()
	}
	done = true
}

// retire lets those workers go that nobody needed since the last time.
func (l *live) retire() {
	l.mu.Lock()
	n := max(min(l.unused, len(l.idle))-spareWorkers, 0)
	gone := append([]*worker(nil), l.idle[:n]...) // the coldest
	l.idle = append(l.idle[:0], l.idle[n:]...)
	clear(l.idle[len(l.idle):cap(l.idle)])
	l.unused = len(l.idle)
	if l.trim = len(l.idle) > spareWorkers && !l.shut; l.trim {
		time.AfterFunc(trimEvery, l.retire)
	}
	l.mu.Unlock()
	for _, w := range gone {
		w.work <- nil
	}
}

func (l *live) close() {
	l.mu.Lock()
	idle := l.idle
	l.idle, l.shut = nil, true
	l.mu.Unlock()
	for _, w := range idle {
		w.work <- nil
	}
}

func (l *live) now() time.Time { return time.Now() }
func (l *live) nano() int64    { return int64(time.Since(l.start)) }
func (l *live) afterFunc(d time.Duration, f func()) stopper {
	return time.AfterFunc(d, f)
}
func (l *live) goRun(f func())    { go f() }
func (l *live) rand() io.Reader   { return rand.Reader }
func (l *live) float() float64    { return mrand.Float64() }
func (l *live) newWaiter() waiter { return make(liveWaiter, 1) }

type liveWaiter chan struct{}

func (w liveWaiter) wake() {
	select {
	case w <- struct{}{}:
	default:
	}
}

func (w liveWaiter) wait(d time.Duration) bool {
	if d < 0 {
		<-w
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select { // order-free: a wake and a deadline that come together may answer either way
	case <-w:
		return true
	case <-t.C:
		return false
	}
}

// goid is the number that goroutine dumps show; workers learn it once, so that the stack of a
// stuck actor can be found.
func goid() int64 {
	var b [40]byte
	s := b[:runtime.Stack(b[:], false)]
	s = bytes.TrimPrefix(s, []byte("goroutine "))
	n, _ := strconv.ParseInt(string(s[:max(bytes.IndexByte(s, ' '), 0)]), 10, 64)
	return n
}
