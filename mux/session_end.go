package mux

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// remoteLeaves: the remote opens no more streams and takes none; those that are open may finish.
func (s *Session) remoteLeaves(e event) {
	s.left = true
	for _, m := range s.opens {
		m.Reply.Fail(&yamux.GoAwayError{Code: e.code, Remote: true})
	}
	s.opens = nil
}

// closeConn ends the connection for a reason of this node's.
func (s *Session) closeConn(now time.Time, m *messages.CloseConn) {
	if s.over {
		return
	}
	s.closed = m
	s.m.end(now, m.Code, m.Reason)
}

// ended begins the end of the connection: the ends of its streams follow, and their actors get a
// moment to tell their handlers.
func (s *Session) ended(ctx actor.Context, err error) {
	if s.over {
		return
	}
	s.over, s.err = true, err
	var gone *yamux.ClosedError
	s.remote = s.left || errors.As(err, &gone) && gone.Orderly() || errors.Is(err, io.EOF)
	var ga *yamux.GoAwayError
	var fault *yamux.Error
	switch {
	case errors.As(err, &ga):
		s.code, s.remote = ga.Code, ga.Remote || s.left
	case errors.As(err, &fault):
		s.code, s.remote = fault.Code, false
	}
	why := s.connError()
	for _, e := range s.streams { // order-free: each is told the same
		if e.end == nil {
			e.end, e.cut = why, true
		}
	}
	s.refuseWaiting(why)
	s.tellQuiet()
	_ = s.cfg.Owner.Control(&messages.ConnEnded{Conn: s.cfg.Conn.ID, Code: s.code, Remote: s.remote, Err: err})
	s.leave = actors.NewTimer(ctx, &leave{})
	s.leave.After(leaveAfter)
	s.last = s.rt.Now().Add(lastWords)
}

const (
	// leaveAfter is how long the actors of the streams have to end with their connection.
	leaveAfter = actors.Grace + actors.Grace/2
	// lastWords is how long handlers that go on taking what came before the end may take.
	lastWords = 5 * time.Second
)

func (s *Session) leaveOrWait(ctx actor.Context, now time.Time) {
	if s.moving && now.Before(s.last) {
		s.moving = false
		s.leave.After(leaveAfter)
		return
	}
	ctx.Stop(ctx.Self())
}

// refuseWaiting answers whoever waits for the connection.
func (s *Session) refuseWaiting(why error) {
	for _, m := range s.opens {
		m.Reply.Fail(why)
	}
	for _, r := range s.probes {
		r.Fail(why)
	}
	s.opens, s.probes = nil, nil
}

// connError is what the end of the connection is to its streams.
func (s *Session) connError() error {
	switch {
	case s.closed != nil:
		return &ConnError{Code: s.closed.Code, Reason: s.closed.Reason}
	case s.err == nil:
		return &ConnError{Code: s.code, Reason: "its actor was stopped"}
	}
	return &ConnError{Code: s.code, Remote: s.remote, Err: s.err}
}

// stopping is the last turn, whatever the reason for it. Nothing of what the core lent is used
// after it.
func (s *Session) stopping(now time.Time) {
	if s.m == nil { // start has failed
		conduit.Conduit{Raw: s.first.Secured.Raw, Muxed: s.first.Muxed}.Abandon()
		return
	}
	s.m.end(now, s.code, "")
	for budget := turnMax; s.m.flush(now, &budget); {
		for _, ok := s.m.next(now); ok; _, ok = s.m.next(now) {
		}
	}
	s.m.close()
	why := s.connError()
	for _, e := range s.inOrder() {
		if e.end == nil {
			e.end = why
		}
		s.forget(e, e.end)
	}
	s.refuseWaiting(why)
}

// inOrder lists the streams by number.
func (s *Session) inOrder() []*entry {
	out := make([]*entry, 0, len(s.streams))
	for _, e := range s.streams { // order-free: sorted below
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *entry) int { return cmp.Compare(a.id, b.id) })
	return out
}
