package negotiation

import (
	"net/netip"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation/admission"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// GateConfig of a node.
type GateConfig struct {
	// HalfOpen is the number of inbound handshakes under way. Default: admission's.
	HalfOpen int
	Upgrade  Config
	Peers    actors.Ref[messages.Peers]
	Hub      *actors.Hub[messages.Event]
}

// GateSpec is how to spawn the gate.
func GateSpec(cfg GateConfig) actors.Spec {
	return actors.Spec{
		Name: "gate",
		New:  func() actor.Actor { return newGate(cfg) },
		// Accepting never waits: what does not fit is closed.
		Mailbox: actors.Mailbox{Data: 1 << 12},
	}
}

type gate struct {
	cfg      GateConfig
	self     actors.Ref[messages.Gate]
	table    *admission.Table
	upgrades map[uint64]actors.Ref[upgradeMsg]
	last     uint64
}

func newGate(cfg GateConfig) *gate {
	return &gate{
		cfg:      cfg,
		table:    admission.New(admission.Config{Slots: cfg.HalfOpen}),
		upgrades: map[uint64]actors.Ref[upgradeMsg]{},
	}
}

// Receive implements actor.Actor.
func (g *gate) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		g.self = actors.Self[messages.Gate](ctx)
	case *messages.Accepted:
		g.accepted(ctx, m.Conduit)
	case *messages.UpgradeProgressed:
		g.table.Progress(m.ID, admission.Stage(m.Stage))
	case *messages.Upgraded:
		g.done(m.ID)
		_ = g.cfg.Peers.Send(&messages.Arrived{Link: m.Link})
	case *messages.UpgradeFailed:
		g.failed(m)
	case *actor.Terminated:
		if end, ok := actors.ChildEnd(ctx); ok && end.Err != nil {
			g.ended(ctx)
		}
	}
}

func (g *gate) accepted(ctx actor.Context, c conduit.Conduit) {
	ends := c.Endpoints()
	if c.Muxed != nil {
		// Secured by its transport, which bounds its own handshakes.
		_ = g.cfg.Peers.Send(&messages.Arrived{Link: &messages.Link{
			Endpoints: ends, Peer: c.Muxed.Peer(), PublicKey: c.Muxed.PublicKey(), Muxed: c.Muxed,
		}})
		return
	}
	var source netip.Prefix
	if ip, ok := addrs.IP(ends.Remote); ok {
		source = addrs.LimitPrefix(ip)
	}
	g.last++
	id := g.last
	for _, victim := range g.table.Admit(actors.RuntimeOf(ctx).Now(), id, source) {
		if ref, ok := g.upgrades[victim]; ok {
			delete(g.upgrades, victim)
			ref.Stop()
		}
	}
	ref, err := actors.Spawn[upgradeMsg](ctx, Spec(g.cfg.Upgrade, Job{
		ID: id, Conduit: c.Raw, To: actors.Cast[messages.Upgrader](g.self),
		Progress: actors.Cast[messages.Gate](g.self),
	}))
	if err != nil {
		g.table.Done(id)
		c.Abandon()
		return
	}
	g.upgrades[id] = ref
}

func (g *gate) done(id uint64) {
	g.table.Done(id)
	delete(g.upgrades, id)
}

func (g *gate) failed(m *messages.UpgradeFailed) {
	g.done(m.ID)
	g.cfg.Hub.Emit(messages.Event{Kind: messages.EventUpgradeError, Addrs: []ma.Multiaddr{m.Remote}, Err: m.Err})
}

// ended: an upgrade that failed by a bug has told nobody.
func (g *gate) ended(ctx actor.Context) {
	for id, ref := range g.upgrades { // order-free: one matches at most
		if actors.EndedRef(ctx, ref) {
			g.done(id)
			return
		}
	}
}
