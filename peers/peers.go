package peers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/limits"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// Config of a node's peers.
type Config struct {
	Self   identity.ID
	Limits limits.Limits
	Hub    *actors.Hub[messages.Event]
	// State belongs to the node.
	State *State

	Book     actors.Ref[messages.Book]
	Identify actors.Ref[messages.Identify]
	Streams  *actors.Budget // shared by all connections
	Buffers  *actors.Budget
	// Session says how to spawn the actor of a connection.
	Session func(SessionJob) actors.Spec
	// Dial says how to spawn one attempt; CanDial tells why an address cannot be tried.
	Dial    func(DialJob) actors.Spec
	CanDial func(ma.Multiaddr) error
	// Own are the addresses that the node listens on.
	Own func() []ma.Multiaddr
	// Resolve turns DNS names in an address into addresses. It blocks.
	Resolve Resolver
	// Explain makes the errors that users of a stream see; nil leaves them as they are.
	Explain func(op string, peer identity.ID, err error) error
	// DialTimeout bounds one attempt with its upgrade. Default 15 s.
	DialTimeout time.Duration
	// SpareIdle and AgreedIdle are connset's; zero means its defaults.
	SpareIdle, AgreedIdle time.Duration
	// IdleFor is how long a peer without connections and work keeps its actor. Default 10 s.
	IdleFor time.Duration
}

// SessionJob is one connection to be made an actor of.
type SessionJob struct {
	Conn    *stream.Conn
	Link    *messages.Link
	Owner   actors.Ref[messages.Peer]
	Streams *actors.Holder
	Buffers *actors.Holder
}

// DialJob is one attempt.
type DialJob struct {
	Attempt uint64
	Addr    ma.Multiaddr
	Expect  identity.ID
	Timeout time.Duration
	Owner   actors.Ref[messages.Peer]
}

// State outlives the actor: numbers that must not repeat.
type State struct{ conns uint64 }

// Spec is how to spawn the supervisor of all remotes.
func Spec(cfg Config) actors.Spec {
	if cfg.DialTimeout <= 0 {
		cfg.DialTimeout = 15 * time.Second
	}
	if cfg.IdleFor <= 0 {
		cfg.IdleFor = 10 * time.Second
	}
	return actors.Spec{
		Name: "peers",
		New:  func() actor.Actor { return newPeers(cfg) },
		// A peer that fails over and over is ended, never the node.
		Children: actors.Strategy{Exceeded: actors.StopChild},
		Mailbox:  actors.Mailbox{Data: 1 << 14},
	}
}

type peers struct {
	cfg     Config
	self    actors.Ref[messages.Peers]
	account *limits.Account
	remotes map[identity.ID]*remote
	// anonymous dials: to an address, whoever answers there.
	anonymous map[uint64]*anonymousDial
	lastDial  uint64
}

// remote is what peers knows of one peer's actor.
type remote struct {
	id    identity.ID
	ref   actors.Ref[messages.Peer]
	given uint64 // messages that it was given
	conns map[uint64]held
}

// held is one connection's reservation.
type held struct {
	token limits.Token
	conn  *stream.Conn
}

type anonymousDial struct {
	reply actors.Reply[*stream.Conn]
	job   DialJob
}

// ErrSelf refuses to dial this very node.
var ErrSelf = errors.New("local: that is this node itself")

func newPeers(cfg Config) *peers {
	return &peers{
		cfg: cfg, account: limits.New(cfg.Limits),
		remotes: map[identity.ID]*remote{}, anonymous: map[uint64]*anonymousDial{},
	}
}

// Receive implements actor.Actor.
func (p *peers) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		p.self = actors.Self[messages.Peers](ctx)
	case *messages.Open:
		if r := p.want(ctx, m.Peer, m.Reply.Fail); r != nil {
			actors.MoveTo(m.Reply, r.ref)
			p.give(r, &openOn{m: m})
		}
	case *messages.Dial:
		p.dial(ctx, m)
	case *messages.Arrived:
		p.arrived(ctx, m.Link)
	case *messages.Dialled:
		p.anonymousDialled(ctx, m)
	case *messages.ConnReleased:
		p.released(m)
	case *messages.PeerStarted:
		if r := p.remotes[m.Peer]; r != nil {
			p.releaseAll(r)
		}
	case *messages.PeerIdle:
		p.idle(m)
	case *messages.PeerIdentified:
		if r := p.remotes[m.Peer]; r != nil {
			p.give(r, &identifiedOn{conn: m.Conn, protocols: m.Protocols})
		}
	case *messages.Hangup:
		if r := p.remotes[m.Peer]; r != nil {
			p.give(r, &hangupOn{code: m.Code, reason: m.Reason})
		}
	case *messages.ListConns:
		m.Reply.Answer(p.list())
	case *messages.AnnounceConns:
		for _, r := range p.inOrder() {
			p.give(r, &announceOn{})
		}
	case *actor.Terminated:
		p.peerEnded(ctx)
	}
}

// want finds or starts the actor of a peer; nil after it has refused.
func (p *peers) want(ctx actor.Context, id identity.ID, refuse func(error)) *remote {
	switch {
	case id == "":
		refuse(errors.New("local: no peer ID given"))
		return nil
	case id == p.cfg.Self:
		refuse(ErrSelf)
		return nil
	}
	if r := p.remotes[id]; r != nil {
		return r
	}
	ref, err := actors.Spawn[messages.Peer](ctx, peerSpec(p.cfg, id, p.self))
	if err != nil {
		refuse(err)
		return nil
	}
	r := &remote{id: id, ref: ref, conns: map[uint64]held{}}
	p.remotes[id] = r
	return r
}

