package peers

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/connset"
	"github.com/troupe-p2p/troupe/peers/dialplan"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// peer is the actor of one remote: it owns the set of its connections, and whoever waits for
// one.
type peer struct {
	cfg    Config
	id     identity.ID
	parent actors.Ref[messages.Peers]

	self  actors.Ref[messages.Peer]
	rt    *actors.Runtime
	set   *connset.Set
	conns map[uint64]*conn
	opens map[uint64]*messages.Open // waiting, by request
	dials []actors.Reply[*stream.Conn]
	timer *actors.Timer
	seen  uint64 // messages from peers so far
	req   uint64
	plan  *dialing
	last  error     // why the last dial failed
	idle  time.Time // when it has been idle for long enough; zero: it is not

	dialed  uint64 // dials so far
	backoff dialplan.Backoff
}

// conn is one connection.
type conn struct {
	info    *stream.Conn
	ref     actors.Ref[messages.Session]
	streams *actors.Holder
	buffers *actors.Holder
	busy    bool
	ended   *messages.ConnEnded
}

func peerSpec(cfg Config, id identity.ID, parent actors.Ref[messages.Peers]) actors.Spec {
	return actors.Spec{
		Kind:    "peer",
		New:     func() actor.Actor { return &peer{cfg: cfg, id: id, parent: parent} },
		Restart: actors.Transient,
		Mailbox: actors.Mailbox{Data: 1 << 12},
	}
}

// Receive implements actor.Actor.
func (p *peer) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		p.start(ctx)
	case *openOn:
		p.seen++
		p.open(ctx, m.m)
	case *dialOn:
		p.seen++
		p.wantConn(ctx, m)
	case *addLink:
		p.seen++
		p.addLink(ctx, m)
	case *identifiedOn:
		p.seen++
		p.set.Identified(slices.Contains(m.protocols, connset.Rule))
	case *announceOn:
		p.seen++
		for _, id := range p.ids() {
			_ = p.cfg.Identify.Control(&messages.ConnUp{Conn: p.conns[id].info, Session: p.conns[id].ref})
		}
	case *hangupOn:
		p.seen++
		p.hangup(m)
	case *messages.LinkRefused:
		p.seen++
		p.linkFailed(m.Link, m.Err)
	case *found:
		p.found(ctx, m)
	case *resolved:
		p.resolved(ctx, m)
	case *messages.Dialled:
		p.dialled(m)
	case *messages.StreamsChanged:
		p.streamsChanged(m)
	case *messages.ConnEnded:
		if c := p.conns[m.Conn]; c != nil {
			c.ended = m
			p.set.Remove(m.Conn)
		}
	case *probed:
		if m.err == nil {
			p.set.Alive(m.conn)
		}
	case *tick:
		p.tick(ctx)
	case *actor.Terminated:
		p.connGone(ctx)
	case *actor.Stopping, *actor.Restarting:
		p.stopping()
		return
	}
	p.drain(ctx)
}

func (p *peer) start(ctx actor.Context) {
	p.self = actors.Self[messages.Peer](ctx)
	p.rt = actors.RuntimeOf(ctx)
	p.set = connset.New(connset.Config{
		Self: p.cfg.Self, Peer: p.id, Cap: p.cfg.Limits.ConnsPerPeer,
		SpareIdle: p.cfg.SpareIdle, AgreedIdle: p.cfg.AgreedIdle,
	})
	p.conns = map[uint64]*conn{}
	p.opens = map[uint64]*messages.Open{}
	p.timer = actors.NewTimer(ctx, &tick{})
	actors.Publish(ctx, "peer", p.id.String())
	_ = p.parent.Control(&messages.PeerStarted{Peer: p.id})
}

