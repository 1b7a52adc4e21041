package quic

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/tls"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	ma "github.com/multiformats/go-multiaddr"
	quicgo "github.com/quic-go/quic-go"
)

const name = "quic"

// Transport dials and listens on UDP. It holds sockets as long as something uses them.
type Transport struct {
	rt      *actors.Runtime
	cfg     Config
	stack   *quicgo.Config
	id      *tls.Identity
	err     error // why it cannot be used: nobody has told whose it is
	warn    func(what string, pairs ...any)
	windows growth

	advised sync.Once // of small buffers

	mu sync.Mutex
	// As many as there are listeners, sockets of former ones with connections, and one for each
	// family that is dialled without a listener.
	sockets []*socket
}

var _ conduit.Member = (*Transport)(nil)

// New makes the transport. Its goroutines are pumps of rt, beside those of the QUIC stack. Without
// Config.Key it is of no use before Join.
func New(rt *actors.Runtime, cfg Config) *Transport {
	t := &Transport{rt: rt, cfg: cfg.withDefaults(), err: ErrNoKey, warn: func(string, ...any) {}}
	t.windows.most = uint64(t.cfg.Growth)
	t.stack = t.cfg.quic()
	t.stack.AllowConnectionWindowIncrease = t.windows.widen
	if cfg.Key != nil {
		t.id, t.err = tls.NewIdentity(cfg.Key, rt.Now())
	}
	return t
}

// Join implements conduit.Member.
func (t *Transport) Join(n conduit.Node) error {
	if t.cfg.Key != nil && !t.cfg.Key.Public().Equal(n.Key.Public()) {
		return ErrKey
	}
	if n.Warn != nil {
		t.warn = n.Warn
	}
	if t.cfg.Key == nil {
		t.cfg.Key = n.Key
		t.id, t.err = tls.NewIdentity(n.Key, t.rt.Now())
	}
	return t.err
}

// Name implements conduit.Transport.
func (t *Transport) Name() string { return name }

// CanDial implements conduit.Transport.
func (t *Transport) CanDial(a ma.Multiaddr) bool { return isQUIC(a) }

// CanListen implements conduit.Transport.
func (t *Transport) CanListen(a ma.Multiaddr) bool { return isQUIC(a) }

// Dial implements conduit.Transport.
func (t *Transport) Dial(ctx context.Context, a ma.Multiaddr, expect identity.ID, done func(conduit.Conduit, error)) {
	var c *conn
	told := false
	what := "quic dial " + a.String()
	t.rt.Pump(what, func() {
		var err error
		c, err = t.dial(ctx, a, expect)
		told = true
		if err != nil {
			done(conduit.Conduit{}, err)
			return
		}
		done(conduit.Conduit{Muxed: c}, nil)
	}, func(pe *actors.PanicError) {
		if c != nil {
			c.failed(pe)
		}
		if !told {
			t.rt.Pump(what, func() { done(conduit.Conduit{}, pe) }, ignore)
		}
	})
}

func (t *Transport) dial(ctx context.Context, a ma.Multiaddr, expect identity.ID) (*conn, error) {
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
	src, err := source(network, dst)
	if err != nil {
		return nil, fail(origin(err), "dial", a, err)
	}
	s, err := t.socketToDial(network, src, dst)
	if err != nil {
		return nil, fail(origin(err), "dial", a, err)
	}
	src.Port = s.bound.Port
	var found tls.Found
	conf, confirmed := t.stack.Clone(), newConfirmation()
	conf.TokenStore = confirmed
	qc, err := s.stack.Dial(ctx, dst, t.handshake(expect, &found), conf)
	if err != nil {
		_ = t.leave(s, false)
		return nil, dialError(ctx, a, &found, err)
	}
	t.adviseBuffers(s)
	confirmed.until = time.Now().Add(farewell)
	from, err := fromNet(src)
	if err != nil {
		_ = qc.CloseWithError(0, "")
		_ = t.leave(s, false)
		return nil, local(err)
	}
	// The dial's use of the socket becomes the connection's.
	ends := conduit.Endpoints{Local: from, Remote: a, Direction: conduit.Outbound, Transport: name}
	return t.conn(qc, s, ends, found, confirmed), nil
}

// ignore is for pumps that bring the news of a panic: who panics on it is beyond help.
func ignore(*actors.PanicError) {}

var errNoArrival = errors.New("a handshake without its connection")
