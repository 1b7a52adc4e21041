package transports

import (
	"errors"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

func multiaddr(s string) ma.Multiaddr { return ma.StringCast(s) }

// caller is an attempt among actors that the test plays.
type caller struct {
	t        *testing.T
	rt       *actors.Runtime
	tr       *played
	owner    actors.Ref[any]
	got      chan any // what the owner receives
	upgrades chan *upgrading
}

// upgrading is an upgrade that the test decides about.
type upgrading struct {
	id   uint64
	c    conduit.Raw
	to   actors.Ref[messages.Upgrader]
	ref  actors.Ref[any]
	gone chan struct{}
}

func newCaller(t *testing.T) *caller {
	t.Helper()
	c := &caller{t: t, rt: run(t), tr: newPlayed(), upgrades: make(chan *upgrading, 8)}
	c.owner, c.got = probe(t, c.rt, "owner")
	return c
}

func (c *caller) dial(edit ...func(*DialConfig)) actors.Ref[any] {
	c.t.Helper()
	cfg := DialConfig{
		Transports: []conduit.Transport{c.tr}, Upgrade: c.upgrade,
		Attempt: 7, Addr: multiaddr(port), Owner: actors.Cast[messages.Peer](c.owner),
	}
	for _, f := range edit {
		f(&cfg)
	}
	r, err := actors.Root[any](c.rt, DialSpec(cfg))
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func (c *caller) upgrade(id uint64, raw conduit.Conduit, _ identity.ID, to actors.Ref[messages.Upgrader]) actors.Spec {
	u := &upgrading{id: id, c: raw.Raw, to: to, gone: make(chan struct{})}
	return actors.Spec{Kind: "upgrade", Restart: actors.Temporary, New: func() actor.Actor {
		return fn(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *actor.Started:
				u.ref = actors.Self[any](ctx)
				c.upgrades <- u
			case *messages.Upgraded: // the outcome that the test wants
				_ = u.to.Control(m)
				ctx.Stop(ctx.Self())
			case *messages.UpgradeFailed:
				_ = u.to.Control(m)
				ctx.Stop(ctx.Self())
			case *actor.Stopping:
				close(u.gone)
			}
		})
	}}
}

// outcome waits for the only word of the attempt.
func (c *caller) outcome(ref actors.Ref[any], reason string) *messages.Dialled {
	c.t.Helper()
	m, ok := next(c.t, reason, c.got).(*messages.Dialled)
	if !ok || m.Attempt != 7 || (m.Err == nil) == (m.Link == nil) {
		c.t.Fatalf("%s: got %+v", reason, m)
	}
	next(c.t, "it ends", ref.Done())
	if len(c.got) > 0 {
		c.t.Fatalf("%s: it said more: %v", reason, <-c.got)
	}
	return m
}

func TestAnAttemptConnectsAndUpgrades(t *testing.T) {
	c := newCaller(t)
	ref := c.dial()
	d := next(t, "the adapter dials", c.tr.dials)
	d.done(conduit.Conduit{Raw: newWire()}, nil)
	u := next(t, "then the upgrade", c.upgrades)
	if u.id != 7 {
		t.Errorf("upgrade %d", u.id)
	}
	l := &messages.Link{}
	_ = u.ref.Send(&messages.Upgraded{ID: 7, Link: l})
	if m := c.outcome(ref, "a link"); m.Link != l {
		t.Error("another link")
	}
	next(t, "the adapter's context ends", d.ctx.Done())
}

