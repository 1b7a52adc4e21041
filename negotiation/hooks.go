package negotiation

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// Hooks are the program's say in who is let in. They are its code: they may block, hang and panic. So
// each runs in a task of the one upgrade that it is about, which waits for it no longer than its own
// deadline. A nil hook lets everybody in and costs nothing.
type Hooks struct {
	// Accept is asked about an inbound connection before its upgrade reads or sends anything.
	Accept func(context.Context, conduit.Endpoints) error
	// Secured is asked when the peer has proved who it is.
	Secured func(context.Context, identity.ID, conduit.Endpoints) error
	// Upgraded is asked at the end, about a connection that has no ID yet.
	Upgraded func(context.Context, *stream.Conn) error
}

func (h *Hooks) any() bool { return h.Accept != nil || h.Secured != nil || h.Upgraded != nil }

// answered is what a hook said.
type answered struct {
	upgradeMsg
	err error
}

// ask runs a hook. Until it has answered the upgrade reads and writes nothing more.
func (u *upgrader) ask(ctx actor.Context, hook string, f func(context.Context) error) {
	u.hook = hook
	u.tellHook()
	u.asking = actors.StartTask(ctx, "gater "+hook, func(ctx context.Context) any {
		return &answered{err: f(ctx)}
	}, func(e *actors.PanicError) any { return &answered{err: e} })
}

// tellHook has a dial know whom it waits for: its own time may be over before ours.
func (u *upgrader) tellHook() {
	if u.job.Conduit.Endpoints().Direction == conduit.Outbound {
		_ = u.job.To.Control(&messages.HookAsked{ID: u.job.ID, Hook: u.hook, Peer: u.peer()})
	}
}

// peer is who has proved to be the remote.
func (u *upgrader) peer() identity.ID {
	if u.core == nil || u.core.Stage() < upgrade.Secured {
		return ""
	}
	return u.core.Peer()
}

// askAgain asks the next hook that the upgrade has come to, if there is one.
func (u *upgrader) askAgain(ctx actor.Context) bool {
	h, ends := &u.cfg.Hooks, u.job.Conduit.Endpoints()
	switch {
	case !u.secured && u.core.Stage() >= upgrade.Secured:
		u.secured = true
		if peer := u.core.Peer(); h.Secured != nil {
			u.ask(ctx, messages.HookSecured, func(ctx context.Context) error { return h.Secured(ctx, peer, ends) })
		}
	case u.done != nil && !u.upgraded && !u.busy:
		u.upgraded = true
		if h.Upgraded != nil {
			c := connOf(u.link(), u.now(ctx))
			u.ask(ctx, messages.HookUpgraded, func(ctx context.Context) error { return h.Upgraded(ctx, c) })
		}
	}
	return u.hook != ""
}

func (u *upgrader) now(ctx actor.Context) time.Time { return actors.RuntimeOf(ctx).Now() }

// answered takes what a hook said.
func (u *upgrader) answered(m *answered) error {
	hook := u.hook
	u.hook, u.asking = "", nil
	u.tellHook()
	if m.err != nil {
		return u.gated(hook, m.err)
	}
	if hook == messages.HookAccept {
		u.begin()
	}
	return nil
}

func (u *upgrader) gated(hook string, err error) error {
	ends := u.job.Conduit.Endpoints()
	return &messages.GatedError{Hook: hook, Direction: ends.Direction, Peer: u.peer(), Addr: ends.Remote, Err: err}
}

// turnAway ends an upgrade that a hook has refused. Nothing more is sent, but for a connection that was
// there already: its remote is told.
func (u *upgrader) turnAway(ctx actor.Context) {
	if u.done != nil && u.cfg.Refuse != nil && !u.busy {
		u.cfg.Refuse(u.link(), CodeGated, "refused")
	} else if u.done != nil {
		u.link().Close()
	}
	u.leave(ctx)
}

// CodeGated is go-libp2p's ConnGated.
const CodeGated uint32 = 0x1007

