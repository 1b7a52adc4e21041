package negotiation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// Config is what all upgrades of a node share.
type Config struct {
	// Core is the state machine's; role and expected peer are set for each upgrade.
	Core upgrade.Config
	// TLS makes a TLS handshake. nil if Core.Security has no TLS. wake is called, on any
	// goroutine, when TakeOutput has something or Hungry has become true.
	TLS func(need upgrade.NeedTLS, now time.Time, wake func()) (TLS, error)
	// Hooks are asked who is let in.
	Hooks Hooks
	// Refuse tells the remote of a link that the last hook refuses, and closes it. nil: it is
	// closed without a word.
	Refuse func(l *messages.Link, code uint32, reason string)
}

// TLS is a TLS handshake: Run blocks, everything else returns at once.
type TLS interface {
	Run(ctx context.Context) (upgrade.Channel, error)
	Feed(p []byte) error
	Hungry() bool
	TakeOutput(dst []byte) []byte
	Close(err error)
}

// Job is one upgrade.
type Job struct {
	ID       uint64
	Conduit  conduit.Raw
	Muxed    conduit.Muxed // instead of Conduit: there is nothing to do but to ask the hooks
	Expect   identity.ID   // "": whoever it is
	To       actors.Ref[messages.Upgrader]
	Progress actors.Ref[messages.Gate] // may be zero
	Lease    messages.Lease            // nil: nothing is booked for the conduit
}

// abandoned lets go of the connection if the actor that has the job is abandoned. kept says that it is
// somebody else's.
func (j *Job) abandoned(self actors.Ref[any]) (kept func()) {
	both, lease := conduit.Conduit{Raw: j.Conduit, Muxed: j.Muxed}, j.Lease
	return actors.OnAbandoned(self, func() {
		both.Abandon()
		messages.Release(lease)
	})
}

// Spec is how to spawn an upgrade. It owns its conduit until it has told To, once, what became
// of it, and ends.
func Spec(cfg Config, job Job) actors.Spec {
	return actors.Spec{
		Kind: "upgrade",
		New: func() actor.Actor {
			if job.Muxed != nil {
				return &checker{cfg: cfg, job: job}
			}
			return &upgrader{cfg: cfg, job: job}
		},
		Restart: actors.Temporary,
		Inline:  true,
		Follow:  true,
	}
}

// upgradeMsg is what an upgrade receives.
type upgradeMsg interface{ upgrade() }

// lastWords is how long a failed upgrade waits for the conduit to take what it has to say.
const lastWords = time.Second

type (
	deadline struct{ upgradeMsg }
	silenced struct{ upgradeMsg } // lastWords are over
	tlsWake  struct{ upgradeMsg }
	tlsDone  struct {
		upgradeMsg
		channel upgrade.Channel
		err     error
	}
	drained struct {
		upgradeMsg
		err error
	}
	ended struct {
		upgradeMsg
		err error
	}
)

// sink turns the calls of the conduit into messages. The first bytes are told to the gate from
// right here: in a flood a slot is not kept for long, and the upgrade's own turn may be far away.
type sink struct {
	ref   actors.Ref[any]
	gate  actors.Ref[messages.Gate]
	id    uint64
	spoke bool
}

func (s *sink) Offer(b *buf.Buf) {
	if !s.spoke {
		s.spoke = true
		_ = s.gate.Control(&messages.UpgradeProgressed{ID: s.id, Stage: uint8(upgrade.Speaking)})
	}
	_ = s.ref.Offer(b)
}
func (s *sink) Drained(err error) { _ = s.ref.Control(&drained{err: err}) }

// Ended comes behind the last Offer.
func (s *sink) Ended(err error) { _ = s.ref.Offer(&ended{err: err}) }

// upgrader runs one upgrade core on one conduit. It grants one read credit at a time, so that
// when the core is done nothing is on its way and the conduit can be handed over.
type upgrader struct {
	cfg  Config
	job  Job
	core *upgrade.Upgrade

	sink   *sink // until begin
	tls    TLS
	task   *actors.Task
	out    []byte
	busy   bool // the conduit drains
	credit bool // the conduit has our read credit
	stage  upgrade.Stage
	done   *upgrade.Done
	failed error  // why the upgrade is over; its last words are on their way
	over   bool   // To has been told
	kept   func() // see Job

	hook              string // the one that is being asked
	asking            *actors.Task
	secured, upgraded bool // their hooks were asked
}