func (p *peers) give(r *remote, m messages.Peer) {
	r.given++
	_ = r.ref.Control(m)
}

func (p *peers) dial(ctx actor.Context, m *messages.Dial) {
	if m.Peer != "" || len(m.Addrs) != 1 {
		if r := p.want(ctx, m.Peer, m.Reply.Fail); r != nil {
			actors.MoveTo(m.Reply, r.ref)
			p.give(r, &dialOn{m: m})
		}
		return
	}
	if err := p.cfg.CanDial(m.Addrs[0]); err != nil {
		m.Reply.Fail(err)
		return
	}
	p.lastDial++
	job := DialJob{
		Attempt: p.lastDial, Addr: m.Addrs[0], Timeout: p.cfg.DialTimeout, Owner: actors.Cast[messages.Peer](p.self),
	}
	if _, err := actors.Spawn[any](ctx, p.cfg.Dial(job)); err != nil {
		m.Reply.Fail(err)
		return
	}
	p.anonymous[p.lastDial] = &anonymousDial{m.Reply, job}
}

func (p *peers) anonymousDialled(ctx actor.Context, m *messages.Dialled) {
	a := p.anonymous[m.Attempt]
	delete(p.anonymous, m.Attempt)
	switch {
	case a == nil:
		m.Discard(actors.ErrStopped)
	case m.Err != nil:
		a.reply.Fail(fmt.Errorf("dialling %s: %w", a.job.Addr, m.Err))
	default:
		r := p.want(ctx, m.Link.Peer, a.reply.Fail)
		if r == nil {
			m.Link.Close()
			return
		}
		// The connection is the first answer to a dial that wants any.
		actors.MoveTo(a.reply, r.ref)
		p.give(r, &dialOn{m: &messages.Dial{Peer: m.Link.Peer, Reply: a.reply}, linked: true})
		p.arrived(ctx, m.Link)
	}
}

// arrived admits a link or closes it.
func (p *peers) arrived(ctx actor.Context, l *messages.Link) {
	refuse := func(err error) {
		l.Close()
		p.cfg.Hub.Emit(messages.Event{Kind: messages.EventRefused, Peer: l.Peer, Err: err})
		if r := p.remotes[l.Peer]; r != nil {
			p.give(r, &messages.LinkRefused{Link: l, Err: err})
		}
	}
	r := p.want(ctx, l.Peer, refuse)
	if r == nil {
		return
	}
	side := limits.Remote
	if l.Endpoints.Direction == conduit.Outbound {
		side = limits.Local
	}
	token, err := p.account.Conn(l.Peer, side)
	if err != nil {
		refuse(err)
		return
	}
	p.cfg.State.conns++
	conn := &stream.Conn{
		Endpoints: l.Endpoints, ID: p.cfg.State.conns, Peer: l.Peer, Key: l.PublicKey,
		Security: l.Secured.Security, Muxer: l.Secured.Muxer, Early: l.Secured.Early,
		Since: actors.RuntimeOf(ctx).Now(),
	}
	if f := p.cfg.Explain; f != nil {
		conn.Explain = func(op string, err error) error { return f(op, l.Peer, err) }
	}
	r.conns[conn.ID] = held{token, conn}
	p.give(r, &addLink{conn: conn, link: l})
}

func (p *peers) released(m *messages.ConnReleased) {
	r := p.remotes[m.Peer]
	if r == nil {
		return
	}
	if h, ok := r.conns[m.Conn]; ok {
		delete(r.conns, m.Conn)
		p.account.Release(h.token)
	}
}

func (p *peers) releaseAll(r *remote) {
	for _, h := range r.conns { // order-free: releasing commutes
		p.account.Release(h.token)
	}
	clear(r.conns)
}

// idle stops a peer's actor, unless it has been given something since it said so.
func (p *peers) idle(m *messages.PeerIdle) {
	r := p.remotes[m.Peer]
	if r == nil || r.given != m.Seen || len(r.conns) > 0 {
		return
	}
	delete(p.remotes, m.Peer)
	r.ref.Stop()
}

// peerEnded: an actor that ended by itself takes nothing along but its own connections.
func (p *peers) peerEnded(ctx actor.Context) {
	for _, r := range p.remotes { // order-free: one matches at most
		if actors.EndedRef(ctx, r.ref) {
			p.releaseAll(r)
			delete(p.remotes, r.id)
			return
		}
	}
}

func (p *peers) inOrder() []*remote {
	out := make([]*remote, 0, len(p.remotes))
	for _, r := range p.remotes { // order-free: sorted below
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *remote) int { return strings.Compare(string(a.id), string(b.id)) })
	return out
}

func (p *peers) list() []*stream.Conn {
	var out []*stream.Conn
	for _, r := range p.remotes { // order-free: sorted below
		for _, h := range r.conns { // order-free: sorted below
			out = append(out, h.conn)
		}
	}
	slices.SortFunc(out, func(a, b *stream.Conn) int { return int(int64(a.ID) - int64(b.ID)) })
	return out
}
