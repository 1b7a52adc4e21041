package webrtc

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"sync"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
)

const name = "webrtc-direct"

// Transport dials and listens on UDP. It holds sockets as long as something uses them.
type Transport struct {
	rt     *actors.Runtime
	cfg    Config
	static *noise.Static
	cert   tls.Certificate
	print  fingerprint
	err    error // why it cannot be used: nobody has told whose it is
	mute   bool  // says nothing of windows, as other implementations do; for tests

	mu      sync.Mutex
	sockets []*socket // as many as there are listeners, and former ones with connections
}

var _ conduit.Member = (*Transport)(nil)

// New makes the transport. Its goroutines are pumps of rt, beside those of DTLS and SCTP. Without
// Config.Key it is of no use before Join.
func New(rt *actors.Runtime, cfg Config) *Transport {
	t := &Transport{rt: rt, cfg: cfg.withDefaults(), err: ErrNoKey}
	if cfg.Key != nil {
		t.err = t.become(cfg.Key)
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
		t.err = t.become(n.Key)
	}
	return t.err
}

func (t *Transport) become(key identity.PrivateKey) (err error) {
	if t.cfg.Version > 2 {
		return ErrVersion
	}
	if t.static, err = noise.NewStatic(key, rand.Reader); err != nil {
		return err
	}
	if t.cfg.Certificate != nil {
		t.cert = *t.cfg.Certificate
	} else if t.cert, err = nodeCertificate(key); err != nil {
		return err
	}
	if len(t.cert.Certificate) == 0 {
		return ErrFingerprint
	}
	t.print = fingerprintOf(t.cert.Certificate[0])
	return nil
}

// Name implements conduit.Transport.
func (t *Transport) Name() string { return name }

// CanDial implements conduit.Transport. Dial has a word for an address without a certhash.
func (t *Transport) CanDial(a ma.Multiaddr) bool {
	_, ok := split(a)
	return ok
}

// CanListen implements conduit.Transport.
func (t *Transport) CanListen(a ma.Multiaddr) bool {
	_, ok := split(a)
	return ok
}

// Dial implements conduit.Transport.
func (t *Transport) Dial(ctx context.Context, a ma.Multiaddr, expect identity.ID, done func(conduit.Conduit, error)) {
	sockets.Dial(t.rt, "webrtc dial "+a.String(), func() (conduit.Conduit, error) {
		c, err := t.dial(ctx, a, expect)
		return conduit.Conduit{Muxed: c}, err
	}, done)
}
