package actors

// lane is a first-in first-out ring of messages. It gives a burst's memory back when it runs
// empty, and it knows an upper bound for the age of its oldest message without a clock reading
// for each: messages are dated by generation. A generation is what was queued when the one
// before it had been taken out.
type lane struct {
	ring []any
	head int32
	n    int32
	left int32 // messages of the oldest generation that are still queued
	// Everything queued came after since; everything past the first left messages after next.
	since, next int64
}

// laneKeep is the capacity that an empty lane keeps.
const laneKeep = 16

func (l *lane) push(m any, now func() int64) {
	if l.n == 0 {
		l.since = now()
		l.next = l.since
		l.left = 1
	}
	if int(l.n) == len(l.ring) {
		l.grow()
	}
	l.ring[(l.head+l.n)&int32(len(l.ring)-1)] = m
	l.n++
}

func (l *lane) grow() {
	ring := make([]any, max(2, 2*len(l.ring)))
	for i := range l.n {
		ring[i] = l.ring[(l.head+i)&int32(len(l.ring)-1)]
	}
	l.ring, l.head = ring, 0
}

func (l *lane) pop(now func() int64) any {
	m := l.ring[l.head]
	l.ring[l.head] = nil
	l.head = (l.head + 1) & int32(len(l.ring)-1)
	l.n--
	l.left--
	if l.n == 0 {
		if len(l.ring) > laneKeep {
			l.ring = nil
		}
		l.head = 0
	} else if l.left <= 0 {
		l.since, l.next, l.left = l.next, now(), l.n
	}
	return m
}

// sure says that what comes next is a message for the actor. An envelope may turn out to be empty.
func (l *lane) sure() bool {
	if l.n == 0 {
		return false
	}
	_, e := l.ring[l.head].(envelope)
	return !e
}

// replace puts m in the place of the newest queued message for which same is true.
func (l *lane) replace(m any, same func(any) bool) (old any, ok bool) {
	for i := l.n - 1; i >= 0; i-- {
		at := (l.head + i) & int32(len(l.ring)-1)
		if same(l.ring[at]) {
			old, l.ring[at] = l.ring[at], m
			return old, true
		}
	}
	return nil, false
}

// takeAll empties the lane.
func (l *lane) takeAll() []any {
	out := make([]any, 0, l.n)
	for i := range l.n {
		out = append(out, l.ring[(l.head+i)&int32(len(l.ring)-1)])
	}
	*l = lane{}
	return out
}

// age is an upper bound for how long the oldest message has been waiting.
func (l *lane) age(now int64) int64 {
	if l.n == 0 {
		return 0
	}
	return now - l.since
}
