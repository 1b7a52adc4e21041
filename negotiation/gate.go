package negotiation

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

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
	// Door has counted what the gate gets; who was turned away there is told by the gate. May be nil.
	Door *Door
	// OnCount is told how many slots are taken, after each change. It must not block.
	OnCount func(halfOpen int)
}

const (
	// maxAccepted is how many connections may wait for the gate. It stops a flood that is
	// accepted faster than it is looked at; what does not fit is closed.
	maxAccepted = 1 << 12
	// reportEvery is how often a flood is reported.
	reportEvery = time.Second
)

// GateSpec is how to spawn the gate.
func GateSpec(cfg GateConfig) actors.Spec {
	last := new(uint64) // a failure must not make the numbers of upgrades repeat
	return actors.Spec{
		Name:    "gate",
		New:     func() actor.Actor { return newGate(cfg, last) },
		Mailbox: actors.Mailbox{Data: maxAccepted},
	}
}

type gate struct {
	cfg      GateConfig
	self     actors.Ref[messages.Gate]
	table    *admission.Table
	pace     pace
	waiting  []newcomer // in order; len <= maxWaiting
	resume   *actors.Timer
	upgrades map[uint64]half
	refused  refusals
	last     *uint64
	report   *actors.Timer
	evicted  uint64 // since the last report
	failures uint64 // upgrades that failed for their remotes' reasons
	counted  int    // what OnCount was told
}

// newcomer is a connection that waits for its slot.
type newcomer struct {
	conduit.Conduit
	lease messages.Lease
}

func (n newcomer) abandon() {
	n.Abandon()
	messages.Release(n.lease)
}

// half is a half-open connection. Its upgrade gives the lease back or hands it on; the gate does only
// for one that has failed by a bug.
type half struct {
	ref   actors.Ref[upgradeMsg]
	lease messages.Lease
}

// The timers' messages.
type (
	reportDue struct{ messages.Gate }
	resumeDue struct{ messages.Gate }
)

// EvictedError says that half-open connections lost their slots to newcomers.
type EvictedError struct {
	N     uint64 // how many, since the last report
	Slots int    // Limits.HalfOpen
	// Source holds most of the slots now: Held of them.
	Source netip.Prefix
	Held   int
}

func (e *EvictedError) Error() string {
	return fmt.Sprintf("limit: %d half-open connections lost their slots to newcomers; %d of %d are held by %v (Limits.HalfOpen)", e.N, e.Held, e.Slots, e.Source)
}

func newGate(cfg GateConfig, last *uint64) *gate {
	return &gate{
		cfg:      cfg,
		table:    admission.New(admission.Config{Slots: cfg.HalfOpen}),
		pace:     pace{slots: slots(cfg.HalfOpen)},
		upgrades: map[uint64]half{},
		last:     last,
		counted:  -1,
	}
}

// slots is admission's reading of HalfOpen.
func slots(n int) int {
	if n == 0 {
		return admission.DefaultSlots
	}
	return max(1, n)
}

// Receive implements actor.Actor.
func (g *gate) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		g.self = actors.Self[messages.Gate](ctx)
		g.report = actors.NewTimer(ctx, &reportDue{})
		g.resume = actors.NewTimer(ctx, &resumeDue{})
		g.hear(ctx) // what the last incarnation was told of and did not get to
	case *messages.Accepted:
		g.accepted(ctx, newcomer{m.Conduit, m.Lease})
	case *messages.Turned:
		g.hear(ctx)
	case *messages.UpgradeProgressed:
		g.table.Progress(m.ID, admission.Stage(m.Stage))
	case *messages.Upgraded:
		g.done(m.ID)
		_ = g.cfg.Peers.Send(&messages.Arrived{Link: m.Link})
		g.admitWaiting(ctx)
	case *messages.UpgradeFailed:
		g.failed(ctx, m)
		g.admitWaiting(ctx)
	case *resumeDue:
		g.admitWaiting(ctx)
	case *reportDue:
		g.tell(ctx)
	case *actor.Terminated:
		g.ended(ctx)
	case *actor.Stopping, *actor.Restarting:
		for _, c := range g.waiting {
			c.abandon()
		}
		g.waiting = nil
	case *actor.Stopped:
		g.table = admission.New(admission.Config{Slots: g.cfg.HalfOpen}) // all children have ended
	}
	g.count()
}

// count tells how many slots are taken. A new incarnation begins with none.
func (g *gate) count() {
	if n := g.table.Len(); n != g.counted && g.cfg.OnCount != nil {
		g.counted = n
		g.cfg.OnCount(n)
	}
}

