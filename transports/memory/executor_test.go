package memory

import (
	"sync"
	"testing"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
)

type work struct {
	do     func()
	failed func(*actors.PanicError)
}

func (w *work) Step()                        { w.do() }
func (w *work) Failed(pe *actors.PanicError) { w.failed(pe) }

func TestTheCrewSurvivesPanicsAndGoesHome(t *testing.T) {
	c := &crew{rt: transporttest.Runtime(t)} // which finds goroutines that stay
	const n = 1000
	var mu sync.Mutex
	var done, failed int
	var all sync.WaitGroup
	all.Add(n)
	count := func(x *int) {
		mu.Lock()
		*x++
		mu.Unlock()
		all.Done()
	}
	for i := range n {
		c.Post(&work{
			do: func() {
				if i%10 == 3 {
					panic("a bug in a step")
				}
				count(&done)
			},
			failed: func(*actors.PanicError) {
				count(&failed)
				if i%20 == 3 {
					panic("a bug in the account of a bug")
				}
			},
		})
	}
	all.Wait()
	if done != n*9/10 || failed != n/10 {
		t.Errorf("%d done, %d failed", done, failed)
	}
}

func TestTheCrewsQueueDoesNotGrowWithItsWork(t *testing.T) {
	c := &crew{rt: transporttest.Runtime(t)}
	ended := make(chan struct{})
	left := 100000
	var w *work
	w = &work{do: func() { // always one behind the one that runs: the queue never runs empty
		if left--; left > 0 {
			c.Post(w)
		} else {
			close(ended)
		}
	}}
	c.mu.Lock()
	c.working = 1 << 20 // nobody else
	c.mu.Unlock()
	c.Post(w)
	c.Post(&work{do: func() {}})
	c.hire(nil, nil)
	<-ended
	c.mu.Lock()
	defer c.mu.Unlock()
	if cap(c.queue) > 1000 {
		t.Errorf("a queue of %d for two steps", cap(c.queue))
	}
}