// connOf is what is known of a connection before it is one.
func connOf(l *messages.Link, now time.Time) *stream.Conn {
	return &stream.Conn{
		Endpoints: l.Endpoints, Peer: l.Peer, Key: l.PublicKey, Since: now,
		Security: l.Secured.Security, Muxer: l.Secured.Muxer, Early: l.Secured.Early,
	}
}

// checker asks the hooks about a conduit that its transport has upgraded: its upgrade has nothing else
// to do.
type checker struct {
	cfg  Config
	job  Job
	hook string // the one that is being asked
	over bool
	kept func() // see Job
}

type (
	lateHook struct{ upgradeMsg }
	hookNow  struct {
		upgradeMsg
		hook string
	}
)

// Receive implements actor.Actor.
func (c *checker) Receive(ctx actor.Context) {
	if c.over {
		return
	}
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.kept = c.job.abandoned(actors.Self[any](ctx))
		timeout := c.cfg.Core.Timeout
		if timeout <= 0 {
			timeout = upgrade.DefaultTimeout
		}
		actors.NewTimer(ctx, &lateHook{}).After(timeout)
		h, l, now, self := c.cfg.Hooks, c.link(), actors.RuntimeOf(ctx).Now(), actors.Self[upgradeMsg](ctx)
		actors.StartTask(ctx, "gater", func(ctx context.Context) any {
			return &answered{err: all(ctx, h, l, now, func(hook string) { _ = self.Control(&hookNow{hook: hook}) })}
		}, func(e *actors.PanicError) any { return &answered{err: e} })
	case *hookNow:
		c.hook = m.hook
		if l := c.link(); l.Endpoints.Direction == conduit.Outbound {
			_ = c.job.To.Control(&messages.HookAsked{ID: c.job.ID, Hook: c.hook, Peer: l.Peer})
		}
	case *answered:
		if m.err != nil {
			c.end(ctx, m.err)
			return
		}
		c.over = true
		c.kept()
		_ = c.job.To.Control(&messages.Upgraded{ID: c.job.ID, Link: c.link()})
		ctx.Stop(ctx.Self())
	case *lateHook:
		c.end(ctx, messages.ErrHung)
	case *actor.Stopping:
		c.end(ctx, actors.ErrStopped)
	}
}

// all asks the hooks in order, and tells asked of each; the first that refuses has the say.
func all(ctx context.Context, h Hooks, l *messages.Link, now time.Time, asked func(hook string)) error {
	if h.Accept != nil && l.Endpoints.Direction == conduit.Inbound {
		asked(messages.HookAccept)
		if err := h.Accept(ctx, l.Endpoints); err != nil {
			return err
		}
	}
	if h.Secured != nil {
		asked(messages.HookSecured)
		if err := h.Secured(ctx, l.Peer, l.Endpoints); err != nil {
			return err
		}
	}
	if h.Upgraded != nil {
		asked(messages.HookUpgraded)
		return h.Upgraded(ctx, connOf(l, now))
	}
	return nil
}

func (c *checker) link() *messages.Link {
	m := c.job.Muxed
	return &messages.Link{Endpoints: m.Endpoints(), Peer: m.Peer(), PublicKey: m.PublicKey(), Muxed: m, Lease: c.job.Lease}
}

// end closes the conduit. Its remote is told if a hook has refused it.
func (c *checker) end(ctx actor.Context, err error) {
	c.over = true
	l := c.link()
	if errors.Is(err, actors.ErrStopped) {
		conduit.Conduit{Muxed: c.job.Muxed}.Abandon()
	} else {
		err = &messages.GatedError{Hook: c.hook, Direction: l.Endpoints.Direction, Peer: l.Peer, Addr: l.Endpoints.Remote, Err: err}
		_ = c.job.Muxed.Close(CodeGated, "refused")
	}
	messages.Release(c.job.Lease)
	_ = c.job.To.Control(&messages.UpgradeFailed{ID: c.job.ID, Remote: l.Endpoints.Remote, Err: err})
	if _, stopping := ctx.Message().(*actor.Stopping); !stopping {
		ctx.Stop(ctx.Self())
	}
}
