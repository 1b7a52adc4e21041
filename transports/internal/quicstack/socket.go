package quicstack

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	stdtls "crypto/tls"
	"errors"
	"net"
	"sync"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/internal/halfopen"

	quicgo "github.com/quic-go/quic-go"
)

// socket is one UDP socket and the connections that run over it. It is closed with the last of its
// users: a listener, a dial, a connection.
type socket struct {
	t       *Stack
	pc      *net.UDPConn
	stack   *quicgo.Transport
	network string
	bound   *net.UDPAddr

	halfOpen *halfopen.Table
	measured sync.Once // its buffers were

	opening sync.Mutex            // held by whoever opens or closes ql
	ql      *quicgo.EarlyListener // there are listeners
	stop    chan struct{}         // closed with ql

	// Of the stack's mu.
	users     int
	listeners []*Listener // each with a protocol of its own
	dialling  bool        // was made for dials
}

// arrival is an inbound connection whose handshake is not done.
type arrival struct {
	proven bool      // its address was, by a Retry
	settle func()    // gives the place among the half-open ones back
	to     *Listener // set by the ClientHello
	note   any       // of the listener's protocol
	handed bool      // by the pump of the handshake
}

// arrivalKey finds the arrival in the context of a connection: crypto/tls hands that on to
// GetConfigForClient, and nothing else ties the two together.
type arrivalKey struct{}

var (
	errNoArrival  = errors.New("a handshake without its connection")
	errNoProtocol = errors.New("none of the client's protocols is spoken here")
)

// newSocket is called with the stack's mu held.
func (t *Stack) newSocket(network string, bind *net.UDPAddr) (*socket, error) {
	hush()
	pc, err := net.ListenUDP(network, bind)
	if err != nil {
		return nil, err
	}
	s := &socket{t: t, pc: pc, network: network, bound: pc.LocalAddr().(*net.UDPAddr), halfOpen: halfopen.New(t.cfg.HalfOpen)}
	reset, err := resetKey(t.cfg.Key, s.bound)
	if err != nil {
		_ = pc.Close()
		return nil, err
	}
	s.stack = &quicgo.Transport{
		Conn:                pc,
		StatelessResetKey:   reset,
		VerifySourceAddress: s.halfOpen.WantsProof,
		ConnContext: func(ctx context.Context, from *quicgo.ClientInfo) (context.Context, error) {
			leave, err := s.halfOpen.Enter(from.RemoteAddr, from.AddrVerified)
			if err != nil {
				return nil, err
			}
			a := &arrival{proven: from.AddrVerified, settle: leave}
			// owned: by nobody, as it only counts.
			context.AfterFunc(ctx, a.settle)
			return context.WithValue(ctx, arrivalKey{}, a), nil
		},
	}
	t.sockets = append(t.sockets, s)
	return s, nil
}

// resetKey lets a node that was started again end the connections of its former life, in place of
// leaving them to time out (RFC 9000, section 10.3). Each address has a key of its own: with one key
// for two sockets, one would tell how to reset the connections of the other (section 21.11).
func resetKey(node identity.PrivateKey, bound *net.UDPAddr) (*quicgo.StatelessResetKey, error) {
	const size = len(quicgo.StatelessResetKey{})
	secret, err := hkdf.Key(sha256.New, node.Raw(), nil, "troupe: QUIC stateless resets of "+bound.String(), size)
	if err != nil {
		return nil, err
	}
	return (*quicgo.StatelessResetKey)(secret), nil
}

// speaks is called with the stack's mu held.
func (s *socket) speaks(alpn string) bool { return s.listener(alpn) != nil }

func (s *socket) listener(alpn string) *Listener {
	for _, l := range s.listeners {
		if l.p.ALPN == alpn {
			return l
		}
	}
	return nil
}