// Receive implements actor.Actor.
func (u *upgrader) Receive(ctx actor.Context) {
	if u.over {
		if d, ok := ctx.Message().(actors.Discarder); ok {
			d.Discard(actors.ErrStopped)
		}
		return
	}
	if u.failed != nil {
		u.leaving(ctx)
		return
	}
	now := actors.RuntimeOf(ctx).Now()
	var err error
	switch m := ctx.Message().(type) {
	case *actor.Started:
		err = u.start(ctx, now)
	case *buf.Buf:
		u.credit = false
		if u.tls != nil {
			err = u.feedTLS(m.B)
		} else {
			err = u.core.HandleBytes(now, m.B)
		}
		m.Release()
	case *answered:
		err = u.answered(m)
	case *deadline:
		if u.hook != "" {
			err = u.gated(u.hook, messages.ErrHung)
		} else if err = u.core.HandleTimeout(now); err == nil && u.done != nil {
			err = &upgrade.Error{Layer: upgrade.LayerMuxer, Fault: upgrade.Limit, Err: fmt.Errorf("%w: the remote does not take our last message", upgrade.ErrTimeout)}
		}
	case *tlsWake:
	case *tlsDone:
		u.flushTLS() // with the alert of a handshake that failed
		u.tls, u.task = nil, nil
		err = u.core.HandleTLS(now, m.channel, m.err)
	case *drained:
		u.busy = false
		if m.err != nil {
			err = u.lost(m.err)
		}
	case *ended:
		// After Done it is news for the next owner of the conduit, who is told again.
		err = u.core.HandleEnd(m.err)
	case *actor.Stopping:
		u.fail(ctx, actors.ErrStopped)
		u.end()
		return
	}
	if err == nil {
		err = u.drain(ctx, now)
	}
	if err != nil {
		u.fail(ctx, err)
	}
}

func (u *upgrader) start(ctx actor.Context, now time.Time) error {
	u.kept = u.job.abandoned(actors.Self[any](ctx))
	cfg := u.cfg.Core
	cfg.Expect = u.job.Expect
	ends := u.job.Conduit.Endpoints()
	cfg.Role = upgrade.Listener
	if ends.Direction == conduit.Outbound {
		cfg.Role = upgrade.Dialer
	}
	actors.Describe(ctx, func() []actors.KeyValue {
		return []actors.KeyValue{{Key: "remote", Value: ends.Remote.String()}}
	})
	core, err := upgrade.New(cfg, now)
	if err != nil {
		return err
	}
	u.core = core
	if at, ok := core.Deadline(); ok {
		actors.NewTimer(ctx, &deadline{}).Set(at)
	}
	u.sink = &sink{ref: actors.Self[any](ctx), gate: u.job.Progress, id: u.job.ID}
	if f := u.cfg.Hooks.Accept; f != nil && ends.Direction == conduit.Inbound {
		u.ask(ctx, messages.HookAccept, func(ctx context.Context) error { return f(ctx, ends) })
		return nil
	}
	u.begin()
	return nil
}

// begin starts to read.
func (u *upgrader) begin() {
	u.credit = true
	u.job.Conduit.Bind(u.sink, 1)
	u.sink = nil
}

// drain takes every output of the core, then asks for more input or hands the conduit over.
func (u *upgrader) drain(ctx actor.Context, now time.Time) error {
	if u.hook != "" || u.askAgain(ctx) {
		return nil
	}
	u.out = u.core.AppendOutput(u.out)
	for e, ok := u.core.Next(); ok; e, ok = u.core.Next() {
		switch e := e.(type) {
		case upgrade.NeedTLS:
			if err := u.startTLS(ctx, now, e); err != nil {
				return err
			}
		case upgrade.Done:
			u.done = &e
		}
	}
	u.flushTLS()
	if err := u.write(); err != nil {
		return u.lost(err)
	}
	if s := u.core.Stage(); s != u.stage {
		u.stage = s
		_ = u.job.Progress.Control(&messages.UpgradeProgressed{ID: u.job.ID, Stage: uint8(s)})
	}
	switch {
	case u.done != nil:
		if !u.busy && !u.askAgain(ctx) {
			u.finish(ctx)
		}
	case !u.credit && (u.tls == nil || u.tls.Hungry()):
		u.credit = true
		u.job.Conduit.More()
	}
	return nil
}

// write hands output to the conduit; what does not fit at once is drained by it.
func (u *upgrader) write() error {
	if u.busy || len(u.out) == 0 {
		return nil
	}
	n, err := u.job.Conduit.TryWrite(u.out)
	if err != nil {
		return err
	}
	rest := u.out[n:]
	u.out = nil
	if len(rest) > 0 {
		u.busy = true
		u.job.Conduit.Drain(rest)
	}
	return nil
}

