package quicstack

import (
	"net"
	"slices"
	"sync"
	"syscall"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"
)

// Config of a Stack.
type Config struct {
	// Key is the node's. Keys of stateless resets come from it.
	Key identity.PrivateKey
	// HalfOpen is how many inbound handshakes may be under way on one socket.
	HalfOpen int
	// Growth is how many bytes the windows of all connections may have grown by together.
	Growth int
	// Warn takes what the node's operator should know. Default: nobody is told.
	Warn func(what string, pairs ...any)
}

// Stack is the sockets of a node's transports over QUIC.
type Stack struct {
	rt      *actors.Runtime
	cfg     Config
	windows growth
	advised sync.Once // of small buffers

	mu sync.Mutex
	// As many as there are addresses that are listened on, sockets of former listeners with
	// connections, and one for each family that is dialled without a listener.
	sockets []*socket
}

// New makes a stack that is nobody else's.
func New(rt *actors.Runtime, cfg Config) *Stack {
	t := &Stack{rt: rt, cfg: cfg}
	if t.cfg.Warn == nil {
		t.cfg.Warn = func(string, ...any) {}
	}
	t.windows.allow(cfg.Growth)
	return t
}

// stackOf is the key under which the transports of a node find their stack.
type stackOf struct{}

// Of is the stack of a node's transports, as of Join: nothing is listened on by then. Where the
// transports want different bounds the wider one holds.
func Of(n conduit.Node, rt *actors.Runtime, cfg Config) *Stack {
	if n.Shared == nil {
		return New(rt, cfg)
	}
	t := n.Shared.Get(stackOf{}, func() any { return New(rt, cfg) }).(*Stack)
	t.mu.Lock()
	t.cfg.HalfOpen = max(t.cfg.HalfOpen, cfg.HalfOpen)
	t.mu.Unlock()
	t.windows.allow(cfg.Growth)
	return t
}

// Grown is how many bytes the windows of all connections have grown by.
func (t *Stack) Grown() int { return t.windows.grown() }

// socketToListen is the socket for a listener, with one user more. A socket that still carries
// connections of an earlier listener is taken again, and so is one on which another protocol listens.
func (t *Stack) socketToListen(network string, bind *net.UDPAddr, l *Listener) (*socket, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.sockets {
		if s.network != network || s.bound.Port != bind.Port || !sockets.SameUDP(s.bound, bind) {
			continue
		}
		if s.speaks(l.p.ALPN) {
			return nil, syscall.EADDRINUSE
		}
		s.listeners = append(s.listeners, l)
		s.users++
		return s, nil
	}
	s, err := t.newSocket(network, bind)
	if err != nil {
		return nil, err
	}
	s.listeners = append(s.listeners, l)
	s.users++
	return s, nil
}

// socketToDial is the socket to reach dst from src, with one user more: a listener's if there is one
// that sends from src, so that the remote sees the address that we can be dialled at.
func (t *Stack) socketToDial(network string, src, dst *net.UDPAddr) (*socket, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var shared *socket
	for _, s := range t.sockets {
		listening := len(s.listeners) > 0
		switch {
		case s.network != network || !listening && !s.dialling:
			continue
		case !sockets.SameUDP(s.bound, src) && !s.bound.IP.IsUnspecified():
			continue
		case s.bound.Port == dst.Port && sockets.SameUDP(src, dst): // ourselves
			continue
		}
		if shared == nil || listening && len(shared.listeners) == 0 {
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

// use adds a user to a socket, unless it is closed.
func (t *Stack) use(s *socket) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.users == 0 {
		return false
	}
	s.users++
	return true
}

// leave takes a user away. The last one closes the socket, which ends quic-go's goroutines too.
func (t *Stack) leave(s *socket) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.users--; s.users > 0 {
		return nil
	}
	t.sockets = slices.DeleteFunc(t.sockets, func(o *socket) bool { return o == s })
	return s.pc.Close()
}

// unlisten takes a listener off its socket, and reports whether it was the last.
func (t *Stack) unlisten(l *Listener) (last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.s.listeners = slices.DeleteFunc(l.s.listeners, func(o *Listener) bool { return o == l })
	return len(l.s.listeners) == 0
}

// listenersOf is who listens on a socket now.
func (t *Stack) listenersOf(s *socket) []*Listener {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(s.listeners)
}
