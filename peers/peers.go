package peers

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/connset"
	"github.com/troupe-p2p/troupe/peers/dialplan"
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
	// State belongs to the node. Default: one that does not outlive the actor's spec.
	State *State
	// Routes are kept up to date. Default: some that nobody reads.
	Routes *Routes

	Book     actors.Ref[messages.Book]
	Identify actors.Ref[messages.Identify]
	Streams  *actors.Budget // shared by all connections
	Buffers  *actors.Budget
	// Session says how to spawn the actor of a connection.
	Session func(SessionJob) actors.Spec
	// Refuse tells the remote of a link why it does not become a connection, and closes it. It
	// must not block. Default: it is closed without a word.
	Refuse func(l *messages.Link, code uint32, reason string)
	// Dial says how to spawn one attempt; CanDial tells why an address cannot be tried.
	Dial    func(DialJob) actors.Spec
	CanDial func(ma.Multiaddr) error
	// Marks say which peers to keep. Default: none.
	Marks *Marks
	// Stories are told of every dial that has ended. Default: nobody is.
	Stories *Stories
	// Own are the addresses that the node listens on.
	Own func() []ma.Multiaddr
	// Resolve turns DNS names in an address into addresses. It blocks.
	Resolve Resolver
	// OnCount is told how many connections and dials there are, after each change. It must not
	// block.
	OnCount func(conns, dials int)
	// Explain makes the errors that users of a stream see; nil leaves them as they are.
	Explain func(op string, peer identity.ID, err error) error
	// DialTimeout bounds one attempt with its upgrade. Default 15 s.
	DialTimeout time.Duration
	// SpareIdle and AgreedIdle are connset's; zero means its defaults.
	SpareIdle, AgreedIdle time.Duration
	// IdleFor is how long a peer without connections and work keeps its actor after a dial that
	// failed; after anything else it is a second at most. Default 10 s.
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

// State outlives the actor: numbers that must not repeat, and what peers are remembered by that
// have no actor now.
type State struct {
	conns, dials, peers uint64
	failures            failures
	holes               dialplan.BlackHoles
}

// maxCalls is how many calls and arrivals may wait for peers, and how many calls for one peer.
// It stops a program that asks faster than it is answered, and remotes that finish handshakes
// faster than their connections are made: calls are refused with an answer, links are closed.
const maxCalls = 1 << 14

// Spec is how to spawn the supervisor of all remotes.
func Spec(cfg Config) actors.Spec {
	if cfg.DialTimeout <= 0 {
		cfg.DialTimeout = 15 * time.Second
	}
	if cfg.IdleFor <= 0 {
		cfg.IdleFor = 10 * time.Second
	}
	if cfg.State == nil {
		cfg.State = &State{}
	}
	if cfg.Routes == nil {
		cfg.Routes = &Routes{}
	}
	if cfg.Marks == nil {
		cfg.Marks = &Marks{}
	}
	if cfg.Refuse == nil {
		cfg.Refuse = func(l *messages.Link, _ uint32, _ string) { l.Close() }
	}
	return actors.Spec{
		Name: "peers",
		New:  func() actor.Actor { return newPeers(cfg) },
		// A peer that fails over and over is ended, never the node.
		Children: actors.Strategy{Exceeded: actors.StopChild},
		Mailbox:  actors.Mailbox{Data: maxCalls},
	}
}

type peers struct {
	cfg     Config
	self    actors.Ref[messages.Peers]
	timer   *actors.Timer // for deadlines of anonymous dials
	due     time.Time     // the earliest of them
	account *limits.Account
	permits permits
	remotes map[identity.ID]*remote
	named   map[string]*remote // by the names of their actors, those that are stopping too
	// anonymous dials: to an address, whoever answers there.
	anonymous    map[uint64]*anonymousDial
	conns, dials int // what OnCount was told
	// parked links wait for the end of the connections, by number, that make room for them.
	parked  map[uint64]*messages.Link // len <= maxParked
	crowded crowded
}

// remote is what peers knows of one peer's actor.
type remote struct {
	id     identity.ID
	ref    actors.Ref[messages.Peer]
	ledger *ledger
	given  uint64 // messages that it was given
	conns  []held
	dials  map[uint64]*permit // by attempt; nil until the first
}

// held is one connection's reservation.
type held struct {
	token limits.Token
	conn  *stream.Conn
	lease messages.Lease // of an inbound one
	side  limits.Side
	use   *use
	going bool // it makes room for another
}

// free gives back what was booked for a connection.
func (p *peers) free(h held) {
	p.account.Release(h.token)
	messages.Release(h.lease)
}

