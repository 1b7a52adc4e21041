package mux

import (
	"slices"
	"time"
)

// answerWait is how long what a handler asks for may wait for the end of its turn, and how long the
// connection keeps small output back for it: the answer shares a record and a write with it then.
// A handler that has nothing to say ends the wait when it is done with what it was given.
const answerWait = time.Millisecond

// corks are the streams whose handlers were given something by the session and have not come back
// from it. What such a handler asks for is told at the end of its turn; if that takes long, the
// session takes it.
type corks struct {
	in    []*entry
	due   time.Time // when the first of them has taken long; zero: there is none
	fresh bool      // one was added in this turn
}

func (c *corks) add(e *entry, now time.Time) {
	c.fresh = true
	if e.corked {
		return
	}
	if len(c.in) == 0 {
		c.due = now.Add(answerWait)
	}
	c.in = append(c.in, e)
	e.corked = true
}

func (c *corks) remove(e *entry) {
	if !e.corked {
		return
	}
	e.corked = false
	i, n := slices.Index(c.in, e), len(c.in)-1
	c.in[i], c.in[n] = c.in[n], nil
	if c.in = c.in[:n]; n == 0 {
		c.due = time.Time{}
		if cap(c.in) > bufsKeep {
			c.in = nil
		}
	}
}

// awaited says that a handler is at work on what this turn has given it.
func (c *corks) awaited(now time.Time) bool { return c.fresh && now.Before(c.due) }

// sooner returns the earlier of t, if ok, and the time when a handler has taken long.
func (c *corks) sooner(t time.Time, ok bool) (time.Time, bool) {
	if c.due.IsZero() || ok && t.Before(c.due) {
		return t, ok
	}
	return c.due, true
}

// pull takes what handlers have asked for that are long in coming back.
func (s *Session) pull(now time.Time) {
	if s.corks.due.IsZero() || now.Before(s.corks.due) {
		return
	}
	for len(s.corks.in) > 0 {
		e := s.corks.in[0]
		s.corks.remove(e)
		e.s.Late()
		s.note(now, e.s)
	}
}