func TestEveryEndOfAnAttemptIsToldOnce(t *testing.T) {
	failed := errors.New("remote: refused")
	upgrading := func(c *caller) (wire, *upgrading) {
		x := newWire()
		next(c.t, "dialling", c.tr.dials).done(conduit.Conduit{Raw: x}, nil)
		return x, next(c.t, "upgrading", c.upgrades)
	}
	for _, c := range []struct {
		name string
		edit func(*DialConfig)
		end  func(c *caller, ref actors.Ref[any])
		want error // nil: any
	}{
		{"the adapter fails", nil, func(c *caller, _ actors.Ref[any]) {
			next(c.t, "dialling", c.tr.dials).done(conduit.Conduit{}, failed)
		}, failed},
		{"the upgrade fails", nil, func(c *caller, _ actors.Ref[any]) {
			_, u := upgrading(c)
			_ = u.ref.Send(&messages.UpgradeFailed{ID: 7, Err: failed})
		}, failed},
		{"a bug in the upgrade", nil, func(c *caller, _ actors.Ref[any]) {
			_, u := upgrading(c)
			c.rt.Kill(u.ref.Path(), "test")
		}, nil},
		{"a bug in the attempt", nil, func(c *caller, ref actors.Ref[any]) {
			_, u := upgrading(c)
			c.rt.Kill(ref.Path(), "test")
			next(c.t, "its upgrade ends with it", u.gone)
		}, nil},
		{"it is stopped while it dials", nil, func(c *caller, ref actors.Ref[any]) {
			d := next(c.t, "dialling", c.tr.dials)
			ref.Stop()
			next(c.t, "the adapter is told", d.ctx.Done())
			x := newWire()
			d.done(conduit.Conduit{Raw: x}, nil)
			next(c.t, "a late connection is closed", x.closed)
		}, actors.ErrStopped},
		{"it is stopped while it upgrades", nil, func(c *caller, ref actors.Ref[any]) {
			_, u := upgrading(c)
			ref.Stop()
			next(c.t, "the upgrade ends", u.gone)
			x := newWire()
			l := &messages.Link{}
			l.Secured.Raw = x
			_ = u.to.Control(&messages.Upgraded{ID: 7, Link: l})
			next(c.t, "a late link is closed", x.closed)
		}, actors.ErrStopped},
		{"time is up", func(cfg *DialConfig) { cfg.Timeout = 10 * time.Millisecond }, func(c *caller, _ actors.Ref[any]) {
			d := next(c.t, "dialling", c.tr.dials)
			next(c.t, "the adapter is told", d.ctx.Done())
		}, nil},
		{"no transport can", func(cfg *DialConfig) { cfg.Addr = multiaddr("/ip6/::1/tcp/1") }, func(*caller, actors.Ref[any]) {}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newCaller(t)
			var ref actors.Ref[any]
			spec := func(cfg *DialConfig) {
				if c.edit != nil {
					c.edit(cfg)
				}
			}
			ref = w.dial(spec)
			c.end(w, ref)
			m := w.outcome(ref, c.name)
			if m.Err == nil || c.want != nil && !errors.Is(m.Err, c.want) {
				t.Errorf("told %v", m.Err)
			}
		})
	}
}

// TestALinkWhoseOwnerHasGoneIsClosed: nobody takes it.
func TestALinkWhoseOwnerHasGoneIsClosed(t *testing.T) {
	c := newCaller(t)
	c.dial()
	next(t, "dialling", c.tr.dials).done(conduit.Conduit{Raw: newWire()}, nil)
	u := next(t, "upgrading", c.upgrades)
	c.owner.Stop()
	<-c.owner.Done()
	x := newWire()
	l := &messages.Link{}
	l.Secured.Raw = x
	_ = u.ref.Send(&messages.Upgraded{ID: 7, Link: l})
	next(t, "closed", x.closed)
}

// TestADialThatIsAbandonedIsCancelled: the adapter's Dial is stuck, which it must not be.
func TestADialThatIsAbandonedIsCancelled(t *testing.T) {
	c := newCaller(t)
	c.tr.hangs = make(chan struct{})
	ref := c.dial()
	d := next(t, "the adapter dials", c.tr.dials)
	ref.Stop()
	next(t, "cancelled", d.ctx.Done())
	x := newWire()
	d.done(conduit.Conduit{Raw: x}, nil)
	next(t, "what comes of it all the same is closed", x.closed)
	close(c.tr.hangs)
}