// ErrSelf refuses to dial this very node.
var ErrSelf = errors.New("local: that is this node itself")

func newPeers(cfg Config) *peers {
	l := cfg.Limits
	if l.ConnsPerPeer >= 0 {
		// A peer's own actor keeps to the limit, and makes room for a newcomer by closing a
		// connection that is not in use; until that has ended it counts here.
		l.ConnsPerPeer = 2 * connsPerPeer(cfg.Limits)
	}
	account := limits.New(l)
	return &peers{
		cfg: cfg, account: account, permits: permits{account: account},
		remotes: map[identity.ID]*remote{}, named: map[string]*remote{}, anonymous: map[uint64]*anonymousDial{},
		parked: map[uint64]*messages.Link{},
		conns:  -1,
	}
}

func connsPerPeer(l limits.Limits) int { return l.WithDefaults().ConnsPerPeer }

// Receive implements actor.Actor.
func (p *peers) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		p.self = actors.Self[messages.Peers](ctx)
		p.timer = actors.NewTimer(ctx, &tick{})
	case *messages.Open:
		if r := p.want(ctx, m.Peer, m.Reply.Fail); r != nil {
			actors.MoveTo(m.Reply, r.ref)
			p.pass(r, m)
		}
	case *messages.Dial:
		p.dial(ctx, m)
	case *messages.Arrived:
		p.arrived(ctx, m.Link)
	case *messages.Dialled:
		p.anonymousDialled(ctx, m)
	case *dialWanted:
		p.dialWanted(ctx, m)
	case *dialOver:
		if m.addr != nil {
			p.cfg.State.holes.Handle(m.addr, m.outcome, m.took)
		}
		if r := p.remotes[m.peer]; r != nil {
			p.endDial(ctx, r, m.attempt)
		}
	case *messages.ConnReleased:
		p.released(ctx, m)
	case *messages.PeerStarted:
		if r := p.remotes[m.Peer]; r != nil {
			p.endDials(ctx, r)
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
	case *unwanted:
		p.anonymousUnwanted(ctx, m.req)
	case *tick:
		p.anonymousLate(ctx)
	case *actor.Terminated:
		p.childEnded(ctx)
	case *actor.Stopping, *actor.Restarting:
		p.letGo()
	case *actor.Stopped:
		p.account = limits.New(p.cfg.Limits) // all children have ended
	}
	p.count()
}

// letGo gives back what is not this actor's alone: its children are about to be stopped, and nobody else
// will see their end.
func (p *peers) letGo() {
	for _, r := range p.named { // order-free: all of them are given back
		for _, h := range r.conns {
			messages.Release(h.lease)
		}
	}
	for _, l := range p.parked { // order-free: all of them are closed
		l.Close()
	}
	clear(p.parked)
}

