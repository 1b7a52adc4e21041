package webrtc

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/internal/halfopen"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"
)

// socket is one UDP socket of listeners and the connections that came over it. It is closed with the
// last of its users: a listener, a handshake, a connection.
type socket struct {
	t       *Transport
	pc      *net.UDPConn
	network string
	bound   *net.UDPAddr
	local   netip.AddrPort

	halfOpen *halfopen.Table

	mu       sync.Mutex
	listener *listener
	paths    map[netip.AddrPort]*path // at most HalfOpen, and the connections
	ufrags   map[string]*path         // of the same
	recent   map[netip.AddrPort]string
	order    []netip.AddrPort // of recent; a ring of maxRecent
	next     int

	// Of the transport's mu.
	users     int
	listening bool
}

func (t *Transport) newSocket(network string, bind *net.UDPAddr) (*socket, error) {
	pc, err := net.ListenUDP(network, bind)
	if err != nil {
		return nil, err
	}
	_ = pc.SetReadBuffer(socketBuffer) // as much of it as there is
	_ = pc.SetWriteBuffer(socketBuffer)
	s := &socket{
		t: t, pc: pc, network: network, bound: pc.LocalAddr().(*net.UDPAddr),
		halfOpen: halfopen.New(t.cfg.HalfOpen),
		paths:    map[netip.AddrPort]*path{}, ufrags: map[string]*path{}, recent: map[netip.AddrPort]string{},
	}
	s.local = plain(s.bound.AddrPort())
	t.sockets = append(t.sockets, s)
	t.rt.Pump("webrtc socket "+s.bound.String(), s.run, func(pe *actors.PanicError) { s.failed(pe) })
	return s, nil
}

func plain(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// run reads the socket until it is closed.
func (s *socket) run() {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := s.pc.ReadFromUDPAddrPort(buf)
		if err == nil {
			s.handle(buf[:n], plain(from))
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if origin(err).String() == "remote" { // an ICMP message about somebody
			continue
		}
		s.failed(err)
		return
	}
}

// failed ends everything that runs over the socket.
func (s *socket) failed(err error) {
	_ = s.pc.Close()
	s.mu.Lock()
	l := s.listener
	var all []*path
	for _, p := range s.paths { // order-free: all of them end
		all = append(all, p)
	}
	s.mu.Unlock()
	for _, p := range all {
		_ = p.in.Close()
	}
	if l != nil {
		l.fail(err)
	}
}

// handle takes a datagram apart. Of all that strangers may send only a ClientHello costs more than an
// answer and a question, which together are less than twice as long.
func (s *socket) handle(p []byte, from netip.AddrPort) {
	switch {
	case isSTUN(p):
		c, err := answerCheck(p, from)
		if err != nil {
			return
		}
		known := s.checked(c, from)
		_, _ = s.pc.WriteToUDPAddrPort(c.answer, from)
		if known || c.nominate {
			return
		}
		if m, err := c.who.triggered(); err == nil {
			_, _ = s.pc.WriteToUDPAddrPort(m, from)
		}
	case isDTLS(p):
		s.mu.Lock()
		to := s.paths[from]
		l := s.listener
		s.mu.Unlock()
		switch {
		case to != nil:
			to.push(p)
		case l != nil && isHello(p):
			s.arrive(l, p, from)
		}
	}
}

// checked ties a valid check to a connection. One that nominates a new path moves the connection there:
// RFC 8445, section 7.3.1.5. Who sends it knows the connection's secret, or was on the way.
func (s *socket) checked(c check, from netip.AddrPort) (known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.paths[from]; p != nil {
		if p.ufrag == "" && s.ufrags[c.ufrag] == nil {
			p.ufrag = c.ufrag
			s.ufrags[c.ufrag] = p
		}
		if p.ufrag == c.ufrag {
			p.alive()
		}
		return true
	}
	if p := s.ufrags[c.ufrag]; p != nil {
		if c.nominate {
			delete(s.paths, p.addr())
			p.remote.Store(&from)
			s.paths[from] = p
		}
		return true
	}
	s.remember(from, c.ufrag)
	return false
}

// remember keeps whose check came from where. It is called with mu held.
func (s *socket) remember(from netip.AddrPort, ufrag string) {
	if _, ok := s.recent[from]; ok {
		s.recent[from] = ufrag
		return
	}
	if len(s.order) < maxRecent {
		s.order = append(s.order, from)
	} else {
		delete(s.recent, s.order[s.next])
		s.order[s.next] = from
		s.next = (s.next + 1) % maxRecent
	}
	s.recent[from] = ufrag
}

// arrive begins a handshake.
func (s *socket) arrive(l *listener, hello []byte, from netip.AddrPort) {
	leave, err := s.halfOpen.Enter(net.UDPAddrFromAddrPort(from), false)
	if err != nil {
		return // it asks again
	}
	if !s.t.use(s) {
		leave()
		return
	}
	p := newPath(s.local, from, func(b []byte, to netip.AddrPort) error {
		_, err := s.pc.WriteToUDPAddrPort(b, to)
		return err
	})
	p.close = func() { s.depart(p) }
	s.mu.Lock()
	s.paths[from] = p
	if u := s.recent[from]; u != "" && s.ufrags[u] == nil {
		p.ufrag = u
		s.ufrags[u] = p
	}
	s.mu.Unlock()
	p.push(hello)
	l.greet(p, leave)
}

// depart takes a path off the socket.
func (s *socket) depart(p *path) {
	s.mu.Lock()
	delete(s.paths, p.addr())
	if p.ufrag != "" {
		delete(s.ufrags, p.ufrag)
	}
	s.mu.Unlock()
	_ = s.t.leave(s, false)
}

// serve makes l the one that gets what arrives; nil for nobody.
func (s *socket) serve(l *listener) {
	s.mu.Lock()
	s.listener = l
	s.mu.Unlock()
}

// socketToListen is the socket for a listener, with one user more. A socket that still carries
// connections of an earlier listener is taken again.
func (t *Transport) socketToListen(network string, bind *net.UDPAddr) (*socket, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.sockets {
		if s.network != network || s.bound.Port != bind.Port || !sockets.SameUDP(s.bound, bind) {
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

// leave takes a user away. The last one closes the socket.
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
	if err := s.pc.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
