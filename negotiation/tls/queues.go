package tls

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// queues are the net.Conn that crypto/tls gets. Handshake's goroutine and the connection's owner
// meet here and only here; hence the lock.
type queues struct {
	wake func() // something to take, or more wanted; called without the lock

	mu      sync.Mutex
	fed     sync.Cond
	in      []byte // received, copied: the handshake reads when it gets to it
	lent    []byte // received, borrowed from Feed of Opener, behind in
	out     []byte // to send
	read    int    // bytes read by the handshake
	blocks  bool   // the handshake runs
	waiting bool   // it has read everything and wants more
	sealing bool   // out is lent by the caller of collect
	err     error  // why the queues are closed
}

func newQueues(wake func()) *queues {
	q := &queues{wake: wake, blocks: true}
	q.fed.L = &q.mu
	return q
}

// errNoData ends a read that has nothing to return. crypto/tls keeps its state on temporary errors.
type errNoData struct{}

func (errNoData) Error() string   { return "no data yet" }
func (errNoData) Timeout() bool   { return true }
func (errNoData) Temporary() bool { return true }

// Read implements net.Conn for crypto/tls.
func (q *queues) Read(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.in) == 0 && len(q.lent) == 0 {
		if q.err != nil {
			return 0, q.err
		}
		if !q.blocks {
			return 0, errNoData{}
		}
		q.waiting = true
		q.mu.Unlock()
		q.wake()
		q.mu.Lock()
		for q.waiting && q.err == nil {
			q.fed.Wait()
		}
	}
	if len(q.in) > 0 {
		n := copy(p, q.in)
		if q.in = q.in[n:]; len(q.in) == 0 {
			q.in = nil
		}
		if q.blocks {
			if q.read += n; q.read > MaxHandshake {
				return 0, fmt.Errorf("%w: handshake of more than %d bytes", ErrLimit, MaxHandshake)
			}
		}
		return n, nil
	}
	n := copy(p, q.lent)
	q.lent = q.lent[n:]
	return n, nil
}

// Write implements net.Conn for crypto/tls. It never blocks.
func (q *queues) Write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.out = append(q.out, p...)
	if q.blocks {
		q.mu.Unlock()
		q.wake()
		q.mu.Lock()
	}
	return len(p), nil
}

// feed copies p for the handshake.
func (q *queues) feed(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return q.err
	}
	if len(q.in)+len(p) > MaxQueued {
		return fmt.Errorf("%w: over %d bytes came before the handshake asked for them", ErrLimit, MaxQueued)
	}
	q.in = append(q.in, p...)
	q.waiting = false
	q.fed.Signal()
	return nil
}

// take appends what is to be sent to dst.
func (q *queues) take(dst []byte) []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	dst = append(dst, q.out...)
	q.out = nil
	return dst
}

func (q *queues) hungry() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting
}

// settle ends the blocking: the handshake is over.
func (q *queues) settle() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.blocks, q.waiting = false, false
}

// lend gives p to the reads that follow.
func (q *queues) lend(p []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lent) > 0 {
		return fmt.Errorf("%w: fed before the last bytes were used up", ErrLocal)
	}
	q.lent = p
	return nil
}

func (q *queues) reclaim() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.in, q.lent = nil, nil
}

// pending counts what crypto/tls wrote on its own.
func (q *queues) pending() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sealing {
		return 0
	}
	return len(q.out)
}

// collect makes everything written from now on go behind dst, with what is pending first, and
// collected returns it. Nothing is copied twice that way.
func (q *queues) collect(dst []byte, room int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.out, q.sealing = append(slices.Grow(dst, room+len(q.out)), q.out...), true
}

func (q *queues) collected() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	dst := q.out
	q.out, q.sealing = nil, false
	return dst
}

// abort ends a handshake; one that is over stays as it is.
func (q *queues) abort(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil && q.blocks {
		q.err = err
	}
	q.waiting = false
	q.fed.Broadcast()
}

func (q *queues) reason() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

// Close implements net.Conn. crypto/tls calls it only when asked to close; we never ask.
func (q *queues) Close() error {
	q.abort(net.ErrClosed)
	return nil
}

// address stands where crypto/tls wants one; it shows it to nobody.
type address struct{}

func (address) Network() string { return "queue" }
func (address) String() string  { return "queue" }

func (q *queues) LocalAddr() net.Addr                { return address{} }
func (q *queues) RemoteAddr() net.Addr               { return address{} }
func (q *queues) SetDeadline(time.Time) error        { return nil }
func (q *queues) SetReadDeadline(time.Time) error    { return nil }
func (q *queues) SetWriteDeadline(t time.Time) error { return nil }