// count tells how many there are. A new incarnation begins with none.
func (p *peers) count() {
	conns, dials := p.account.Counts()
	if (conns != p.conns || dials != p.dials) && p.cfg.OnCount != nil {
		p.conns, p.dials = conns, dials
		p.cfg.OnCount(conns, dials)
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
	l := &ledger{backoff: p.cfg.State.failures.take(id)}
	spec := peerSpec(&p.cfg, id, p.self, l)
	p.cfg.State.peers++
	spec.Follow = true
	spec.Name = "peer-" + strconv.FormatUint(p.cfg.State.peers, 10)
	ref, err := actors.Spawn[messages.Peer](ctx, spec)
	if err != nil {
		refuse(err)
		return nil
	}
	r := &remote{id: id, ref: ref, ledger: l}
	p.remotes[id], p.named[spec.Name] = r, r
	return r
}

// give tells a peer what the node itself has to say.
func (p *peers) give(r *remote, m any) {
	r.given++
	_ = r.ref.Control(&given{m: m, to: r.ledger})
}

// pass hands a call on to a peer, or answers that too many wait.
func (p *peers) pass(r *remote, m any) {
	r.given++
	_ = r.ref.Send(&given{m: m, to: r.ledger})
}

func (p *peers) dial(ctx actor.Context, m *messages.Dial) {
	if m.Peer == "" && len(m.Addrs) == 1 {
		p.dialAnonymous(ctx, m)
		return
	}
	if r := p.want(ctx, m.Peer, m.Reply.Fail); r != nil {
		actors.MoveTo(m.Reply, r.ref)
		p.pass(r, &dialOn{m: m})
	}
}

// arrived admits a link or closes it. Nothing is spawned for one that is refused.
func (p *peers) arrived(ctx actor.Context, l *messages.Link) {
	now := actors.RuntimeOf(ctx).Now()
	refuse := func(err error) {
		p.cfg.refuse(l, err)
		p.cfg.Hub.Emit(messages.Event{Kind: messages.EventRefused, At: now, Peer: l.Peer, Err: err})
		if r := p.remotes[l.Peer]; r != nil {
			p.give(r, &messages.LinkRefused{Link: l, Err: err})
		}
	}
	side := limits.Remote
	if l.Endpoints.Direction == conduit.Outbound {
		side = limits.Local
	}
	token, err := p.account.Conn(l.Peer, side)
	if err != nil {
		if p.makeRoom(now, l, side, err) {
			return
		}
		refuse(err)
		return
	}
	r := p.want(ctx, l.Peer, refuse)
	if r == nil {
		p.account.Release(token)
		return
	}
	p.cfg.State.conns++
	conn := &stream.Conn{
		Endpoints: l.Endpoints, ID: p.cfg.State.conns, Peer: l.Peer, Key: l.PublicKey,
		Security: l.Secured.Security, Muxer: l.Secured.Muxer, Early: l.Secured.Early,
		Since: now,
	}
	if f := p.cfg.Explain; f != nil {
		conn.Explain = func(op string, err error) error { return f(op, conn.Peer, err) } // not l's: it may go
	}
	h := held{token: token, conn: conn, lease: l.Lease, side: side, use: &use{}}
	h.use.quiet.Store(now.UnixNano())
	r.conns = append(r.conns, h)
	p.give(r, &addLink{conn: conn, link: l, use: h.use, from: p.self})
}

// refuse closes a link; if that is for a limit, the remote gets to know.
func (c *Config) refuse(l *messages.Link, err error) {
	var r limits.Refusal
	if !errors.As(err, &r) {
		l.Close()
		return
	}
	c.Refuse(l, connset.CodeLimit, "limit: too many "+r.Unit)
}

func (p *peers) released(ctx actor.Context, m *messages.ConnReleased) {
	r := p.remotes[m.Peer]
	if r == nil {
		return
	}
	r.conns = slices.DeleteFunc(r.conns, func(h held) bool {
		if h.conn.ID == m.Conn {
			p.free(h)
			return true
		}
		return false
	})
	p.unpark(ctx, m.Conn)
}

func (p *peers) dialWanted(ctx actor.Context, m *dialWanted) {
	r := p.remotes[m.peer]
	if r == nil || r.dials[m.attempt] != nil {
		return
	}
	pm := &permit{peer: m.peer, begin: func(_ actor.Context, err error) {
		if err == nil {
			err = p.cfg.State.holes.Allow(m.addr)
		}
		p.give(r, &granted{attempt: m.attempt, err: err})
	}}
	put(&r.dials, m.attempt, pm)
	p.permits.want(ctx, pm)
}

func (p *peers) endDial(ctx actor.Context, r *remote, attempt uint64) {
	pm := r.dials[attempt]
	delete(r.dials, attempt)
	p.permits.end(ctx, pm)
}

func (p *peers) endDials(ctx actor.Context, r *remote) {
	attempts := slices.Sorted(maps.Keys(r.dials)) // order-free: sorted
	for _, n := range attempts {
		p.endDial(ctx, r, n)
	}
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

func (p *peers) childEnded(ctx actor.Context) {
	end, ok := actors.ChildEnd(ctx)
	if !ok {
		return
	}
	if r := p.named[end.Name]; r != nil {
		p.peerEnded(ctx, r, end)
		return
	}
	// After an orderly end the outcome is on its way: Terminated overtakes it.
	if n, ok := dialNumber(end.Name); ok && end.Err != nil {
		p.anonymousEnded(ctx, n, end.Err)
	}
}

// peerEnded gives back all that the actor of a peer held, whatever ended it.
func (p *peers) peerEnded(ctx actor.Context, r *remote, end actors.End) {
	delete(p.named, end.Name)
	if p.remotes[r.id] == r {
		delete(p.remotes, r.id)
		p.cfg.Routes.Forget(r.id)
	}
	gone := r.conns
	r.conns = nil
	for _, h := range gone {
		p.free(h)
	}
	p.endDials(ctx, r)
	if p.remotes[r.id] == nil && !errors.Is(end.Err, actors.ErrAbandoned) {
		p.cfg.State.failures.keep(r.id, r.ledger.backoff)
	}
	for _, h := range gone {
		p.unpark(ctx, h.conn.ID)
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
		for _, h := range r.conns {
			out = append(out, h.conn)
		}
	}
	slices.SortFunc(out, func(a, b *stream.Conn) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