// drain does what the set asks for and arms the one timer.
func (p *peer) drain(ctx actor.Context) {
	p.drainDial(ctx) // may fail those who wait in the set
	for e, ok := p.set.Next(); ok; e, ok = p.set.Next() {
		switch e := e.(type) {
		case connset.Ready:
			p.ready(e.Req, e.Conn)
		case connset.Failed:
			p.failed(e.Req, e.Err)
		case connset.Close:
			p.close(e.ID, e.Code, e.Reason)
		case connset.Probe:
			p.probe(e.ID)
		}
	}
	now := p.rt.Now()
	busy := len(p.conns) > 0 || len(p.opens) > 0 || len(p.dials) > 0 || p.plan != nil
	switch {
	case busy:
		p.idle = time.Time{}
	case p.idle.IsZero():
		p.idle = now.Add(p.cfg.IdleFor)
		actors.Publish(ctx, "last dial", p.lastFailure())
	}
	at, ok := p.set.Deadline()
	if p.plan != nil {
		if t, some := p.plan.d.Deadline(); some && (!ok || t.Before(at)) {
			at, ok = t, true
		}
	}
	if !p.idle.IsZero() && (!ok || p.idle.Before(at)) {
		at, ok = p.idle, true
	}
	if ok {
		p.timer.Set(at)
	} else {
		p.timer.Stop()
	}
}

func (p *peer) tick(ctx actor.Context) {
	now := p.rt.Now()
	p.set.HandleTimeout(now)
	p.dialTimeout(now)
	if !p.idle.IsZero() && !now.Before(p.idle) {
		p.idle = now.Add(p.cfg.IdleFor)
		_ = p.parent.Control(&messages.PeerIdle{Peer: p.id, Seen: p.seen})
	}
}

// ---- opens ----

func (p *peer) open(ctx actor.Context, m *messages.Open) {
	if m.Reply.Gone() {
		return
	}
	p.req++
	id, ok, err := p.set.Open(connset.Open{Req: p.req, Deadline: m.Deadline})
	switch {
	case err != nil:
		m.Reply.Fail(err)
	case ok:
		p.openOn(id, m)
	case m.NoDial && p.plan == nil:
		p.set.Cancel(p.req)
		m.Reply.Fail(ErrNotConnected)
	default:
		p.opens[p.req] = m
		p.dial(ctx, m.Addrs, false)
	}
}

// ErrNotConnected answers an open that must not dial.
var ErrNotConnected = errors.New("local: there is no connection with the peer, and the open must not dial")

func (p *peer) openOn(id uint64, m *messages.Open) {
	c := p.conns[id]
	if c == nil {
		m.Reply.Fail(ErrNotConnected)
		return
	}
	actors.MoveTo(m.Reply, c.ref)
	_ = c.ref.Send(&messages.OpenStream{
		Protocols: m.Protocols, Confirm: m.Confirm, Handler: m.Handler, Reply: m.Reply,
	})
}

func (p *peer) ready(req, id uint64) {
	m := p.opens[req]
	delete(p.opens, req)
	if m != nil {
		p.openOn(id, m)
	}
}

func (p *peer) failed(req uint64, err error) {
	m := p.opens[req]
	delete(p.opens, req)
	if m != nil {
		m.Reply.Fail(err)
	}
}

// ---- connections ----

func (p *peer) addLink(ctx actor.Context, m *addLink) {
	now := p.rt.Now()
	err := p.set.Add(now, connset.Conn{ID: m.conn.ID, Outbound: m.conn.Direction == conduit.Outbound})
	if err != nil {
		m.link.Close()
		p.release(m.conn.ID)
		p.cfg.Hub.Emit(messages.Event{Kind: messages.EventRefused, Peer: p.id, Err: err})
		p.linkFailed(m.link, err)
		return
	}
	c := &conn{info: m.conn}
	name := fmt.Sprintf("conn-%d", m.conn.ID)
	c.streams = p.cfg.Streams.Holder(p.id.Short() + "/" + name)
	c.buffers = p.cfg.Buffers.Holder(p.id.Short() + "/" + name)
	spec := p.cfg.Session(SessionJob{Conn: m.conn, Link: m.link, Owner: p.self, Streams: c.streams, Buffers: c.buffers})
	spec.Name = name
	c.ref, err = actors.Spawn[messages.Session](ctx, spec)
	if err != nil {
		panic(err) // the name is ours and new: a bug
	}
	p.conns[m.conn.ID] = c
	if len(p.conns) == 1 {
		_ = p.cfg.Book.Control(&messages.Connectedness{Peer: p.id, Connected: true})
	}
	_ = p.cfg.Identify.Control(&messages.ConnUp{Conn: m.conn, Session: c.ref})
	p.cfg.Hub.Emit(messages.Event{Kind: messages.EventConnected, At: now, Peer: p.id, Conn: m.conn, Path: c.ref.Path()})
	p.linked(m.link, m.conn)
}

