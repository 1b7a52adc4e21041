package mux

import (
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
	// Lookup finds the handler of a protocol that the remote proposes. Default: there is none.
	Lookup Lookup
	// Owner is told about streams and about the end.
	Owner actors.Ref[messages.Peer]
	// Streams is this connection's share of the node's streams; its supervisor closes it.
	// Default: streams are not bounded here.
	Streams *actors.Holder
	// Buffers is this connection's share of the node's memory for what streams hold unread
	// beyond 256 KiB of the connection, and for receive windows that grow beyond the
	// protocol's 256 KiB, up to Yamux.WindowBudget; it is taken in steps of 64 KiB. Streams of
	// a Muxed conduit take none. Its supervisor closes it. Default: no bound but that of Yamux.
	Buffers *actors.Holder
	Yamux   yamux.Config
	// NegotiateTimeout bounds the negotiation of a stream's protocol. Default 10 s.
	NegotiateTimeout time.Duration
	// Linger is how long a stream that we have closed in both directions waits for the
	// remote to close its own before it is reset. Default 60 s.
	Linger time.Duration
}

// Lookup finds the handler of a protocol. name is borrowed; the returned name spells the same.
type Lookup func(name []byte) (protocol string, h stream.Handler, ok bool)

const (
	// maxWaiting is how many notes and requests may wait for a session. There is one note for
	// each stream at most, so more is a fault.
	maxWaiting = 1 << 16
	// maxOpens is how many requests for streams may wait for the remote to acknowledge others.
	maxOpens = 4096
	// heldMax is how many turns in a row may leave their output to the next one.
	heldMax = 32
	// quietAfter is how long a connection has no stream before its owner hears of it: it is not told
	// of each of many requests that come one after another.
	quietAfter = 100 * time.Millisecond
	// turnMax is how much is sent in one turn before others get a chance.
	turnMax = 512 << 10
)

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
	cfg     kept
	first   *Config // nil once it has started
	rt      *actors.Runtime
	self    actors.Ref[messages.Session]
	m       muxer
	timer   *actors.Timer
	held    int // turns whose output waits for the next one
	corks   corks
	budget  int  // of the turn, in bytes; here, since a variable of the turn would be allocated
	resume  bool // a message is under way to go on where the last turn was cut short
	streams map[uint64]*entry
	late    map[*stream.Stream]*entry // over, and not read to their ends
	actors  int                       // of streams, that live
	used    bool                      // the owner believes that there are streams
	quiet   time.Time                 // since when there are none, while it does; else zero
	order   stream.Order
	poll    func() bool // nil: the conduit has none
	spare   negotiators
	// In order of time, because each kind of wait is equally long.
	negotiating, lingering waitlist
	opens                  []*messages.OpenStream // wait for the remote to take more streams
	probes                 []actors.Reply[time.Duration]

	left   bool // the remote has said that it goes
	closed *messages.CloseConn
	over   bool
	err    error // why the connection is over
	code   uint32
	remote bool
	leave  *actors.Timer
	last   time.Time // when it leaves, whoever is not through by then
	moving bool      // a handler was given something since leave was set
}

// kept is what a session needs of its Config once it has started. Idle ones are many.
type kept struct {
	Conn                     *stream.Conn
	Owner                    actors.Ref[messages.Peer]
	Streams                  *actors.Holder
	NegotiateTimeout, Linger time.Duration
}

type (
	tick  struct{}
	leave struct{}
	again struct{} // more to flush than one turn may

	closeNow struct{ *messages.CloseConn }
)

func newSession(cfg Config) *Session {
	if cfg.NegotiateTimeout <= 0 {
		cfg.NegotiateTimeout = 10 * time.Second
	}
	if cfg.Linger <= 0 {
		cfg.Linger = time.Minute
	}
	if cfg.Streams == nil {
		cfg.Streams = actors.NewBudget("streams", 0).Holder("connection")
	}
	if cfg.Lookup == nil {
		cfg.Lookup = func([]byte) (string, stream.Handler, bool) { return "", stream.Handler{}, false }
	}
	s := &Session{
		cfg:     kept{cfg.Conn, cfg.Owner, cfg.Streams, cfg.NegotiateTimeout, cfg.Linger},
		first:   &cfg,
		streams: map[uint64]*entry{},
	}
	s.spare.lookup = cfg.Lookup
	return s
}

