// Package identify tells peers who this node is, and learns who they are.
//
//	connection up      ConnUp ─> stream /ipfs/id/1.0.0 ─> reader ─> Book, Peers, subscribers
//	inbound id         our message for that connection ─> end
//	inbound id/push    at most so many from each peer ─> reader ─> as above, what is missing stays
//	we have changed    for 500 ms nothing, then id/push to those that know it, 32 at a time
//
// What is read and written is in the core, protocols/identify/message. One actor keeps the table
// of connections; every stream has an actor of its own, so nobody waits for a slow peer, and
// opening a stream for a named protocol never waits for identify. Spec: identify/README.md.
package identify

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"

	ma "github.com/multiformats/go-multiaddr"
)

// DefaultProtocolVersion is what the public IPFS network says. Nobody refuses another.
const DefaultProtocolVersion = "ipfs/0.1.0"

// Config of the service.
type Config struct {
	// Key is the node's. Required.
	Key identity.PrivateKey
	// Agent says what program this is. Default: nothing is said.
	Agent string
	// ProtocolVersion names the network. Default DefaultProtocolVersion.
	ProtocolVersion string
	// State belongs to the node. Default: a new one.
	State *State

	Book actors.Ref[messages.Book]
	// Peers may be left zero and told later, with messages.Introduce.
	Peers actors.Ref[messages.Peers]
	// Hub takes the events; nil: nobody is told.
	Hub *actors.Hub[messages.Event]

	// Announce are addresses that lead here whatever the listeners say; NoAnnounce are told
	// to nobody. See addrs.Announcement.
	Announce, NoAnnounce []ma.Multiaddr
	// Interfaces are the IP addresses of this machine, for listeners on all interfaces. It is
	// called in turns of the actor and must not block. Default: there are none.
	Interfaces func() []netip.Addr
	// OnAddrs is told all addresses that somebody is told, after each change. It is called in
	// turns of the actor and must not block.
	OnAddrs func([]ma.Multiaddr)
	// Extra are protocols to be named that have no handler.
	Extra []string
	// Served and Bound are what messages.Protocols and messages.ListenAddrs say, to be asked
	// when the actor starts, because what was said while it was down is lost, and when one of
	// these messages comes, which may be older than that start. They must not block.
	// Default: what was said last.
	Served func() []string
	Bound  func() []ma.Multiaddr

	// PushAfter is how long changes of our own are gathered before they are pushed. Default
	// 500 ms.
	PushAfter time.Duration
	// RefreshEvery is how often Interfaces is asked while somebody listens on all of them.
	// Default 30 s.
	RefreshEvery time.Duration
}

func (c Config) withDefaults() Config {
	if c.ProtocolVersion == "" {
		c.ProtocolVersion = DefaultProtocolVersion
	}
	if c.PushAfter <= 0 {
		c.PushAfter = 500 * time.Millisecond
	}
	if c.RefreshEvery <= 0 {
		c.RefreshEvery = 30 * time.Second
	}
	if c.Interfaces == nil {
		c.Interfaces = func() []netip.Addr { return nil }
	}
	return c
}

// State is what outlives the actor. Only the actor touches it, but for own, which the handlers
// of streams read. The zero State is ready for Spec.
type State struct {
	own     atomic.Pointer[own]
	renewed time.Time // when own was replaced, or later
	seq     uint64    // of the newest record
	listen  []ma.Multiaddr
	ids     []string
	ifaces  []netip.Addr
	peers   actors.Ref[messages.Peers]
	conns   map[uint64]*conn
	remotes map[identity.ID]*remote
	seen    observed
	ran     bool // not the first incarnation
}

// Spec is how to spawn the service.
func Spec(cfg Config) actors.Spec {
	cfg = cfg.withDefaults()
	if cfg.State == nil {
		cfg.State = &State{}
	}
	if cfg.State.own.Load() == nil {
		cfg.State.own.Store(first(cfg))
	}
	return actors.Spec{
		Name: "identify",
		New:  func() actor.Actor { return &service{cfg: cfg, st: cfg.State} },
	}
}

// service is the actor.
type service struct {
	cfg     Config
	st      *State
	self    actors.Ref[messages.Identify]
	push    *actors.Timer // gathers changes
	refresh *actors.Timer
	queue   []uint64 // connections to be pushed to
	pushing map[uint64]struct{}
	shown   string // the observed addresses on show
}

// What the service is told by itself and by the handlers of its streams.
type (
	pushDue    struct{ messages.Identify }
	refreshDue struct{ messages.Identify }
)

// Receive implements actor.Actor.
func (a *service) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		a.start(ctx)
	case *messages.ConnUp:
		a.connUp(ctx, m)
	case *messages.ConnDown:
		a.connDown(ctx, m.Conn)
	case *messages.ListenAddrs:
		a.st.listen = m.Addrs
		a.askBound()
		a.changed(ctx, true)
	case *messages.Protocols:
		a.st.ids = m.IDs
		a.askServed()
		a.changed(ctx, false)
	case *messages.Introduce:
		a.st.peers = m.Peers
	case *told:
		a.told(ctx, m)
	case *failed:
		a.failed(ctx, m)
	case *pushArrived:
		a.pushArrived(ctx, m)
	case *pushed:
		a.pushed(m)
	case *pushDue:
		a.pushAll()
	case *refreshDue:
		a.changed(ctx, true)
	}
}

// start goes on where the last incarnation ended. Readers of streams have lived on, but what
// they and others said meanwhile may be lost: what is missing is asked again.
func (a *service) start(ctx actor.Context) {
	st := a.st
	a.self = actors.Self[messages.Identify](ctx)
	a.push = actors.NewTimer(ctx, &pushDue{})
	a.refresh = actors.NewTimer(ctx, &refreshDue{})
	a.pushing = map[uint64]struct{}{}
	if st.conns == nil {
		st.conns, st.remotes = map[uint64]*conn{}, map[identity.ID]*remote{}
	}
	if st.peers.IsZero() {
		st.peers = a.cfg.Peers
	}
	a.askBound()
	a.askServed()
	a.changed(ctx, true)
	for _, c := range st.inOrder() {
		switch {
		case c.session.Ended():
			st.drop(c)
		case !c.identified:
			a.ask(c)
		}
	}
	a.show(ctx)
	a.showObserved(ctx)
	a.push.After(a.cfg.PushAfter)
	if st.ran && !st.peers.IsZero() {
		_ = st.peers.Control(&messages.AnnounceConns{})
	}
	st.ran = true
}

// askBound and askServed ask for what is so now. What a message says may be from before this
// actor started, and older than what it was told then.
func (a *service) askBound() {
	if a.cfg.Bound != nil {
		a.st.listen = a.cfg.Bound()
	}
}

func (a *service) askServed() {
	if a.cfg.Served != nil {
		a.st.ids = a.cfg.Served()
	}
}

func (a *service) emit(e messages.Event) {
	if a.cfg.Hub != nil {
		a.cfg.Hub.Emit(e)
	}
}
