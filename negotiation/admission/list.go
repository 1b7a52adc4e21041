package admission

import (
	"net/netip"
	"time"
)

// An entry is in two lists of its stage: all connections by age, and those of its source by age.
const (
	byAge = iota
	bySource
)

type entry struct {
	id     uint64
	source netip.Prefix
	stage  Stage
	at     time.Time // admitted
	next   [2]*entry
	prev   [2]*entry
}

// list is first in, first out, with removal from anywhere.
type list struct {
	by, n      int
	head, tail *entry
}

func (l *list) push(e *entry) {
	l.n++
	e.prev[l.by], e.next[l.by] = l.tail, nil
	if l.tail != nil {
		l.tail.next[l.by] = e
	} else {
		l.head = e
	}
	l.tail = e
}

func (l *list) remove(e *entry) {
	l.n--
	if p := e.prev[l.by]; p != nil {
		p.next[l.by] = e.next[l.by]
	} else {
		l.head = e.next[l.by]
	}
	if n := e.next[l.by]; n != nil {
		n.prev[l.by] = e.prev[l.by]
	} else {
		l.tail = e.prev[l.by]
	}
	e.next[l.by], e.prev[l.by] = nil, nil
}
