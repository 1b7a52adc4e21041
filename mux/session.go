package mux

import (
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// Config of one connection.
type Config struct {
	Conn    *stream.Conn
	Secured conduit.Secured // Raw conduits
	Muxed   conduit.Muxed   // the others; exactly one of the two is set
	// Lookup finds the handler of a protocol that the remote proposes.
	Lookup Lookup
	// Owner is told about streams and about the end.
	Owner actors.Ref[messages.Peer]
	// Streams is this connection's share of the node's streams; its supervisor closes it.
	Streams *actors.Holder
	Yamux   yamux.Config
	// NegotiateTimeout bounds the negotiation of a stream's protocol. Default 10 s.
	NegotiateTimeout time.Duration
	// Linger is how long a stream that we have closed in both directions waits for the
	// remote to close its own before it is reset. Default 60 s.
	Linger time.Duration
}

// Lookup finds the handler of a protocol. name is borrowed; the returned name spells the same.
type Lookup func(name []byte) (protocol string, h stream.Handler, ok bool)

// maxWaiting is how many notes and requests may wait for a session. There is one note for each
// stream at most, so more is a fault.
const maxWaiting = 1 << 16

// Spec is how to spawn the actor of a connection.
func Spec(cfg Config) actors.Spec {
	return actors.Spec{
		Kind:    "connection",
		New:     func() actor.Actor { return newSession(cfg) },
		Mailbox: actors.Mailbox{Data: maxWaiting, Full: actors.StopActor},
		Restart: actors.Temporary,
		Inline:  true,
	}
}

// Session is the actor of one connection.
type Session struct {
	cfg     Config
	rt      *actors.Runtime
	self    actors.Ref[messages.Session]
	m       muxer
	timer   *actors.Timer
	streams map[uint64]*entry
	inbound int
	// Two queues in order of time, because each kind of wait is equally long.
	negotiating, lingering fifo

	err     error // why the connection is over
	code    uint32
	remote  bool
	closing bool
	leave   *actors.Timer
	refused uint64
}

type (
	tick  struct{}
	leave struct{}
	again struct{} // more to flush than one turn may
)

func newSession(cfg Config) *Session {
	if cfg.NegotiateTimeout <= 0 {
		cfg.NegotiateTimeout = 10 * time.Second
	}
	if cfg.Linger <= 0 {
		cfg.Linger = time.Minute
	}
	return &Session{cfg: cfg, streams: map[uint64]*entry{}}
}

// Receive implements actor.Actor.
func (s *Session) Receive(ctx actor.Context) {
	now := s.now(ctx)
	switch m := ctx.Message().(type) {
	case *buf.Buf:
		s.m.input(now, m)
	case *stream.Stream:
		s.note(now, m)
	case *tick:
		s.timeouts(now)
	case *again:
	case *handlerUp:
		s.handlerUp(now, m)
	case *messages.OpenStream:
		s.openStream(ctx, now, m)
	case *messages.Probe:
		s.probe(now, m)
	case *messages.CloseConn:
		s.closeConn(now, m)
	case *leave:
		ctx.Stop(ctx.Self())
		return
	case *actor.Started:
		s.start(ctx, now)
	case *actor.Stopping:
		s.stopping()
		return
	case *actor.Terminated:
		s.streamActorEnded(ctx, now)
	default:
		if s.m == nil || !s.m.input(now, m) {
			return
		}
	}
	s.drain(ctx, now)
}

func (s *Session) now(ctx actor.Context) time.Time {
	if s.rt == nil {
		s.rt = actors.RuntimeOf(ctx)
	}
	return s.rt.Now()
}

func (s *Session) start(ctx actor.Context, now time.Time) {
	s.self = actors.Self[messages.Session](ctx)
	s.timer = actors.NewTimer(ctx, &tick{})
	c := s.cfg.Conn
	actors.Publish(ctx, "peer", c.Peer.String())
	actors.Publish(ctx, "remote", c.Remote.String())
	actors.Publish(ctx, "direction", c.Direction.String())
	actors.Publish(ctx, "security", c.Security)
	actors.Publish(ctx, "muxer", c.Muxer)
	ref := actors.Self[any](ctx)
	if s.cfg.Muxed != nil {
		n := newNativeMuxer(s.cfg.Muxed)
		s.m = n
		n.start(ref)
		return
	}
	role := yamux.Server
	if c.Direction == conduit.Outbound {
		role = yamux.Client
	}
	r := newRawMuxer(s.cfg.Secured, s.cfg.Yamux, role, now)
	s.m = r
	r.start(ref)
}

// drain takes every output of the muxer before the next input comes.
func (s *Session) drain(ctx actor.Context, now time.Time) {
	for s.m != nil {
		for e, ok := s.m.next(now); ok; e, ok = s.m.next(now) {
			s.event(ctx, now, e)
		}
		if !s.m.flush(now) {
			break
		}
	}
	if s.closing || s.m == nil {
		return
	}
	t, ok := s.m.deadline()
	for _, q := range []*fifo{&s.negotiating, &s.lingering} {
		if d, some := q.deadline(); some && (!ok || d.Before(t)) {
			t, ok = d, true
		}
	}
	if ok {
		s.timer.Set(t)
	}
}

func (s *Session) timeouts(now time.Time) {
	s.m.timeout(now)
	for e := s.negotiating.due(now); e != nil; e = s.negotiating.due(now) {
		s.fail(now, e, CodeNegotiation, fmt.Errorf("remote: no agreement on a protocol within %v", s.cfg.NegotiateTimeout))
	}
	for e := s.lingering.due(now); e != nil; e = s.lingering.due(now) {
		s.fail(now, e, 0, nil)
	}
}

func (s *Session) event(ctx actor.Context, now time.Time, e event) {
	switch e.kind {
	case yamux.Data:
		s.data(ctx, now, e)
	case yamux.Written:
		s.written(now, e)
	case yamux.StreamOpened:
		s.streamArrived(now, e)
	case yamux.StreamAcked:
	case yamux.RemoteClosed:
		s.remoteClosed(now, e)
	case yamux.StreamReset:
		if st := s.streams[e.id]; st != nil {
			st.end = &ResetError{Code: e.code, Remote: e.remote, Protocol: st.protocol()}
		}
	case yamux.StreamClosed:
		s.streamClosed(e)
	case yamux.RemoteGoAway:
		s.code, s.remote = e.code, true
	case yamux.Ended:
		s.over(ctx, now, e.err)
	}
}

// over begins the end of the connection: its streams have been told, their actors get a moment
// to tell their handlers.
func (s *Session) over(ctx actor.Context, now time.Time, err error) {
	if s.closing {
		return
	}
	s.closing = true
	s.err = err
	var ga *yamux.GoAwayError
	if errors.As(err, &ga) {
		s.code, s.remote = ga.Code, ga.Remote
	}
	var ye *yamux.Error
	if errors.As(err, &ye) {
		s.code, s.remote = ye.Code, false
	}
	_ = s.cfg.Owner.Control(&messages.ConnEnded{Conn: s.cfg.Conn.ID, Code: s.code, Remote: s.remote, Err: err})
	s.leave = actors.NewTimer(ctx, &leave{})
	s.leave.After(handlerGrace + 50*time.Millisecond)
}

func (s *Session) closeConn(now time.Time, m *messages.CloseConn) {
	s.code = m.Code
	if s.m == nil || s.closing {
		return
	}
	for _, e := range s.inOrder() {
		e.end = &ConnError{Code: m.Code, Reason: m.Reason}
	}
	if m.Code == 0 {
		// A second GoAway ends the session at once instead of when its streams have ended.
		s.m.goAway(now, 0)
	}
	s.m.goAway(now, m.Code)
}

// stopping is the last turn, whatever the reason for it.
func (s *Session) stopping() {
	for _, e := range s.inOrder() {
		err := e.end
		if err == nil {
			err = &ConnError{Code: s.code, Remote: s.remote, Err: s.err}
		}
		s.forget(e, err)
	}
	if s.m != nil {
		s.m.goAway(s.rt.Now(), s.code)
		for s.m.flush(s.rt.Now()) {
			for _, ok := s.m.next(s.rt.Now()); ok; _, ok = s.m.next(s.rt.Now()) {
			}
		}
		s.m.close()
		s.m = nil
	}
}

// probe answers with the round trip; the muxer measures it on its own, so that a probe costs
// the remote at most one ping.
func (s *Session) probe(now time.Time, m *messages.Probe) {
	s.m.ping(now)
	m.Reply.Answer(s.m.rtt())
}

// ResetError is the end of a stream in disorder.
type ResetError struct {
	Code     uint32
	Remote   bool // who reset it
	Protocol string
}

func (e *ResetError) Error() string {
	who := "local"
	if e.Remote {
		who = "remote"
	}
	return fmt.Sprintf("%s: stream %s was reset with code %#x", who, e.Protocol, e.Code)
}

// ConnError is the end of a stream because its connection ended.
type ConnError struct {
	Code   uint32
	Remote bool
	Reason string
	Err    error
}

func (e *ConnError) Error() string {
	who := "local"
	if e.Remote {
		who = "remote"
	}
	switch {
	case e.Err != nil:
		return fmt.Sprintf("%s: the connection has ended: %v", who, e.Err)
	case e.Reason != "":
		return fmt.Sprintf("%s: the connection was closed: %s (code %#x)", who, e.Reason, e.Code)
	}
	return fmt.Sprintf("%s: the connection was closed with code %#x", who, e.Code)
}

// Unwrap makes errors.Is(err, stream.ErrConnClosed) true, beside the cause.
func (e *ConnError) Unwrap() []error {
	if e.Err != nil {
		return []error{stream.ErrConnClosed, e.Err}
	}
	return []error{stream.ErrConnClosed}
}
