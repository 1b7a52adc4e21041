package tls

import (
	"context"
	stdtls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/clean"
)

// Config is what a handshake needs. Identity and Now are required.
type Config struct {
	// Server is true on the side that was dialled. Default: the client.
	Server bool
	// Identity is this node's certificate.
	Identity *Identity
	// Now is what the remote's certificate is checked against.
	Now time.Time
	// Expect is the peer that has to be there. Default: any.
	Expect identity.ID
	// Muxers are agreed on inside the handshake, the best first. Default: not agreed here.
	Muxers []string
	// Wake is called from Run's goroutine when TakeOutput has something or Hungry has become
	// true. It must not block. Default: nobody is told.
	Wake func()
}

// Result is what a handshake yields.
type Result struct {
	Peer      identity.ID
	PublicKey identity.PublicKey
	// Muxer is the one agreed on, if Early; else one has to be negotiated inside the channel.
	Muxer string
	Early bool
	// Open may have plaintext at once, from bytes that came behind the handshake: ask Next
	// before the first Feed.
	Open *Opener
	Seal *Sealer
}

// Handshake runs one side. Run belongs to one goroutine; the other methods to the connection's
// owner, and may be called at the same time.
type Handshake struct {
	cfg    Config
	queues *queues
	peer   identity.ID
	key    identity.PublicKey
}

// NewHandshake prepares a handshake. An error has kind ErrLocal.
func NewHandshake(cfg Config) (*Handshake, error) {
	switch {
	case cfg.Identity == nil || cfg.Now.IsZero():
		return nil, fmt.Errorf("%w: a TLS handshake needs Identity and Now", ErrLocal)
	case len(cfg.Muxers) > maxMuxers:
		return nil, fmt.Errorf("%w: over %d muxers", ErrLocal, maxMuxers)
	case slices.ContainsFunc(cfg.Muxers, func(m string) bool { return m == "" || len(m) > 255 || m == alpn }):
		return nil, fmt.Errorf("%w: muxer name of no or over 255 bytes, or %q", ErrLocal, alpn)
	}
	if cfg.Wake == nil {
		cfg.Wake = func() {}
	}
	return &Handshake{cfg: cfg, queues: newQueues(cfg.Wake)}, nil
}

// Run does the handshake. It blocks until the handshake is done, has failed, was closed or ctx
// ends. After a failure TakeOutput may have an alert for the remote.
func (h *Handshake) Run(ctx context.Context) (*Result, error) {
	// HandshakeContext with a context that can end would start a goroutine for every
	// handshake; this starts one only if it does end.
	// owned: by nobody, as it calls no code but ours: it sets an error and wakes Run.
	stop := context.AfterFunc(ctx, func() { h.Close(fmt.Errorf("%w: %w", ErrLocal, context.Cause(ctx))) })
	defer stop()
	conn := stdtls.Client(h.queues, h.config())
	if h.cfg.Server {
		conn = stdtls.Server(h.queues, h.serverConfig())
	}
	if err := conn.HandshakeContext(context.Background()); err != nil {
		return nil, h.failure(err)
	}
	h.queues.settle()
	r := &Result{Peer: h.peer, PublicKey: h.key, Open: &Opener{conn: conn, queues: h.queues}, Seal: &Sealer{conn: conn, queues: h.queues}}
	if p := conn.ConnectionState().NegotiatedProtocol; p != alpn {
		r.Muxer, r.Early = p, p != ""
	}
	return r, nil
}

// Feed gives received bytes, which are copied. An error ends the handshake.
func (h *Handshake) Feed(p []byte) error {
	err := h.queues.feed(p)
	if err != nil {
		h.Close(err)
	}
	return err
}

// Hungry says that everything fed was read and more is wanted. Whoever reads from the network only
// then keeps the queue short.
func (h *Handshake) Hungry() bool { return h.queues.hungry() }

// TakeOutput appends what is to be sent. Bytes appended count as sent.
func (h *Handshake) TakeOutput(dst []byte) []byte { return h.queues.take(dst) }

// Close makes Run end with err, unless it has ended.
func (h *Handshake) Close(err error) { h.queues.abort(err) }

func (h *Handshake) config() *stdtls.Config {
	return &stdtls.Config{
		MinVersion:   stdtls.VersionTLS13,
		Certificates: []stdtls.Certificate{h.cfg.Identity.certificate},
		// What crypto/tls checks does not apply to these certificates; verify does.
		InsecureSkipVerify:    true,
		ClientAuth:            stdtls.RequireAnyClientCert,
		VerifyPeerCertificate: h.verify,
		NextProtos:            append(slices.Clone(h.cfg.Muxers), alpn),
		Time:                  func() time.Time { return h.cfg.Now },
		// A resumed session shows no certificate, hence proves no identity.
		SessionTicketsDisabled: true,
		// Small first records are for browsers that wait for the first bytes of a page.
		DynamicRecordSizingDisabled: true,
	}
}

// serverConfig lets the client's order decide, where crypto/tls would take the server's.
// inlined-muxer-negotiation.md: "The server SHOULD respect the client's preference".
func (h *Handshake) serverConfig() *stdtls.Config {
	cfg := h.config()
	cfg.GetConfigForClient = func(hello *stdtls.ClientHelloInfo) (*stdtls.Config, error) {
		chosen := h.config()
		chosen.NextProtos = []string{alpn}
		for _, p := range hello.SupportedProtos {
			if slices.Contains(h.cfg.Muxers, p) {
				chosen.NextProtos = []string{p}
				break
			}
		}
		return chosen, nil
	}
	return cfg
}

func (h *Handshake) verify(chain [][]byte, _ [][]*x509.Certificate) error {
	peer, key, err := verify(chain, h.cfg.Now)
	if err != nil {
		return err
	}
	if want := h.cfg.Expect; want != "" && want != peer {
		return &identity.MismatchError{Expected: want, Actual: peer}
	}
	h.peer, h.key = peer, key
	return nil
}

// failure gives an error of crypto/tls its kind, unless it is one of ours already. When the
// handshake was closed, why it was closed says more than what crypto/tls made of it.
func (h *Handshake) failure(err error) error {
	for _, err := range []error{err, h.queues.reason()} {
		for _, kind := range []error{ErrIdentity, ErrLimit, ErrLocal, identity.ErrMismatch} {
			if errors.Is(err, kind) {
				return err
			}
		}
	}
	if reason := h.queues.reason(); reason != nil {
		err = reason
	}
	return fmt.Errorf("%w: %w", ErrHandshake, clean.Error(err))
}