// open starts to accept, unless that is done already. It is called with opening held.
func (s *socket) open() error {
	if s.ql != nil {
		return nil
	}
	ql, err := s.stack.ListenEarly(
		&stdtls.Config{MinVersion: stdtls.VersionTLS13, GetConfigForClient: s.hello},
		&quicgo.Config{
			Versions:           []quicgo.Version{quicgo.Version1}, // looked at before anybody is asked
			GetConfigForClient: func(*quicgo.ClientInfo) (*quicgo.Config, error) { return s.config() },
		},
	)
	if err != nil {
		return err
	}
	s.ql, s.stop = ql, make(chan struct{})
	return nil
}

// shut is called with opening held. It waits for quic-go to refuse the handshakes under way, which
// takes no answer of a remote.
func (s *socket) shut() {
	if s.ql == nil {
		return
	}
	close(s.stop)
	_ = s.ql.Close()
	s.ql = nil
}

// hello finds who is meant, in the order of the client's wishes. Each connection gets a configuration
// of its own, which knows where to write down who is there.
func (s *socket) hello(hello *stdtls.ClientHelloInfo) (*stdtls.Config, error) {
	a, ok := hello.Context().Value(arrivalKey{}).(*arrival)
	if !ok {
		return nil, errNoArrival
	}
	s.t.mu.Lock()
	for _, alpn := range hello.SupportedProtos {
		if a.to = s.listener(alpn); a.to != nil {
			break
		}
	}
	if a.to == nil && len(hello.SupportedProtos) == 0 && len(s.listeners) > 0 {
		a.to = s.listeners[0] // whose configuration wants one, and says so
	}
	s.t.mu.Unlock()
	if a.to == nil {
		return s.refusal(), nil
	}
	var conf *stdtls.Config
	var err error
	conf, a.note, err = a.to.p.Handshake()
	return conf, err
}

// refusal has crypto/tls send the alert of a client without a protocol in common.
func (s *socket) refusal() *stdtls.Config {
	return &stdtls.Config{
		MinVersion: stdtls.VersionTLS13, NextProtos: []string{"none"},
		GetCertificate: func(*stdtls.ClientHelloInfo) (*stdtls.Certificate, error) { return nil, errNoProtocol },
	}
}

// config is what a connection may do whose protocol is not known yet: quic-go wants to know before the
// ClientHello is read. Of the protocols that listen here the wider one holds.
func (s *socket) config() (*quicgo.Config, error) {
	var c *quicgo.Config
	for _, l := range s.t.listenersOf(s) {
		c = wider(c, l.p.Config)
	}
	if c == nil { // the last has just gone
		return nil, errNoProtocol
	}
	c.AllowConnectionWindowIncrease = s.t.windows.widen
	return c, nil
}

// wider is a copy of a, or what it allows and b does.
func wider(a, b *quicgo.Config) *quicgo.Config {
	c := b.Clone()
	if a == nil {
		return c
	}
	c.HandshakeIdleTimeout = max(a.HandshakeIdleTimeout, b.HandshakeIdleTimeout)
	c.MaxIdleTimeout = max(a.MaxIdleTimeout, b.MaxIdleTimeout)
	c.KeepAlivePeriod = max(a.KeepAlivePeriod, b.KeepAlivePeriod)
	c.InitialStreamReceiveWindow = max(a.InitialStreamReceiveWindow, b.InitialStreamReceiveWindow)
	c.MaxStreamReceiveWindow = max(a.MaxStreamReceiveWindow, b.MaxStreamReceiveWindow)
	c.InitialConnectionReceiveWindow = max(a.InitialConnectionReceiveWindow, b.InitialConnectionReceiveWindow)
	c.MaxConnectionReceiveWindow = max(a.MaxConnectionReceiveWindow, b.MaxConnectionReceiveWindow)
	c.MaxIncomingStreams = max(a.MaxIncomingStreams, b.MaxIncomingStreams)
	c.MaxIncomingUniStreams = max(a.MaxIncomingUniStreams, b.MaxIncomingUniStreams)
	c.EnableDatagrams = a.EnableDatagrams || b.EnableDatagrams
	c.EnableStreamResetPartialDelivery = a.EnableStreamResetPartialDelivery || b.EnableStreamResetPartialDelivery
	return c
}
