package actors

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// sysQueue is the system messages that wait for an actor, first in, first out. Of these there are
// few at most times, and of idle actors there are many: hence a list, and one word for it.
type sysQueue struct{ last *sysNode } // whose next is the first

type sysNode struct {
	m    any
	next *sysNode
}

// sysNodes are for all queues: an actor that lives for one request is told six things in its life.
var sysNodes = sync.Pool{New: func() any { return new(sysNode) }}

func (q *sysQueue) empty() bool { return q.last == nil }

func (q *sysQueue) push(m any) {
	n := sysNodes.Get().(*sysNode)
	n.m = m
	if q.last == nil {
		n.next = n
	} else {
		n.next, q.last.next = q.last.next, n
	}
	q.last = n
}

// pop is for a queue that is not empty.
func (q *sysQueue) pop() any {
	n := q.last.next
	if n == q.last {
		q.last = nil
	} else {
		q.last.next = n.next
	}
	m := n.m
	*n = sysNode{}
	sysNodes.Put(n)
	return m
}

func (q *sysQueue) hasStop() (yes bool) {
	q.each(func(m any) {
		_, stop := m.(*actor.Stop)
		yes = yes || stop
	})
	return yes
}

// each calls f with what waits, in order.
func (q *sysQueue) each(f func(m any)) {
	if q.last == nil {
		return
	}
	n := q.last.next
	for f(n.m); n != q.last; f(n.m) {
		n = n.next
	}
}