// Receive implements actor.Actor.
func (s *Session) Receive(ctx actor.Context) {
	now := s.now(ctx)
	s.corks.fresh = false
	switch m := ctx.Message().(type) {
	case *buf.Buf:
		s.m.input(now, m)
	case *stream.Stream:
		s.note(now, m)
	case *tick:
		s.timeouts(now)
	case *again:
		s.resume = false
	case *messages.OpenStream:
		s.openStream(ctx, now, m)
	case *messages.Probe:
		s.probe(now, m)
	case *messages.CloseConn:
		// Behind the last words of streams that wait already.
		if actors.Self[any](ctx).Send(&closeNow{m}) == nil {
			return
		}
	case *closeNow:
		s.exchange(ctx, now, false) // last words that were held
		s.closeConn(now, m.CloseConn)
	case *leave:
		s.leaveOrWait(ctx, now)
		return
	case *actor.Started:
		s.start(ctx, now)
	case *actor.Stopping:
		s.stopping(now)
		return
	case *actor.Stopped:
		return
	case *actor.Terminated:
		s.actors--
		if !s.over && s.held == 0 {
			return // nothing has changed for anybody
		}
	default:
		if s.m == nil {
			return
		}
		s.m.input(now, m)
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
	c, first := s.cfg.Conn, s.first
	actors.Describe(ctx, func() []actors.KeyValue {
		return []actors.KeyValue{
			{Key: "peer", Value: c.Peer.String()}, {Key: "remote", Value: c.Remote.String()},
			{Key: "direction", Value: c.Direction.String()}, {Key: "security", Value: c.Security}, {Key: "muxer", Value: c.Muxer},
		}
	})
	both := conduit.Conduit{Raw: first.Secured.Raw, Muxed: first.Muxed}
	actors.OnAbandoned(s.self, both.Abandon)
	ref := actors.Self[any](ctx)
	if first.Muxed != nil {
		n := newNativeMuxer(first.Muxed)
		s.m, s.first = n, nil
		n.start(ref)
		return
	}
	role := yamux.Server
	if c.Direction == conduit.Outbound {
		role = yamux.Client
	}
	r := newRawMuxer(first.Secured, first.Yamux, first.Buffers, role, now)
	s.m, s.first = r, nil
	r.start(ref)
	if p, ok := first.Secured.Raw.(conduit.Poller); ok {
		s.poll = p.Poll
	}
}

// drain takes every output of the muxer before the next input comes.
func (s *Session) drain(ctx actor.Context, now time.Time) {
	s.exchange(ctx, now, true)
	if s.left && !s.over && len(s.streams) == 0 {
		s.m.end(now, yamux.GoAwayNormal, "") // the remote wants no more streams, and there are none
		s.exchange(ctx, now, false)
	}
	if s.budget <= 0 && !s.resume && !s.m.busy() {
		s.resume = true
		_ = actors.Self[any](ctx).Send(&again{})
	}
	s.answerProbes()
	if s.over {
		if s.actors == 0 && !s.m.busy() {
			ctx.Stop(ctx.Self())
		}
		return
	}
	t, ok := s.m.deadline()
	t, ok = s.negotiating.sooner(t, ok)
	t, ok = s.lingering.sooner(t, ok)
	t, ok = s.corks.sooner(t, ok)
	if at := s.quiet.Add(quietAfter); !s.quiet.IsZero() && (!ok || at.Before(t)) {
		t, ok = at, true
	}
	if ok {
		s.timer.Set(t)
	}
}

// exchange passes on what the muxer has to say, to the streams and to the conduit.
func (s *Session) exchange(ctx actor.Context, now time.Time, mayHold bool) {
	s.budget = turnMax
	for {
		for e, ok := s.m.next(now); ok; e, ok = s.m.next(now) {
			s.event(ctx, now, e)
		}
		if s.shed(now) {
			continue // with the ends of streams
		}
		if mayHold && s.hold(ctx, now) || !s.m.flush(now, &s.budget) {
			return
		}
	}
}

// hold says that a turn which follows soon will send what there is: the small frames of many
// streams share a record and a write then.
func (s *Session) hold(ctx actor.Context, now time.Time) bool {
	if s.held < heldMax && !s.over && s.m.small() && (actors.More(ctx) || s.corks.awaited(now)) {
		s.held++
		return true
	}
	s.held = 0
	return false
}

func (s *Session) timeouts(now time.Time) {
	s.m.timeout(now)
	s.pull(now)
	if !now.Before(s.quiet.Add(quietAfter)) {
		s.tellQuiet()
	}
	for e := s.negotiating.due(now); e != nil; e = s.negotiating.due(now) {
		s.fail(now, e, CodeNegotiation, &NegotiationError{Protocols: e.proposed(), Err: errNoAnswer})
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
	case yamux.StreamAcked, canOpen:
		s.openMore(ctx, now)
	case yamux.RemoteClosed:
		s.remoteClosed(now, e)
	case yamux.StreamReset:
		s.streamReset(e)
	case yamux.StreamClosed:
		s.streamClosed(now, e)
		s.openMore(ctx, now)
	case yamux.RemoteGoAway:
		s.remoteLeaves(e)
	case yamux.Ended:
		s.ended(ctx, e.err)
	}
}

// probe answers with the round trip as soon as the remote has answered a ping, so that a crowd
// of probes costs it one.
func (s *Session) probe(now time.Time, m *messages.Probe) {
	switch {
	case s.over:
		m.Reply.Fail(s.connError())
	case len(s.probes) >= maxOpens:
		m.Reply.Fail(actors.ErrMailboxFull)
	default:
		s.m.ping(now)
		s.probes = append(s.probes, m.Reply)
	}
}

func (s *Session) answerProbes() {
	if len(s.probes) == 0 {
		return
	}
	rtt, ok := s.m.pong()
	if !ok {
		return
	}
	for _, r := range s.probes {
		r.Answer(rtt)
	}
	s.probes = nil
}
