package connset

import "time"

// Open is somebody who wants a connection for a stream.
type Open struct {
	Req uint64 // chosen by the owner
	// Direct excludes relayed connections.
	Direct bool
	// Deadline is when it gives up; zero is never.
	Deadline time.Time
}

// Open returns the connection to open a stream on. When there is none the open waits for the
// first session that will do, and Ready or Failed follows.
func (s *Set) Open(o Open) (id uint64, ok bool, err error) {
	if id, ok = s.Best(o.Direct); ok {
		return id, true, nil
	}
	if len(s.waiting) >= maxWaiting {
		return 0, false, ErrWaiting
	}
	s.waiting = append(s.waiting, o)
	return 0, false, nil
}

// Cancel forgets a waiting open.
func (s *Set) Cancel(req uint64) {
	s.settle(func(o Open) bool { return o.Req == req })
}

// Fail ends all waiting opens: there will be no connection, and why.
func (s *Set) Fail(err error) {
	s.settle(func(o Open) bool {
		s.emit(Failed{Req: o.Req, Err: err})
		return true
	})
}

// Waiting is the number of opens that wait.
func (s *Set) Waiting() int { return len(s.waiting) }

// serve hands the connections that are there to the opens that wait.
func (s *Set) serve() {
	s.settle(func(o Open) bool {
		id, ok := s.Best(o.Direct)
		if ok {
			s.emit(Ready{Req: o.Req, Conn: id})
		}
		return ok
	})
}

func (s *Set) expire(now time.Time) {
	s.settle(func(o Open) bool {
		late := !o.Deadline.IsZero() && !now.Before(o.Deadline)
		if late {
			s.emit(Failed{Req: o.Req, Err: ErrNoConnection})
		}
		return late
	})
}

// settle removes the opens that done is true for, in order of arrival.
func (s *Set) settle(done func(Open) bool) {
	kept := s.waiting[:0]
	for _, o := range s.waiting {
		if !done(o) {
			kept = append(kept, o)
		}
	}
	s.waiting = kept
	if len(kept) == 0 {
		s.waiting = nil
	}
}
