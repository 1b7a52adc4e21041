package sockets

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/actors"
)

// restAfter is how often rests looks: a reader that has brought nothing between two looks rests.
const restAfter = 500 * time.Millisecond

// Rests looks after readers that wait. What a reader brings is often handled on its goroutine, whose
// stack grows for that to 4 KiB or more. The runtime does not shrink it back to 2 KiB, which are
// enough for waiting: it wants to see three quarters of a stack unused. So a reader that has brought
// nothing for a while ends, and another takes its place. One timer does for all of them, while there
// are some that are not at rest.
type Rests struct {
	rt    *actors.Runtime
	mu    sync.Mutex
	awake []*Conn
	armed bool
}

// NewRests is for the connections of one transport.
func NewRests(rt *actors.Runtime) *Rests { return &Rests{rt: rt} }

// add is for a reader that has brought something. Nothing that holds the mu of a conn takes ours.
func (r *Rests) add(c *Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.awake = append(r.awake, c)
	r.arm()
}

// arm is called with mu held.
func (r *Rests) arm() {
	if !r.armed && len(r.awake) > 0 {
		r.armed = true
		r.rt.AfterFunc(restAfter, r.Look)
	}
}

// Look has those rest that have brought nothing since the last time.
func (r *Rests) Look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.awake[:0]
	for _, c := range r.awake {
		if c.busy() {
			kept = append(kept, c)
		}
	}
	clear(r.awake[len(kept):])
	if r.awake = kept; len(kept) == 0 {
		r.awake = nil
	}
	r.armed = false
	r.arm()
}

// busy says that the reader has brought something since the last time it was asked. If it has not,
// it is told to rest.
func (c *Conn) busy() bool {
	if c.owner.done() {
		return false
	}
	if reads := c.reads.Load(); reads != c.seen {
		c.seen = reads
		return true
	}
	c.awake.Store(false)
	// Wakes it up in the middle of its wait; see line.Next. What comes at the same moment is read by
	// it or by its successor.
	_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	return false
}

// toRest says that err is no end of the connection.
func toRest(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// Awake is how many connections are looked after.
func (r *Rests) Awake() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.awake)
}
