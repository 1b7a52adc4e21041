package websocket

import (
	"net"
	"sync"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"
)

const (
	// queueData is how far data fills the queue. What is over belongs to pongs and the goodbye.
	queueData = 64 << 10
	// queueCap is all that waits for a socket. It is the size of a pooled buffer.
	queueCap = queueData + 1<<10
	// frameHead is the longest head of a frame: RFC 6455 section 5.2.
	frameHead = 14
	// controlFrame is the longest control frame: section 5.5.
	controlFrame = frameHead + 125
	// leastFrame keeps a full queue from being topped up in crumbs.
	leastFrame = 4 << 10
)

// queue holds frames that the socket has not taken yet. It is empty, and has no buffer and no
// goroutine, unless the socket is full or speaks TLS, which cannot be written to without waiting.
type queue struct {
	rt     *actors.Runtime
	label  string
	nc     net.Conn        // TCP, or TLS over it
	raw    net.Conn        // the socket
	direct *sockets.Writer // nil: only the pump writes

	// refill is called by the pump when all is written. It may add, and says whether it has done
	// anything.
	refill func() bool
	// lost is called by the pump when it cannot write; panicked after a panic in it.
	lost     func(error)
	panicked func(*actors.PanicError)

	mu      sync.Mutex
	out     *buf.Buf // frames, in order; nil: none
	busy    int      // bytes that the pump is writing
	pongs   int      // bytes reserved since the queue was empty
	writing bool     // the pump runs
	again   bool     // it is to look again before it ends
	closing bool     // the socket is closed when all is written
	gone    bool     // it is closed
	err     error    // nothing can be written any more
	stop    func() bool
}

// room is how much of n bytes of data a frame may take.
func (q *queue) room(n int) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	free := queueData - q.held() - frameHead
	if free < min(n, leastFrame) {
		return 0
	}
	return min(n, free)
}

// spare says that there is room for a pong, and reserves it. What data leaves free holds a few of
// them and the goodbye.
func (q *queue) spare() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.pongs+2*controlFrame > queueCap-queueData {
		return false
	}
	q.pongs += controlFrame
	return true
}

// held is called with mu held.
func (q *queue) held() int {
	if q.out == nil {
		return q.busy
	}
	return q.busy + len(q.out.B)
}

// add takes frames, or parts of them, from the library. Nothing is written before flush.
func (q *queue) add(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.err != nil:
		return 0, q.err
	case q.held()+len(p) > queueCap:
		return 0, errQueueFull
	}
	if q.out == nil {
		q.out = buf.Get(queueCap)
		q.out.B = q.out.B[:0]
	}
	return q.out.Append(p), nil
}

// flush writes what can be written now and leaves the rest to the pump.
func (q *queue) flush() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.err != nil:
		if q.closing {
			q.shut()
		}
		return q.err
	case q.writing:
		q.again = true
		return nil
	}
	if q.out != nil && q.direct != nil {
		n, err := q.direct.TryWrite(q.out.B)
		if err != nil {
			q.fail(err)
			return err
		}
		left := copy(q.out.B, q.out.B[n:])
		if q.out.B = q.out.B[:left]; left == 0 {
			q.drop()
		}
	}
	switch {
	case q.out != nil, q.closing && q.direct == nil: // TLS has a goodbye of its own
		q.start()
	case q.closing:
		q.shut()
	}
	return nil
}

// wake has the pump ask refill.
func (q *queue) wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.writing {
		q.again = true
		return
	}
	q.start()
}

// start is called with mu held.
func (q *queue) start() {
	q.writing = true
	if q.closing && q.stop == nil {
		q.stop = q.rt.AfterFunc(lingerTime, q.abort)
	}
	q.rt.Pump(q.label, q.run, func(pe *actors.PanicError) {
		q.mu.Lock()
		q.writing, q.busy = false, 0
		q.mu.Unlock()
		q.panicked(pe)
	})
}

// run is the pump.
func (q *queue) run() {
	for {
		b := q.take()
		if b == nil {
			if !q.refill() && q.rest() {
				return
			}
			continue
		}
		_, err := q.nc.Write(b.B)
		b.Release()
		if !q.wrote(err) {
			q.lost(q.failure())
			return
		}
	}
}

func (q *queue) take() *buf.Buf {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.out
	if q.out = nil; b != nil {
		q.busy = len(b.B)
	} else {
		q.pongs = 0
	}
	return b
}

func (q *queue) wrote(err error) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy = 0
	if err == nil && q.err == nil {
		return true
	}
	q.writing = false
	if q.err == nil {
		q.fail(err)
	} else {
		q.drop()
	}
	return false
}

// rest ends the pump, unless there is something to do again.
func (q *queue) rest() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.out != nil || q.again {
		q.again = false
		return false
	}
	if q.closing {
		if q.nc != q.raw {
			q.mu.Unlock()
			_ = q.nc.Close() // says goodbye in TLS; abort bounds how long that takes
			q.mu.Lock()
		}
		q.shut()
	}
	q.writing = false
	return true
}

// fail and those below are called with mu held.
func (q *queue) fail(err error) {
	q.err = err
	q.drop()
	if q.closing {
		q.shut()
	}
}

func (q *queue) drop() {
	q.pongs = 0
	if q.out != nil {
		q.out.Release()
		q.out = nil
	}
}

// shut closes the socket. A socket does not wait for anybody in its Close.
func (q *queue) shut() {
	if q.err == nil {
		q.err = net.ErrClosed
	}
	q.drop()
	if q.stop != nil {
		q.stop()
	}
	if !q.gone {
		q.gone = true
		_ = q.raw.Close()
	}
}

// finish closes the socket when what is queued has been written, at once if nothing is, and at the
// latest after lingerTime.
func (q *queue) finish() {
	q.mu.Lock()
	q.closing = true
	if q.writing && q.stop == nil {
		q.stop = q.rt.AfterFunc(lingerTime, q.abort)
	}
	q.mu.Unlock()
	_ = q.flush()
}

// abort closes the socket at once.
func (q *queue) abort() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closing = true
	q.shut()
}

func (q *queue) failure() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}