func (p *peer) streamsChanged(m *messages.StreamsChanged) {
	c := p.conns[m.Conn]
	switch {
	case c == nil:
	case m.Streams > 0 && !c.busy:
		c.busy = true
		p.set.StreamOpened(m.Conn)
	case m.Streams == 0 && c.busy:
		c.busy = false
		p.set.StreamEnded(p.rt.Now(), m.Conn)
	}
}

// connGone gives back what a connection held, whatever ended it.
func (p *peer) connGone(ctx actor.Context) {
	for id, c := range p.conns { // order-free: one matches at most
		if !actors.EndedRef(ctx, c.ref) {
			continue
		}
		delete(p.conns, id)
		p.set.Remove(id)
		p.free(c)
		p.release(id)
		e := messages.Event{Kind: messages.EventDisconnected, At: p.rt.Now(), Peer: p.id, Conn: c.info}
		if c.ended != nil {
			e.Code, e.Remote, e.Err = c.ended.Code, c.ended.Remote, c.ended.Err
		} else if end, ok := actors.ChildEnd(ctx); ok {
			e.Err = end.Err
		}
		p.cfg.Hub.Emit(e)
		_ = p.cfg.Identify.Control(&messages.ConnDown{Conn: id})
		if len(p.conns) == 0 {
			_ = p.cfg.Book.Control(&messages.Connectedness{Peer: p.id, Connected: false})
		}
		return
	}
}

func (p *peer) free(c *conn) {
	c.streams.Close()
	c.buffers.Close()
}

func (p *peer) release(id uint64) {
	_ = p.parent.Control(&messages.ConnReleased{Peer: p.id, Conn: id})
}

func (p *peer) close(id uint64, code uint32, reason string) {
	if c := p.conns[id]; c != nil {
		_ = c.ref.Control(&messages.CloseConn{Code: code, Reason: reason})
	}
}

func (p *peer) hangup(m *hangupOn) {
	p.stopDial(errors.New("local: the peer was hung up on"))
	for _, id := range p.ids() {
		p.close(id, m.code, m.reason)
	}
}

func (p *peer) ids() []uint64 {
	out := make([]uint64, 0, len(p.conns))
	for id := range p.conns { // order-free: sorted below
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

func (p *peer) probe(id uint64) {
	c := p.conns[id]
	if c == nil {
		return
	}
	self := p.self
	r := actors.NewReply(c.ref, func(_ time.Duration, err error) { _ = self.Control(&probed{conn: id, err: err}) })
	_ = c.ref.Control(&messages.Probe{Reply: r})
}

// stopping is the last turn: connections are children and end by themselves; what they held is
// given back here because nobody else will see their end.
func (p *peer) stopping() {
	p.stopDial(actors.ErrStopped)
	for _, id := range p.ids() {
		c := p.conns[id]
		p.free(c)
		p.release(id)
		_ = p.cfg.Identify.Control(&messages.ConnDown{Conn: id})
		p.cfg.Hub.Emit(messages.Event{Kind: messages.EventDisconnected, At: p.rt.Now(), Peer: p.id, Conn: c.info, Err: actors.ErrStopped})
	}
	if len(p.conns) > 0 {
		_ = p.cfg.Book.Control(&messages.Connectedness{Peer: p.id, Connected: false})
	}
}
