package sockets

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
)

const (
	// MaxSilent is how many connections to shared ports of one node may have sent nothing yet.
	MaxSilent = 512
	// SilentTimeout is how long they may take for their first byte.
	SilentTimeout = 10 * time.Second
)

var (
	// ErrUnshared: a private network's listeners never share a port.
	ErrUnshared = errors.New("a listener has this port, and in a private network none shares it: no first byte tells what is spoken")
	// ErrTaken: two listeners on one port that could not be told apart.
	ErrTaken = fmt.Errorf("a listener of this node that is spoken to alike has this port: %w", syscall.EADDRINUSE)
)

// Speech is how one begins who has dialled a listener.
type Speech int

// The kinds of speech that a first byte tells apart.
const (
	Bytes    Speech = iota // multistream-select, 0x13; and whatever is none of the others
	HTTP                   // a method: a capital letter
	TLS                    // a record of a handshake: 0x16
	speeches int    = iota
)

func speechOf(first byte) Speech {
	switch {
	case first >= 'A' && first <= 'Z':
		return HTTP
	case first == 0x16:
		return TLS
	}
	return Bytes
}

// Ports are the TCP ports that a node listens on. Transports that are spoken to differently may have one
// port together; each has a descriptor of its own for it, so the port is free when the last one has closed.
// Nobody waits for a first byte at a port that has one listener only. A nil *Ports shares nothing.
type Ports struct {
	rt      *actors.Runtime
	private bool
	silent  Slots
	timeout time.Duration

	mu   sync.Mutex
	open []*port
}

type portsOf struct{}

// PortsOf are those of n.
func PortsOf(n conduit.Node, rt *actors.Runtime) *Ports {
	if n.Shared == nil {
		return nil
	}
	return n.Shared.Get(portsOf{}, func() any {
		return &Ports{rt: rt, private: n.Private, silent: Slots{Max: MaxSilent}, timeout: SilentTimeout}
	}).(*Ports)
}

// port is one that is bound.
type port struct {
	network string
	at      *net.TCPAddr
	seats   [speeches]*Seat
}

// Seat is what one listener has of a port.
type Seat struct {
	*net.TCPListener

	ports     *Ports // nil: not to be shared
	of        *port
	speech    Speech
	keepAlive *net.KeepAliveConfig // to be set on what is accepted; nil: that has it

	take  func(*net.TCPConn) // nil before Serve
	broke func(*actors.PanicError)
}

// Listen binds a port, or takes part in one that is bound, and says whose fault a failure is.
func (p *Ports) Listen(network, address string, keepAlive time.Duration, s Speech) (*Seat, fault.Origin, error) {
	if p == nil {
		nl, o, err := ListenTCP(network, address, keepAlive)
		return &Seat{TCPListener: nl}, o, err
	}
	at, err := net.ResolveTCPAddr(network, address)
	if err != nil {
		return nil, fault.Local, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.open {
		if o.network == network && o.at.Port == at.Port && SameIP(o.at, at) {
			return p.join(o, keepAlive, s)
		}
	}
	nl, o, err := ListenTCP(network, address, keepAlive)
	if err != nil {
		return nil, o, err
	}
	opened := &port{network: network, at: nl.Addr().(*net.TCPAddr)}
	p.open = append(p.open, opened)
	return p.sit(opened, &Seat{TCPListener: nl, speech: s}), 0, nil
}

// join is called with mu held.
func (p *Ports) join(o *port, keepAlive time.Duration, s Speech) (*Seat, fault.Origin, error) {
	switch {
	case p.private:
		return nil, fault.Local, ErrUnshared
	case o.seats[s] != nil:
		return nil, fault.Local, ErrTaken
	}
	nl, err := again(o.any().TCPListener)
	if err != nil {
		return nil, OriginOfListen(err), err
	}
	alive := KeepAlive(keepAlive)
	return p.sit(o, &Seat{TCPListener: nl, speech: s, keepAlive: &alive}), 0, nil
}

// any is one of the listeners; nil: the port is closed.
func (o *port) any() *Seat {
	for _, s := range o.seats {
		if s != nil {
			return s
		}
	}
	return nil
}

// Serve is called once, before the first Accept. take gets those who speak as the listener expects, whoever
// of the port has accepted them, on a pump of theirs; broke hears of a panic in there.
func (s *Seat) Serve(take func(*net.TCPConn), broke func(*actors.PanicError)) {
	if s.ports == nil {
		return
	}
	s.ports.mu.Lock()
	defer s.ports.mu.Unlock()
	s.take, s.broke = take, broke
}

func (p *Ports) sit(o *port, s *Seat) *Seat {
	s.ports, s.of = p, o
	o.seats[s.speech] = s
	return s
}

// AcceptTCP is that of the listener.
func (s *Seat) AcceptTCP() (*net.TCPConn, error) {
	nc, err := s.TCPListener.AcceptTCP()
	if err == nil && s.keepAlive != nil {
		_ = nc.SetKeepAliveConfig(*s.keepAlive) // or it is gone already
	}
	return nc, err
}

// Close gives the part in the port back.
func (s *Seat) Close() error {
	if s.ports != nil {
		s.ports.leave(s)
	}
	return s.TCPListener.Close()
}

func (p *Ports) leave(s *Seat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.of.seats[s.speech] != s {
		return
	}
	s.of.seats[s.speech] = nil
	if s.of.any() == nil {
		p.open = slices.DeleteFunc(p.open, func(o *port) bool { return o == s.of })
		p.silent.Close(s.of)
	}
}

// Divert says whether nc, which s has accepted, is none of its listener's business for now: its first byte
// will say whose it is. It returns at once.
func (s *Seat) Divert(nc *net.TCPConn) bool {
	if s.ports == nil || !s.shared() {
		return false
	}
	s.ports.sort(s.of, nc)
	return true
}

func (s *Seat) shared() bool {
	s.ports.mu.Lock()
	defer s.ports.mu.Unlock()
	return slices.ContainsFunc(s.of.seats[:], func(o *Seat) bool { return o != nil && o != s })
}

// seat is whom one is for who begins with such a byte; nil: the port is closed. If nobody expects that,
// somebody refuses it with the words of its protocol.
func (p *Ports) seat(o *port, first byte) *Seat {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := o.seats[speechOf(first)]
	if s == nil {
		s = o.any()
	}
	if s == nil || s.take == nil { // it is closed, or not quite open
		return nil
	}
	return s
}

// sort waits for the first byte of nc and hands it over untouched.
func (p *Ports) sort(o *port, nc *net.TCPConn) {
	slot := p.silent.Enter(o, nc)
	var to *Seat
	p.rt.Pump("tcp first byte "+nc.RemoteAddr().String(), func() {
		first, err := p.firstByte(nc)
		if !p.silent.Leave(slot) || err != nil {
			_ = nc.Close()
			return
		}
		if to = p.seat(o, first); to == nil {
			_ = nc.Close()
			return
		}
		to.take(nc)
	}, func(pe *actors.PanicError) {
		p.silent.Leave(slot)
		_ = nc.Close()
		if to != nil {
			to.broke(pe)
		}
	})
}

func (p *Ports) firstByte(nc *net.TCPConn) (byte, error) {
	if err := nc.SetReadDeadline(time.Now().Add(p.timeout)); err != nil {
		return 0, err
	}
	first, err := peek(nc)
	if err == nil {
		err = nc.SetReadDeadline(time.Time{})
	}
	return first, err
}
