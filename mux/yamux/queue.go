package yamux

// The two queues that a stream can stand in. Both are intrusive: queueing allocates nothing
// and a stream that ends leaves them at once.
const (
	controlQueue = iota // has flags or credit to send
	dataQueue           // has a body and window to send it
	numQueues
)

type link struct {
	prev, next *stream
	in         bool
}

// queue is a FIFO of streams, threaded through their links[k].
type queue struct {
	head, tail *stream
	k, n       int
}

func (q *queue) push(st *stream) {
	l := &st.links[q.k]
	if l.in {
		return
	}
	*l = link{prev: q.tail, in: true}
	if q.tail != nil {
		q.tail.links[q.k].next = st
	} else {
		q.head = st
	}
	q.tail = st
	q.n++
}

func (q *queue) remove(st *stream) {
	l := st.links[q.k]
	if !l.in {
		return
	}
	if l.prev != nil {
		l.prev.links[q.k].next = l.next
	} else {
		q.head = l.next
	}
	if l.next != nil {
		l.next.links[q.k].prev = l.prev
	} else {
		q.tail = l.prev
	}
	st.links[q.k] = link{}
	q.n--
}

func (q *queue) pop() *stream {
	st := q.head
	if st != nil {
		q.remove(st)
	}
	return st
}

// ring is a FIFO that grows by doubling and keeps its memory up to a point.
type ring[T any] struct {
	buf     []T
	head, n int
}

func (r *ring[T]) push(v T) {
	if r.n == len(r.buf) {
		grown := make([]T, max(8, 2*len(r.buf)))
		for i := range r.n {
			grown[i] = r.buf[(r.head+i)%len(r.buf)]
		}
		r.buf, r.head = grown, 0
	}
	r.buf[(r.head+r.n)%len(r.buf)] = v
	r.n++
}

// ringKeep is how many elements an emptied ring keeps room for: idle sessions are many.
const ringKeep = 64

func (r *ring[T]) pop() (v T, ok bool) {
	if r.n == 0 {
		return v, false
	}
	v = r.buf[r.head]
	r.head = (r.head + 1) % len(r.buf)
	r.n--
	if r.n == 0 && len(r.buf) > ringKeep {
		r.buf, r.head = nil, 0
	}
	return v, true
}
