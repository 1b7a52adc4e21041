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

// Bodies of up to smallBody bytes are small. They pass the others, of which one gets its turn after
// every smallRun bytes of them.
const (
	smallBody = 4 << 10
	smallRun  = 64 << 10
)

// lines are where bodies wait for their turn: a request does not stand behind the transfers of all
// other streams. Who has a body stands in one of the two.
type lines struct {
	small, large queue
	run          int // bytes of small ones since a large one had its turn
}

func newLines() lines { return lines{small: queue{k: dataQueue}, large: queue{k: dataQueue}} }

func (l *lines) of(st *stream) *queue {
	if st.small {
		return &l.small
	}
	return &l.large
}

func (l *lines) len() int          { return l.small.n + l.large.n }
func (l *lines) push(st *stream)   { l.of(st).push(st) }
func (l *lines) remove(st *stream) { l.of(st).remove(st) }

func (l *lines) pop() *stream {
	if l.small.n == 0 || l.run >= smallRun && l.large.n > 0 {
		l.run = 0
		return l.large.pop()
	}
	st := l.small.pop()
	l.run += HeaderSize + len(st.body)
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
