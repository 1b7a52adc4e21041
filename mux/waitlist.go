package mux

import "time"

// waitlist holds streams that wait equally long for something, in order of time. A stream is in
// one list at most, and leaves without a trace: a flood of short waits behind a long one is not
// kept in memory.
type waitlist struct{ first, last *entry }

// place is an entry's place in a waitlist.
type place struct {
	list       *waitlist
	at         time.Time
	prev, next *entry
}

func (l *waitlist) push(e *entry, at time.Time) {
	e.leave()
	e.wait = place{list: l, at: at, prev: l.last}
	if l.last != nil {
		l.last.wait.next = e
	} else {
		l.first = e
	}
	l.last = e
}

// leave ends the wait of e, if it waits.
func (e *entry) leave() {
	l := e.wait.list
	if l == nil {
		return
	}
	if e.wait.prev != nil {
		e.wait.prev.wait.next = e.wait.next
	} else {
		l.first = e.wait.next
	}
	if e.wait.next != nil {
		e.wait.next.wait.prev = e.wait.prev
	} else {
		l.last = e.wait.prev
	}
	e.wait = place{}
}

// due takes the first entry whose time has come; nil when there is none.
func (l *waitlist) due(now time.Time) *entry {
	e := l.first
	if e == nil || now.Before(e.wait.at) {
		return nil
	}
	e.leave()
	return e
}

// sooner returns the earlier of t, if ok, and the time of the first entry.
func (l *waitlist) sooner(t time.Time, ok bool) (time.Time, bool) {
	if l.first == nil || ok && !l.first.wait.at.Before(t) {
		return t, ok
	}
	return l.first.wait.at, true
}
