package peers

import (
	"errors"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/clean"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/connset"
	"github.com/troupe-p2p/troupe/stream"
)

// peer is the actor of one remote: it owns the set of its connections, and whoever waits for
// one.
type peer struct {
	cfg    *Config // shared by all
	id     identity.ID
	parent actors.Ref[messages.Peers]
	ledger *ledger

	self  actors.Ref[messages.Peer]
	rt    *actors.Runtime
	set   *connset.Set
	opens map[uint64]*messages.Open // waiting, by request; len <= connset's cap
	calls []call                    // that wait for a connection; len <= maxDials
	timer *actors.Timer
	due   time.Time // no call's deadline is earlier; zero: none has one
	req   uint64
	last  error     // why the last dial failed
	idle  time.Time // when it has been idle for long enough; zero: it is not
	over  bool      // this incarnation has said goodbye
	route uint64    // the connection that is in Routes; 0: none

	// Most peers are never dialled: what follows is made by put when it is needed.
	plan     *dialing
	attempts map[uint64]*attempt // under way, of this dial or earlier ones
	// extra links of a dial that has got one already; they are closed when they arrive.
	extra map[*messages.Link]struct{}
	// coming are links of dials that are over, because the peer was reached in another way.
	coming map[*messages.Link]struct{}
}

// call is somebody who waits for a connection.
type call struct {
	req      uint64
	reply    actors.Reply[*stream.Conn]
	deadline time.Time
	link     *messages.Link // the one that it waits for; nil: any
}

// maxDials is how many calls wait for a connection with one peer. It stops a program that keeps
// asking for a peer whose address swallows every dial.
const maxDials = 1024

// brieflyIdle is how long a peer keeps its actor of which there is nothing to remember. It stops
// connections of endless identities, one after another, from becoming as many actors.
const brieflyIdle = time.Second

func peerSpec(cfg *Config, id identity.ID, parent actors.Ref[messages.Peers], l *ledger) actors.Spec {
	return actors.Spec{
		Kind:    "peer",
		New:     func() actor.Actor { return &peer{cfg: cfg, id: id, parent: parent, ledger: l} },
		Restart: actors.Transient,
		Mailbox: actors.Mailbox{Data: maxCalls},
	}
}

// Receive implements actor.Actor.
func (p *peer) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		p.start(ctx)
	case *given:
		m.settle()
		p.given(ctx, m.m)
	case *found:
		p.found(ctx, m)
	case *resolved:
		p.resolved(m)
	case *messages.Dialled:
		p.dialled(m)
	case *messages.StreamsChanged:
		p.streamsChanged(m)
	case *messages.ConnEnded:
		if c := p.ledger.conns.get(m.Conn); c != nil {
			c.ended = m
			p.set.Remove(m.Conn)
		}
	case *connOver:
		if c := p.ledger.conns.named(m.name); c != nil {
			p.connGone(c, nil)
		}
	case *probed:
		if m.err == nil {
			p.set.Alive(m.conn)
		}
	case *unwanted:
		p.unwanted(m.req)
	case *tick:
		p.tick()
	case *actor.Terminated:
		p.childEnded(ctx)
	case *actor.Stopping, *actor.Restarting:
		p.goodbye()
	}
	if !p.over {
		p.drain(ctx)
	}
	if p.set != nil {
		p.publish()
	}
}

func (p *peer) given(ctx actor.Context, m any) {
	switch m := m.(type) {
	case *messages.Open:
		p.open(ctx, m)
	case *dialOn:
		p.wantConn(ctx, m)
	case *addLink:
		p.addLink(ctx, m)
	case *messages.LinkRefused:
		p.linkFailed(m.Link, m.Err)
	case *granted:
		p.granted(ctx, m)
	case *identifiedOn:
		p.set.Identified(slices.Contains(m.protocols, connset.Rule))
	case *announceOn:
		for _, id := range p.ids() {
			c := p.ledger.conns.get(id)
			_ = p.cfg.Identify.Control(&messages.ConnUp{Conn: c.info, Session: c.ref})
		}
	case *evictOn:
		p.evict(m)
	case *hangupOn:
		p.hangup(m)
	}
}