func (u *upgrader) startTLS(ctx actor.Context, now time.Time, need upgrade.NeedTLS) error {
	self := actors.Self[upgradeMsg](ctx)
	t, err := u.cfg.TLS(need, now, func() { _ = self.Control(&tlsWake{}) })
	if err != nil {
		return err
	}
	u.tls = t
	if len(need.Rest) > 0 {
		if err := t.Feed(need.Rest); err != nil {
			return err
		}
	}
	u.task = actors.StartTask(ctx, "tls", func(ctx context.Context) any {
		c, err := t.Run(ctx)
		return &tlsDone{channel: c, err: err}
	}, func(e *actors.PanicError) any { return &tlsDone{err: e} })
	return nil
}

func (u *upgrader) feedTLS(p []byte) error {
	p, err := u.core.Unveil(p)
	if err != nil {
		return err
	}
	return u.tls.Feed(p)
}

func (u *upgrader) flushTLS() {
	if u.tls != nil {
		n := len(u.out)
		u.out = u.core.Veil(u.tls.TakeOutput(u.out), n)
	}
}

// finish hands the conduit over: no credit is out and no byte is left to write.
func (u *upgrader) finish(ctx actor.Context) {
	l := u.link()
	u.over = true
	u.kept()
	_ = u.job.To.Control(&messages.Upgraded{ID: u.job.ID, Link: l})
	ctx.Stop(ctx.Self())
}

// link is what the upgrade has come to.
func (u *upgrader) link() *messages.Link {
	d := u.done
	return &messages.Link{
		Endpoints: u.job.Conduit.Endpoints(), Peer: d.Peer, PublicKey: d.PublicKey, Lease: u.job.Lease,
		Secured: conduit.Secured{
			Raw: u.job.Conduit, Peer: d.Peer, PublicKey: d.PublicKey, Security: d.Security, Muxer: d.Muxer,
			Early: d.Early, Open: d.Open, Seal: d.Seal, Rest: d.Rest,
		},
	}
}

// lost says that the conduit does not carry what we send. The core takes no interest in that once
// it is done, but nobody could use the connection.
func (u *upgrader) lost(err error) error {
	if e := u.core.HandleEnd(err); e != nil {
		return e
	}
	return &upgrade.Error{Layer: upgrade.LayerMuxer, Fault: upgrade.Remote, Err: fmt.Errorf("%w: %w", upgrade.ErrEnded, err)}
}

// fail ends the upgrade. What is due still goes out, a refusal or an alert that says why; only
// for that does the end wait, and not for a remote that has stopped to read before.
func (u *upgrader) fail(ctx actor.Context, err error) {
	if u.failed != nil || u.over {
		return
	}
	u.failed = err
	if u.tls != nil {
		u.tls.Close(err)
	}
	u.task.Cancel()
	u.asking.Cancel()
	var gated *messages.GatedError
	if errors.As(err, &gated) {
		if u.done == nil && u.core != nil && u.core.Stage() >= upgrade.Secured {
			_ = u.core.HandleEnd(err)
		}
		u.turnAway(ctx)
		return
	}
	if u.core != nil {
		if u.core.Stage() >= upgrade.Secured {
			_ = u.core.HandleEnd(err) // gives back what it holds of a frame
		}
		u.out = u.core.AppendOutput(u.out)
	}
	if u.done != nil {
		if c, ok := u.done.Open.(interface{ Close() }); ok {
			c.Close()
		}
	}
	u.flushTLS()
	before := u.busy
	if u.write() == nil && u.busy && !before {
		actors.NewTimer(ctx, &silenced{}).After(lastWords)
		return
	}
	u.leave(ctx)
}

// leaving waits for the conduit to take the last words.
func (u *upgrader) leaving(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Stopping:
		u.end()
	case *drained, *silenced:
		u.leave(ctx)
	case actors.Discarder:
		m.Discard(actors.ErrStopped)
	}
}

func (u *upgrader) leave(ctx actor.Context) {
	if _, stopping := ctx.Message().(*actor.Stopping); !stopping {
		u.end()
		ctx.Stop(ctx.Self())
	}
}

// end closes the conduit and tells whoever wanted the upgrade why.
func (u *upgrader) end() {
	if u.over {
		return
	}
	u.over = true
	_ = u.job.Conduit.Close()
	messages.Release(u.job.Lease)
	_ = u.job.To.Control(&messages.UpgradeFailed{ID: u.job.ID, Remote: u.job.Conduit.Endpoints().Remote, Err: u.failed})
}