func (g *gate) accepted(ctx actor.Context, c newcomer) {
	if c.Muxed != nil && g.cfg.Upgrade.Core.Network != nil {
		c.abandon() // no pre-shared key covers it
		return
	}
	if c.Muxed != nil && !g.cfg.Upgrade.Hooks.any() {
		// Secured by its transport, which bounds its own handshakes. With hooks to ask it waits
		// for them as others wait for their handshakes.
		_ = g.cfg.Peers.Send(&messages.Arrived{Link: &messages.Link{
			Endpoints: c.Endpoints(), Peer: c.Muxed.Peer(), PublicKey: c.Muxed.PublicKey(), Muxed: c.Muxed, Lease: c.lease,
		}})
		return
	}
	if len(g.waiting) >= maxWaiting {
		c.abandon()
		return
	}
	g.waiting = append(g.waiting, c)
	g.admitWaiting(ctx)
}

// admitWaiting lets newcomers in, in order, as long as there is a free slot or one may be taken.
func (g *gate) admitWaiting(ctx actor.Context) {
	now := actors.RuntimeOf(ctx).Now()
	for len(g.waiting) > 0 && (g.table.Len() < g.pace.slots || g.pace.take(now)) {
		c := g.waiting[0]
		g.waiting[0] = newcomer{}
		if g.waiting = g.waiting[1:]; len(g.waiting) == 0 {
			g.waiting = nil
		}
		g.admit(ctx, now, c)
	}
	if len(g.waiting) > 0 && !g.resume.IsSet() {
		g.resume.After(g.pace.next())
	}
}

func (g *gate) admit(ctx actor.Context, now time.Time, c newcomer) {
	var source netip.Prefix
	if ip, ok := addrs.IP(c.Endpoints().Remote); ok {
		source = addrs.LimitPrefix(ip)
	}
	*g.last++
	id := *g.last
	for _, victim := range g.table.Admit(now, id, source) {
		g.evicted++
		g.upgrades[victim].ref.Stop()
		delete(g.upgrades, victim)
	}
	if !g.report.IsSet() {
		g.report.After(reportEvery)
	}
	spec := Spec(g.cfg.Upgrade, Job{
		ID: id, Conduit: c.Raw, Muxed: c.Muxed, Lease: c.lease, To: actors.Cast[messages.Upgrader](g.self),
		Progress: actors.Cast[messages.Gate](g.self),
	})
	spec.Name = upgradeName + strconv.FormatUint(id, 10)
	ref, err := actors.Spawn[upgradeMsg](ctx, spec)
	if err != nil {
		g.table.Done(id)
		c.abandon()
		return
	}
	g.upgrades[id] = half{ref, c.lease}
}

// upgradeName, with its number behind, is an upgrade's.
const upgradeName = "upgrade-"

// done frees a slot. It reports whether the upgrade still had one.
func (g *gate) done(id uint64) bool {
	delete(g.upgrades, id)
	return g.table.Done(id)
}

// failed does not speak of the evicted one by one: a flood would fill every subscriber's feed.
func (g *gate) failed(ctx actor.Context, m *messages.UpgradeFailed) {
	if !g.done(m.ID) {
		return
	}
	g.failures++
	var gated *messages.GatedError
	if errors.As(m.Err, &gated) {
		g.refuse(ctx, gated.Peer, m.Remote, m.Err)
		return
	}
	g.cfg.Hub.Emit(messages.Event{
		Kind: messages.EventUpgradeError, At: actors.RuntimeOf(ctx).Now(), Addrs: []ma.Multiaddr{m.Remote}, Err: m.Err,
	})
}

// ended: an upgrade that failed by a bug has perhaps told nobody.
func (g *gate) ended(ctx actor.Context) {
	end, ok := actors.ChildEnd(ctx)
	if !ok || end.Err == nil {
		return // what it has told is on its way: Terminated overtakes it
	}
	if n, ok := strings.CutPrefix(end.Name, upgradeName); ok {
		if id, err := strconv.ParseUint(n, 10, 64); err == nil {
			if h, ok := g.upgrades[id]; ok {
				messages.Release(h.lease)
			}
			g.done(id)
		}
	}
}

// tell shows how full the gate is, for as long as anybody is in it.
func (g *gate) tell(ctx actor.Context) {
	now := actors.RuntimeOf(ctx).Now()
	n := g.table.Len()
	st := g.table.Stats()
	actors.Publish(ctx, "half open", strconv.Itoa(n))
	actors.Publish(ctx, "accepted", strconv.FormatUint(st.Admitted, 10))
	actors.Publish(ctx, "failed", strconv.FormatUint(g.failures, 10))
	if g.refused.total > 0 {
		actors.Publish(ctx, "refused", strconv.FormatUint(g.refused.total, 10))
	}
	if g.evicted > 0 {
		e := &EvictedError{N: g.evicted, Slots: g.pace.slots}
		e.Source, e.Held = g.table.TopSource()
		g.evicted = 0
		actors.Publish(ctx, "evicted", fmt.Sprint(st.Evicted))
		g.cfg.Hub.Emit(messages.Event{Kind: messages.EventRefused, At: now, Err: e})
	}
	g.refused.tell(g.cfg.Hub, now)
	if n > 0 || g.refused.spoke {
		g.report.After(reportEvery)
	}
}