func (p *peer) start(ctx actor.Context) {
	p.self = actors.Self[messages.Peer](ctx)
	p.rt = actors.RuntimeOf(ctx)
	p.set = connset.New(connset.Config{
		Self: p.cfg.Self, Peer: p.id, Cap: connsPerPeer(p.cfg.Limits),
		SpareIdle: p.cfg.SpareIdle, AgreedIdle: p.cfg.AgreedIdle,
	})
	p.timer = actors.NewTimer(ctx, &tick{})
	p.farewell(actors.ErrRestarting) // what the last incarnation did not get to
	id := p.id
	actors.Describe(ctx, func() []actors.KeyValue { return []actors.KeyValue{{Key: "peer", Value: id.String()}} })
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
	waited := len(p.opens) > 0 || len(p.calls) > 0
	switch {
	case waited || len(p.ledger.conns) > 0 || p.plan != nil || len(p.attempts) > 0 || len(p.extra)+len(p.coming) > 0:
		p.idle = time.Time{}
	case p.idle.IsZero():
		p.idle = now.Add(p.patience())
		actors.Publish(ctx, "last dial", p.lastFailure())
	}
	at, ok := p.set.Deadline()
	if p.plan != nil {
		t, some := p.plan.d.Deadline()
		at, ok = sooner(at, ok, t, some)
	}
	at, ok = sooner(at, ok, p.idle, !p.idle.IsZero())
	at, ok = sooner(at, ok, p.due, !p.due.IsZero())
	if ok {
		p.timer.Set(at)
	} else {
		p.timer.Stop()
	}
}

// put makes the map that most peers do without.
func put[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[k] = v
}

func sooner(a time.Time, aOK bool, b time.Time, bOK bool) (time.Time, bool) {
	if !aOK || bOK && b.Before(a) {
		return b, bOK
	}
	return a, true
}

// patience is how long the actor stays without anything to do.
func (p *peer) patience() time.Duration {
	if p.last != nil || p.ledger.backoff.Len() > 0 {
		return p.cfg.IdleFor
	}
	return min(brieflyIdle, p.cfg.IdleFor)
}

func (p *peer) tick() {
	now := p.rt.Now()
	p.set.HandleTimeout(now)
	p.dialTimeout(now)
	if !p.due.IsZero() && !now.Before(p.due) {
		p.late(now)
	}
	if !p.idle.IsZero() && !now.Before(p.idle) {
		p.idle = now.Add(p.cfg.IdleFor)
		_ = p.parent.Control(&messages.PeerIdle{Peer: p.id, Seen: p.ledger.settled.Load()})
	}
}

// ErrNotConnected answers an open that must not dial.
var ErrNotConnected = errors.New("local: there is no connection with the peer, and the open must not dial")

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
		put(&p.opens, p.req, m)
		m.Reply.OnGivenUp(p.tellUnwanted(p.req))
		p.dial(ctx, m.Addrs, false)
	}
}

func (p *peer) openOn(id uint64, m *messages.Open) {
	c := p.ledger.conns.get(id)
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
	p.stopUnwanted()
}

// tellUnwanted makes what whoever waits for req calls when they wait no longer.
func (p *peer) tellUnwanted(req uint64) func() {
	self := p.self
	return func() { _ = self.Control(&unwanted{req: req}) }
}

// unwanted forgets somebody who waits no longer.
func (p *peer) unwanted(req uint64) {
	if m := p.opens[req]; m != nil && m.Reply.Gone() {
		p.set.Cancel(req)
		delete(p.opens, req)
	}
	p.calls = slices.DeleteFunc(p.calls, func(c call) bool { return c.req == req && c.reply.Gone() })
	p.stopUnwanted()
}

// late answers the calls whose time is over.
func (p *peer) late(now time.Time) {
	p.due = time.Time{}
	p.calls = slices.DeleteFunc(p.calls, func(c call) bool {
		if !c.deadline.IsZero() && !now.Before(c.deadline) {
			c.reply.Fail(connset.ErrNoConnection)
			return true
		}
		p.dueAt(c.deadline)
		return false
	})
	p.stopUnwanted()
}

func (p *peer) dueAt(deadline time.Time) {
	if !deadline.IsZero() && (p.due.IsZero() || deadline.Before(p.due)) {
		p.due = deadline
	}
}

// stopUnwanted ends a dial that nobody waits for.
func (p *peer) stopUnwanted() {
	if p.plan != nil && len(p.opens) == 0 && len(p.calls) == 0 {
		p.stopDial(errUnwanted)
	}
}

// lastFailure is for the tree.
func (p *peer) lastFailure() string {
	if p.last == nil {
		return ""
	}
	return clean.Text(p.last.Error(), clean.MaxError)
}
