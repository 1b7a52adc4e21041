package memory

import (
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/troupe-p2p/troupe/actors"
)

// Executor runs steps. It is the seam between the transport and who drives it: pumps by default,
// the event queue of a simulated runtime, a test.
type Executor interface {
	// Post runs s.Step once, later, never on the caller's stack. It must not wait.
	Post(s Step)
}

// Step is a piece of work that ends soon: one call to a sink.
type Step interface {
	Step()
	// Failed gets the panic of Step.
	Failed(*actors.PanicError)
}

// Posted makes an Executor of an event queue: post takes functions and runs each of them later.
func Posted(rt *actors.Runtime, post func(f func())) Executor { return &posted{rt, post} }

type posted struct {
	rt   *actors.Runtime
	post func(f func())
}

func (p *posted) Post(s Step) { p.post(func() { p.run(s) }) }

func (p *posted) run(s Step) {
	clean := false
	defer func() {
		if clean {
			return
		}
		pe := &actors.PanicError{Path: pumpName, Value: recover(), Message: "step", At: p.rt.Now(), Stack: debug.Stack()}
		defer func() { _ = recover() }() // who panics on the news of a panic is beyond help
		s.Failed(pe)
	}()
	s.Step()
	clean = true
}

const pumpName = "memory delivery"

// crew is the live Executor: goroutines of the runtime, as many as there are processors at most,
// which end when nothing is left to do. Its queue is as long as there are ends with something to
// say, since each has one step posted at most.
type crew struct {
	rt *actors.Runtime

	mu      sync.Mutex
	queue   []Step
	head    int
	working int
}

func (c *crew) Post(s Step) {
	c.mu.Lock()
	c.queue = append(c.queue, s)
	hire := c.working < runtime.GOMAXPROCS(0)
	if hire {
		c.working++
	}
	c.mu.Unlock()
	if hire {
		c.hire(nil, nil)
	}
}

// hire starts a worker. If there is a panic to tell its step of, it does that first.
func (c *crew) hire(s Step, pe *actors.PanicError) {
	var now Step
	c.rt.Pump(pumpName, func() {
		if s != nil {
			s.Failed(pe)
		}
		for {
			if now = c.next(); now == nil {
				return
			}
			now.Step()
		}
	}, func(pe *actors.PanicError) { c.hire(now, pe) })
}

// next takes a step off the queue; nil lets the worker go.
func (c *crew) next() Step {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.head == len(c.queue) {
		c.queue, c.head = c.queue[:0], 0
		c.working--
		return nil
	}
	s := c.queue[c.head]
	c.queue[c.head] = nil
	c.head++
	if c.head >= 64 && 2*c.head >= len(c.queue) { // as good as never empty: do not grow for ever
		n := copy(c.queue, c.queue[c.head:])
		clear(c.queue[n:])
		c.queue, c.head = c.queue[:n], 0
	}
	return s
}
