package connset

import "time"

// Best returns the connection for a new stream. direct excludes relayed ones.
func (s *Set) Best(direct bool) (id uint64, ok bool) {
	if c := s.best(direct); c != nil {
		return c.ID, true
	}
	return 0, false
}

func (s *Set) best(direct bool) *conn {
	var best *conn
	for _, c := range s.conns { // oldest first, so that of equals the older one stays best
		if (!direct || !c.Relayed) && (best == nil || s.better(c, best)) {
			best = c
		}
	}
	return best
}

func (s *Set) better(a, b *conn) bool {
	switch {
	case a.doubt != b.doubt:
		return !a.doubt
	case a.Relayed != b.Relayed:
		return !a.Relayed
	case s.agreed:
		return s.bySmaller(a) && !s.bySmaller(b)
	}
	return false
}

// bySmaller says whether the node with the smaller peer ID dialled c. Both ends see the same.
func (s *Set) bySmaller(c *conn) bool { return c.Outbound == (s.cfg.Self < s.cfg.Peer) }

// due is when a connection that carries no stream and is not the best one is closed.
func (s *Set) due(c, best *conn) (time.Time, bool) {
	// Nothing is spare beside a connection that may be dead.
	if c == best || c.streams > 0 || best.doubt {
		return time.Time{}, false
	}
	idle := s.cfg.SpareIdle
	switch {
	case s.agreed && c.Outbound && s.bySmaller(best) && !s.bySmaller(c) && c.Relayed == best.Relayed:
		idle = s.cfg.AgreedIdle
	case s.cfg.Self > s.cfg.Peer:
		idle *= 2
	}
	quiet := c.quiet
	if best.since.After(quiet) {
		quiet = best.since
	}
	return quiet.Add(idle), true
}

// quietest is the connection that makes room for a new one: without a stream for longest, and
// not the best one.
func (s *Set) quietest() *conn {
	best := s.best(false)
	var found *conn
	for _, c := range s.conns {
		if c != best && c.streams == 0 && (found == nil || c.quiet.Before(found.quiet)) {
			found = c
		}
	}
	return found
}

// Deadline is when HandleTimeout is due.
func (s *Set) Deadline() (time.Time, bool) {
	var first time.Time
	best := s.best(false)
	for _, c := range s.conns {
		if at, ok := s.due(c, best); ok && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	for _, o := range s.waiting {
		if !o.Deadline.IsZero() && (first.IsZero() || o.Deadline.Before(first)) {
			first = o.Deadline
		}
	}
	return first, !first.IsZero()
}

// HandleTimeout closes the spare connections and fails the opens whose time has come.
func (s *Set) HandleTimeout(now time.Time) {
	best := s.best(false)
	for i := 0; i < len(s.conns); {
		c := s.conns[i]
		if at, ok := s.due(c, best); ok && !now.Before(at) {
			s.close(c, "another connection with this peer is in use")
			continue
		}
		i++
	}
	s.expire(now)
}
