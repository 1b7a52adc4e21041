package transports

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// DialConfig of one attempt.
type DialConfig struct {
	Transports []conduit.Transport
	// RawOnly refuses conduits that no pre-shared key covers, in a private network.
	RawOnly bool
	// Unsettled, if set, is what to suspect when a connection is there and its handshake does not end.
	Unsettled error
	// Upgrade says how to upgrade a conduit that the attempt has got.
	Upgrade func(id uint64, c conduit.Conduit, expect identity.ID, to actors.Ref[messages.Upgrader]) actors.Spec
	// Check says that Muxed conduits too have something to upgrade: the hooks want to be asked.
	Check bool
	// Allow is asked before anything is sent. It may block. nil: everything is allowed.
	Allow func(context.Context, identity.ID, ma.Multiaddr) error

	Attempt uint64
	Addr    ma.Multiaddr
	Expect  identity.ID   // "": whoever answers
	Timeout time.Duration // default 15 s
	Owner   actors.Ref[messages.Peer]
}

// DialSpec is how to spawn the actor of one attempt. It tells its owner one Dialled and ends.
func DialSpec(cfg DialConfig) actors.Spec {
	if cfg.Timeout <= 0 {
		cfg.Timeout = 15 * time.Second
	}
	return actors.Spec{
		Kind:     "dial",
		New:      func() actor.Actor { return &dial{cfg: cfg} },
		Restart:  actors.Temporary,
		Follow:   true,
		Children: actors.Strategy{Exceeded: actors.StopChild},
	}
}

// connected is what the adapter's callback has got.
type connected struct {
	messages.Upgrader
	c   conduit.Conduit
	err error
}

// Discard implements actors.Discarder.
func (m *connected) Discard(error) {
	if m.err == nil {
		m.c.Abandon()
	}
}

// allowed is what Allow said.
type allowed struct {
	messages.Upgrader
	err error
}

type dialTimeout struct{ messages.Upgrader }

type dial struct {
	cfg    DialConfig
	self   actors.Ref[messages.Upgrader]
	t      conduit.Transport
	cancel context.CancelFunc
	told   bool
	hook   string      // the one that is being asked
	peer   identity.ID // with it
	answer messages.Answer
}

// Receive implements actor.Actor.
func (d *dial) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		d.start(ctx)
	case *allowed:
		hook := d.hook
		d.hook = ""
		switch {
		case d.told:
		case m.err != nil:
			d.tell(ctx, nil, d.gated(hook, m.err))
		default:
			d.dial()
		}
	case *connected:
		d.connected(ctx, m)
	case *messages.Upgraded:
		d.tell(ctx, m.Link, nil)
	case *messages.HookAsked:
		d.hook, d.peer = m.Hook, m.Peer
	case *messages.UpgradeFailed:
		d.tell(ctx, nil, m.Err)
	case *dialTimeout:
		if d.hook != "" {
			d.tell(ctx, nil, d.gated(d.hook, messages.ErrHung))
			return
		}
		d.tell(ctx, nil, d.late())
	case *actor.Terminated:
		// After an orderly end the outcome is in the mailbox already: Terminated overtakes it.
		if end, ok := actors.ChildEnd(ctx); ok && end.Err != nil {
			d.tell(ctx, nil, fmt.Errorf("local: the upgrade of %s has failed: %w", d.cfg.Addr, end.Err))
		}
	case *actor.Stopping:
		if d.cancel != nil {
			d.cancel()
		}
		d.tell(ctx, nil, actors.ErrStopped)
	}
}

func (d *dial) start(ctx actor.Context) {
	addr := d.cfg.Addr
	actors.Describe(ctx, func() []actors.KeyValue { return []actors.KeyValue{{Key: "addr", Value: addr.String()}} })
	for _, o := range d.cfg.Transports {
		if o.CanDial(d.cfg.Addr) {
			d.t = o
			break
		}
	}
	if d.t == nil {
		d.answer = messages.NotAsked
		d.tell(ctx, nil, fmt.Errorf("local: no transport of this node can dial %s", d.cfg.Addr))
		return
	}
	actors.NewTimer(ctx, &dialTimeout{}).After(d.cfg.Timeout)
	d.self = actors.Self[messages.Upgrader](ctx)
	if allow := d.cfg.Allow; allow != nil {
		expect := d.cfg.Expect
		d.hook, d.peer = messages.HookDial, expect
		actors.StartTask(ctx, "gater "+messages.HookDial, func(ctx context.Context) any {
			return &allowed{err: allow(ctx, expect, addr)}
		}, func(e *actors.PanicError) any { return &allowed{err: e} })
		return
	}
	d.dial()
}

func (d *dial) gated(hook string, err error) error {
	return &messages.GatedError{Hook: hook, Direction: conduit.Outbound, Peer: d.peer, Addr: d.cfg.Addr, Err: err}
}

func (d *dial) dial() {
	run, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	self := d.self
	actors.OnAbandoned(self, cancel)
	d.t.Dial(run, d.cfg.Addr, d.cfg.Expect, func(c conduit.Conduit, err error) {
		_ = self.Control(&connected{c: c, err: err})
	})
}

func (d *dial) connected(ctx actor.Context, m *connected) {
	d.answer = answerOf(m.err)
	switch {
	case m.err != nil:
		d.tell(ctx, nil, m.err)
	case d.told:
		m.c.Abandon()
	case m.c.Muxed != nil && d.cfg.RawOnly:
		m.c.Abandon()
		d.tell(ctx, nil, fmt.Errorf("local: a connection to %s is not covered by the pre-shared key of the private network", d.cfg.Addr))
	case m.c.Muxed != nil && !d.cfg.Check:
		d.tell(ctx, &messages.Link{
			Endpoints: m.c.Muxed.Endpoints(), Peer: m.c.Muxed.Peer(), PublicKey: m.c.Muxed.PublicKey(), Muxed: m.c.Muxed,
		}, nil)
	default:
		self := actors.Self[messages.Upgrader](ctx)
		if _, err := actors.Spawn[any](ctx, d.cfg.Upgrade(d.cfg.Attempt, m.c, d.cfg.Expect, self)); err != nil {
			m.c.Abandon()
			d.tell(ctx, nil, err)
		}
	}
}

// late is why there is no connection in time.
func (d *dial) late() error {
	if d.answer == messages.Answered && d.cfg.Unsettled != nil {
		return fmt.Errorf("local: no handshake with %s within %v: %w", d.cfg.Addr, d.cfg.Timeout, d.cfg.Unsettled)
	}
	return fmt.Errorf("local: no connection to %s within %v", d.cfg.Addr, d.cfg.Timeout)
}

func (d *dial) tell(ctx actor.Context, l *messages.Link, err error) {
	if d.told {
		if l != nil {
			l.Close()
		}
		return
	}
	d.told = true
	_ = d.cfg.Owner.Control(&messages.Dialled{Attempt: d.cfg.Attempt, Link: l, Err: err, Answer: d.answer})
	ctx.Stop(ctx.Self())
}
