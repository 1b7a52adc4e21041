package memory

import (
	"context"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	ma "github.com/multiformats/go-multiaddr"
)

const name = "memory"

// Transport dials and listens in a Hub.
type Transport struct {
	cfg Config
	ex  Executor
	id  identity.ID // of a muxed transport
	err error       // what is wrong with cfg
}

var _ conduit.Member = (*Transport)(nil)

// New makes the transport.
func New(rt *actors.Runtime, cfg Config) *Transport {
	t := &Transport{cfg: cfg.withDefaults(), ex: cfg.Executor}
	switch {
	case t.ex != nil:
	case rt != nil && rt.Simulation() != nil:
		t.ex = Posted(rt, rt.Simulation().Post)
	default:
		t.ex = &crew{rt: rt}
	}
	if cfg.Muxed {
		if cfg.Key == nil {
			t.err = ErrNoKey
		} else {
			t.id, t.err = identity.IDFromKey(cfg.Key)
		}
	}
	return t
}

// Join implements conduit.Member: the remotes of Muxed conduits learn the node's key.
func (t *Transport) Join(n conduit.Node) error {
	if !t.cfg.Muxed {
		return nil
	}
	if t.cfg.Key != nil && !t.cfg.Key.Equal(n.Key.Public()) {
		return ErrKey
	}
	t.cfg.Key = n.Key.Public()
	t.id, t.err = identity.IDFromKey(t.cfg.Key)
	return t.err
}

// RawOnly implements conduit.RawOnly.
func (t *Transport) RawOnly() bool { return !t.cfg.Muxed }

// Name implements conduit.Transport.
func (t *Transport) Name() string { return name }

// CanDial implements conduit.Transport.
func (t *Transport) CanDial(a ma.Multiaddr) bool { _, ok := number(a); return ok }

// CanListen implements conduit.Transport.
func (t *Transport) CanListen(a ma.Multiaddr) bool { return t.CanDial(a) }

// Dial implements conduit.Transport. It takes one step.
func (t *Transport) Dial(ctx context.Context, a ma.Multiaddr, expect identity.ID, done func(conduit.Conduit, error)) {
	t.ex.Post(&dial{t: t, ctx: ctx, addr: a, expect: expect, done: done})
}

type dial struct {
	t      *Transport
	ctx    context.Context
	addr   ma.Multiaddr
	expect identity.ID
	done   func(conduit.Conduit, error)
	c      conduit.Conduit
	told   bool
}

func (d *dial) Step() {
	var err error
	d.c, err = d.connect()
	d.told = true
	d.done(d.c, err)
}

func (d *dial) Failed(pe *actors.PanicError) {
	d.c.Abandon()
	if !d.told {
		d.told = true
		d.done(conduit.Conduit{}, pe)
	}
}

func (d *dial) connect() (conduit.Conduit, error) {
	refuse := func(o fault.Origin, err error) (conduit.Conduit, error) {
		return conduit.Conduit{}, fail(o, "dial", d.addr, err)
	}
	n, ok := number(d.addr)
	switch {
	case !ok:
		return refuse(fault.Local, ErrAddress)
	case d.t.err != nil:
		return refuse(fault.Local, d.t.err)
	case d.ctx.Err() != nil:
		return refuse(fault.Local, fault.Canceled(d.ctx))
	}
	l := d.t.cfg.Hub.find(n)
	switch {
	case l == nil:
		return refuse(fault.Remote, ErrRefused)
	case l.t.cfg.Muxed != d.t.cfg.Muxed:
		return refuse(fault.Remote, ErrKind)
	case d.t.cfg.Muxed && d.expect != "" && d.expect != l.t.id:
		return refuse(fault.Remote, ErrIdentity)
	}
	from := d.t.cfg.Hub.dialler()
	ours := conduit.Endpoints{Local: from, Remote: l.addr, Direction: conduit.Outbound, Transport: name}
	theirs := conduit.Endpoints{Local: l.addr, Remote: from, Direction: conduit.Inbound, Transport: name}
	var a, b conduit.Conduit
	if d.t.cfg.Muxed {
		a.Muxed, b.Muxed = newMuxed(d.t, l.t, ours, theirs)
	} else {
		a.Raw, b.Raw = newRaw(d.t, l.t, ours, theirs)
	}
	if err := l.offer(b); err != nil {
		a.Abandon()
		b.Abandon()
		return refuse(fault.Remote, err)
	}
	return a, nil
}
