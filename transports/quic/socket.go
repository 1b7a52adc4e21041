package quic

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"net"
	"slices"
	"sync"
	"syscall"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/tls"
	"github.com/troupe-p2p/troupe/transports/internal/halfopen"

	quicgo "github.com/quic-go/quic-go"
)

// socket is one UDP socket and the connections that run over it. It is closed with the last of its
// users: a listener, a dial, a connection.
type socket struct {
	pc      *net.UDPConn
	stack   *quicgo.Transport
	network string
	bound   *net.UDPAddr

	halfOpen *halfopen.Table
	measured sync.Once // its buffers were

	// Of the transport's mu.
	users     int
	listening bool
	dialling  bool // was made for dials
}

// arrival is an inbound connection whose handshake is not done.
type arrival struct {
	found    tls.Found
	verified bool   // its address, by a Retry
	settle   func() // gives the place among the half-open ones back
}

// arrivalKey finds the arrival in the context of a connection: crypto/tls hands that on to
// GetConfigForClient, and nothing else ties the two together.
type arrivalKey struct{}

func (t *Transport) newSocket(network string, bind *net.UDPAddr) (*socket, error) {
	hush()
	pc, err := net.ListenUDP(network, bind)
	if err != nil {
		return nil, err
	}
	s := &socket{
		pc: pc, network: network, bound: pc.LocalAddr().(*net.UDPAddr),
		halfOpen: halfopen.New(t.cfg.HalfOpen),
	}
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
			a := &arrival{verified: from.AddrVerified, settle: leave}
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

// socketToListen is the socket for a listener, with one user more. A socket that still carries
// connections of an earlier listener is taken again.
func (t *Transport) socketToListen(network string, bind *net.UDPAddr) (*socket, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.sockets {
		if s.network != network || s.bound.Port != bind.Port || !sameIP(s.bound, bind) {
			continue
		}
		if s.listening {
			return nil, syscall.EADDRINUSE
		}
		s.listening = true
		s.users++
		return s, nil
	}
	s, err := t.newSocket(network, bind)
	if err != nil {
		return nil, err
	}
	s.listening = true
	s.users++
	return s, nil
}

// socketToDial is the socket to reach dst from src, with one user more: a listener's if there is one
// that sends from src, so that the remote sees the address that we can be dialled at.
func (t *Transport) socketToDial(network string, src, dst *net.UDPAddr) (*socket, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var shared *socket
	for _, s := range t.sockets {
		switch {
		case s.network != network || !s.listening && !s.dialling:
			continue
		case !sameIP(s.bound, src) && !s.bound.IP.IsUnspecified():
			continue
		case s.bound.Port == dst.Port && sameIP(src, dst): // ourselves
			continue
		}
		if shared == nil || s.listening && !shared.listening {
			shared = s
		}
	}
	if shared == nil {
		var err error
		if shared, err = t.newSocket(network, nil); err != nil {
			return nil, err
		}
		shared.dialling = true
	}
	shared.users++
	return shared, nil
}

// sameIP compares addresses; an unset one stands for all of them.
func sameIP(a, b *net.UDPAddr) bool {
	if len(a.IP) == 0 || len(b.IP) == 0 {
		return (len(a.IP) == 0 || a.IP.IsUnspecified()) && (len(b.IP) == 0 || b.IP.IsUnspecified())
	}
	return a.IP.Equal(b.IP) && a.Zone == b.Zone
}

// use adds a user to a socket, unless it is closed.
func (t *Transport) use(s *socket) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.users == 0 {
		return false
	}
	s.users++
	return true
}

// leave takes a user away. The last one closes the socket, which ends quic-go's goroutines too.
func (t *Transport) leave(s *socket, listener bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if listener {
		s.listening = false
	}
	if s.users--; s.users > 0 {
		return nil
	}
	t.sockets = slices.DeleteFunc(t.sockets, func(o *socket) bool { return o == s })
	return s.pc.Close()
}
