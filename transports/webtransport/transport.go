package webtransport

import (
	"context"
	"crypto/rand"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
	quicgo "github.com/quic-go/quic-go"
)

const name = "webtransport"

// Transport dials and listens on UDP. It holds sockets as long as something uses them.
type Transport struct {
	rt      *actors.Runtime
	cfg     Config
	tuning  quicstack.Tuning
	dialled *quicgo.Config // of a connection of ours
	served  *quicgo.Config // of a client's
	err     error          // why it cannot be used: nobody has told whose it is

	static *noise.Static
	certs  *certs
	stack  *quicstack.Stack // its sockets; the node's, once it has joined one
}

var _ conduit.Member = (*Transport)(nil)

// New makes the transport. Its goroutines are pumps of rt, beside those of the QUIC stack. Without
// Config.Key it is of no use before Join.
func New(rt *actors.Runtime, cfg Config) *Transport {
	t := &Transport{rt: rt, cfg: cfg.withDefaults(rt), tuning: cfg.tuning(), err: ErrNoKey}
	t.dialled, t.served = stackConfig(t.tuning), stackConfig(t.tuning)
	t.served.MaxIncomingStreams++ // that of CONNECT
	if cfg.Key != nil {
		t.err = t.become(cfg.Key)
		t.stack = quicstack.New(rt, t.sockets(nil))
	}
	return t
}

// become makes what proves the node's identity.
func (t *Transport) become(key identity.PrivateKey) error {
	t.cfg.Key = key
	var err error
	if t.static, err = noise.NewStatic(key, rand.Reader); err != nil {
		return err
	}
	t.certs, err = newCerts(key, t.cfg.now())
	return err
}

// Join implements conduit.Member.
func (t *Transport) Join(n conduit.Node) error {
	if t.cfg.Key != nil && !t.cfg.Key.Public().Equal(n.Key.Public()) {
		return ErrKey
	}
	if t.cfg.Key == nil {
		t.err = t.become(n.Key)
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
func (t *Transport) CanDial(a ma.Multiaddr) bool { return isWebTransport(a) }

// CanListen implements conduit.Transport. Hashes in the address are those of another time: a listener
// that is bound again has its own.
func (t *Transport) CanListen(a ma.Multiaddr) bool { return isWebTransport(a) }

// Dial implements conduit.Transport.
func (t *Transport) Dial(ctx context.Context, a ma.Multiaddr, expect identity.ID, done func(conduit.Conduit, error)) {
	sockets.Dial(t.rt, name+" dial "+a.String(), func() (conduit.Conduit, error) {
		c, err := t.dial(ctx, a, expect)
		return conduit.Conduit{Muxed: c}, err
	}, done)
}

func (t *Transport) conduit(k *quicstack.Link, s *session, who *noise.Result) *quicstack.Conn {
	c := k.Conn(quicstack.Params{
		Peer: who.Peer, Key: who.PublicKey, ReadBuffer: t.tuning.ReadBuffer, SendBuffer: t.tuning.SendBuffer, Layer: s,
	})
	c.Pump("session", func() { s.watch(c) })
	return c
}

// ignore is for pumps that bring the news of a panic: who panics on it is beyond help.
func ignore(*actors.PanicError) {}
