package quic

import (
	"context"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/tls"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
	quicgo "github.com/quic-go/quic-go"
)

const (
	name = "quic"
	alpn = "libp2p" // quic/README.md, "ALPN"
)

// Transport dials and listens on UDP. It holds sockets as long as something uses them.
type Transport struct {
	rt     *actors.Runtime
	cfg    Config
	tuning quicstack.Tuning
	conf   *quicgo.Config
	id     *tls.Identity
	err    error            // why it cannot be used: nobody has told whose it is
	stack  *quicstack.Stack // its sockets; the node's, once it has joined one
}

var _ conduit.Member = (*Transport)(nil)

// New makes the transport. Its goroutines are pumps of rt, beside those of the QUIC stack. Without
// Config.Key it is of no use before Join.
func New(rt *actors.Runtime, cfg Config) *Transport {
	t := &Transport{rt: rt, cfg: cfg, tuning: cfg.tuning(), err: ErrNoKey}
	t.conf = t.tuning.QUIC()
	if cfg.Key != nil {
		t.id, t.err = tls.NewIdentity(cfg.Key, rt.Now())
		t.stack = quicstack.New(rt, t.sockets(nil))
	}
	return t
}

// Join implements conduit.Member.
func (t *Transport) Join(n conduit.Node) error {
	if t.cfg.Key != nil && !t.cfg.Key.Public().Equal(n.Key.Public()) {
		return ErrKey
	}
	if t.cfg.Key == nil {
		t.cfg.Key = n.Key
		t.id, t.err = tls.NewIdentity(n.Key, t.rt.Now())
	}
	t.stack = quicstack.Of(n, t.rt, t.sockets(n.Warn))
	return t.err
}

func (t *Transport) sockets(warn func(string, ...any)) quicstack.Config {
	return quicstack.Config{Key: t.cfg.Key, HalfOpen: t.tuning.HalfOpen, Growth: t.tuning.Growth, Warn: warn}
}

// Name implements conduit.Transport.
func (t *Transport) Name() string { return name }

// CanDial implements conduit.Transport.
func (t *Transport) CanDial(a ma.Multiaddr) bool { return isQUIC(a) }

// CanListen implements conduit.Transport.
func (t *Transport) CanListen(a ma.Multiaddr) bool { return isQUIC(a) }

// Dial implements conduit.Transport.
func (t *Transport) Dial(ctx context.Context, a ma.Multiaddr, expect identity.ID, done func(conduit.Conduit, error)) {
	sockets.Dial(t.rt, name+" dial "+a.String(), func() (conduit.Conduit, error) {
		c, err := t.dial(ctx, a, expect)
		return conduit.Conduit{Muxed: c}, err
	}, done)
}

func (t *Transport) dial(ctx context.Context, a ma.Multiaddr, expect identity.ID) (*quicstack.Conn, error) {
	local := func(err error) error { return fail(fault.Local, "dial", a, err) }
	network, dst, err := udpAddr(a)
	switch {
	case err != nil:
		return nil, local(err)
	case t.err != nil:
		return nil, local(t.err)
	case ctx.Err() != nil:
		return nil, local(fault.Canceled(ctx))
	}
	var found tls.Found
	k, err := t.stack.Dial(ctx, quicstack.Dialling{
		Transport: name, Network: network, To: dst, Addr: a, Multiaddr: fromNet,
		TLS: t.handshake(expect, &found), Config: t.conf,
	})
	if err != nil {
		return nil, quicstack.DialError(ctx, name, a, found.Err, err)
	}
	return t.conduit(k, &found), nil
}

func fail(o fault.Origin, op string, a ma.Multiaddr, err error) error {
	return sockets.Fail(name, o, op, a, err)
}
