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
	// Accept is asked about an inbound connection before anything is read or sent.
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
	hook string
	err  error
}

// ask runs a hook. Until it has answered the upgrade reads and writes nothing more.
func (u *upgrader) ask(ctx actor.Context, hook string, f func(context.Context) error) {
	u.hook = hook
	u.asking = actors.StartTask(ctx, "gater "+hook, func(ctx context.Context) any {
		return &answered{hook: hook, err: f(ctx)}
	}, func(e *actors.PanicError) any { return &answered{hook: hook, err: e} })
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
	e := &messages.GatedError{Hook: hook, Direction: ends.Direction, Addr: ends.Remote, Err: err}
	if u.core != nil && u.core.Stage() >= upgrade.Secured {
		e.Peer = u.core.Peer()
	}
	return e
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
	over bool
}

type lateHook struct{ upgradeMsg }

// Receive implements actor.Actor.
func (c *checker) Receive(ctx actor.Context) {
	if c.over {
		return
	}
	switch m := ctx.Message().(type) {
	case *actor.Started:
		timeout := c.cfg.Core.Timeout
		if timeout <= 0 {
			timeout = upgrade.DefaultTimeout
		}
		actors.NewTimer(ctx, &lateHook{}).After(timeout)
		h, l, now := c.cfg.Hooks, c.link(), actors.RuntimeOf(ctx).Now()
		actors.StartTask(ctx, "gater", func(ctx context.Context) any {
			return all(ctx, h, l, now)
		}, func(e *actors.PanicError) any { return &answered{hook: "", err: e} })
	case *answered:
		if m.err != nil {
			c.end(ctx, m.hook, m.err)
			return
		}
		c.over = true
		_ = c.job.To.Control(&messages.Upgraded{ID: c.job.ID, Link: c.link()})
		ctx.Stop(ctx.Self())
	case *lateHook:
		c.end(ctx, "", messages.ErrHung)
	case *actor.Stopping:
		c.end(ctx, "", actors.ErrStopped)
	}
}

// all asks the hooks in order; the first that refuses has the say.
func all(ctx context.Context, h Hooks, l *messages.Link, now time.Time) *answered {
	if h.Accept != nil && l.Endpoints.Direction == conduit.Inbound {
		if err := h.Accept(ctx, l.Endpoints); err != nil {
			return &answered{hook: messages.HookAccept, err: err}
		}
	}
	if h.Secured != nil {
		if err := h.Secured(ctx, l.Peer, l.Endpoints); err != nil {
			return &answered{hook: messages.HookSecured, err: err}
		}
	}
	if h.Upgraded != nil {
		if err := h.Upgraded(ctx, connOf(l, now)); err != nil {
			return &answered{hook: messages.HookUpgraded, err: err}
		}
	}
	return &answered{}
}

func (c *checker) link() *messages.Link {
	m := c.job.Muxed
	return &messages.Link{Endpoints: m.Endpoints(), Peer: m.Peer(), PublicKey: m.PublicKey(), Muxed: m, Lease: c.job.Lease}
}

func (c *checker) end(ctx actor.Context, hook string, err error) {
	c.over = true
	l := c.link()
	if !errors.Is(err, actors.ErrStopped) {
		if hook == "" {
			hook = "hooks"
		}
		err = &messages.GatedError{Hook: hook, Direction: l.Endpoints.Direction, Peer: l.Peer, Addr: l.Endpoints.Remote, Err: err}
	}
	_ = c.job.Muxed.Close(CodeGated, "refused")
	messages.Release(c.job.Lease)
	_ = c.job.To.Control(&messages.UpgradeFailed{ID: c.job.ID, Remote: l.Endpoints.Remote, Err: err})
	if _, stopping := ctx.Message().(*actor.Stopping); !stopping {
		ctx.Stop(ctx.Self())
	}
}
