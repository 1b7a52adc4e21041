// Package netconn makes a transport of whatever can dial and listen by the interfaces of package net:
//
//	Config.Dial  ──net.Conn──┐
//	                         ├─> Raw conduit ─> multistream, Noise or TLS, yamux ─> peer
//	Config.Listen ─Accept────┘
//
// It keeps the contract of package conduit, with pumps that the runtime knows: a panic in a Read of
// yours ends one connection. A *net.TCPConn or *net.UnixConn has the data path of the built-in
// transports. Of anything else nobody can ask whether it is ready: each connection holds one read
// buffer while it waits, and each write is a pump's. Both ends of a connection may be written to before
// the other one is read, so a handshake below libp2p's own is to be over when Dial and Accept return,
// and an Accept must not wait for a remote. Who needs more writes a conduit.Transport;
// docs/transports.md says how.
package netconn

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bound"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
)

// Config of a transport. All functions are required. Dial may block, and the Accept of a listener; the
// others, and the Close of a listener, may not.
type Config struct {
	// Name is short and unlike that of any other transport: "tcp".
	Name string
	// Handles says whether an address is of this kind, all of it: what follows the last component
	// that is known here belongs to another transport.
	Handles func(a ma.Multiaddr) bool
	// Dial connects to an address, within ctx. A connection is a reliable byte stream whose Read
	// returns io.EOF after the remote's Close and another error after anything else; its Close wakes
	// Read and Write, and its SetReadDeadline works.
	Dial func(ctx context.Context, a ma.Multiaddr) (net.Conn, error)
	// Listen binds an address.
	Listen func(a ma.Multiaddr) (net.Listener, error)
	// Addr is the multiaddr of one end of a connection, or of a listener.
	Addr func(a net.Addr) (ma.Multiaddr, error)
	// ReadBuffer is the most that one read takes, in bytes. Default 64 KiB. Reads begin with 4 KiB.
	ReadBuffer int
	// DialTimeout bounds one dial, within the caller's context. Default 5 s.
	DialTimeout time.Duration
}

const (
	// DefaultReadBuffer bounds what one connection makes us hold for one read.
	DefaultReadBuffer = 64 << 10
	// DefaultDialTimeout is that of TCP.
	DefaultDialTimeout = 5 * time.Second
)

// Error is the error of this package; errors.Is sees through it to what Dial or Listen returned.
type Error = fault.Error

var (
	// ErrConfig: a function of Config or the name is missing.
	ErrConfig = errors.New("netconn: Config needs Name, Handles, Dial, Listen and Addr")
	// ErrAddress: the address is not one that Handles takes.
	ErrAddress = errors.New("not an address of this transport")
)

// Transport is a conduit.Transport.
type Transport struct {
	rt    *actors.Runtime
	cfg   Config
	rests *sockets.Rests
}

var _ conduit.Transport = (*Transport)(nil)

// New makes the transport. Its goroutines are pumps of rt.
func New(rt *actors.Runtime, cfg Config) (*Transport, error) {
	if cfg.Name == "" || cfg.Handles == nil || cfg.Dial == nil || cfg.Listen == nil || cfg.Addr == nil {
		return nil, ErrConfig
	}
	if cfg.ReadBuffer <= 0 {
		cfg.ReadBuffer = DefaultReadBuffer
	}
	if cfg.DialTimeout <= 0 {
		cfg.DialTimeout = DefaultDialTimeout
	}
	return &Transport{rt: rt, cfg: cfg, rests: sockets.NewRests(rt)}, nil
}

// RawOnly implements conduit.RawOnly.
func (t *Transport) RawOnly() bool { return true }

// Name implements conduit.Transport.
func (t *Transport) Name() string { return t.cfg.Name }

// CanDial implements conduit.Transport.
func (t *Transport) CanDial(a ma.Multiaddr) bool { return len(a) > 0 && t.cfg.Handles(a) }

// CanListen implements conduit.Transport.
func (t *Transport) CanListen(a ma.Multiaddr) bool { return t.CanDial(a) }

// Dial implements conduit.Transport. Who the remote is, its handshake will tell.
func (t *Transport) Dial(ctx context.Context, a ma.Multiaddr, _ identity.ID, done func(conduit.Conduit, error)) {
	sockets.Dial(t.rt, t.cfg.Name+" dial", func() (conduit.Conduit, error) {
		c, err := t.dial(ctx, a)
		return conduit.Conduit{Raw: c}, err
	}, done)
}

func (t *Transport) dial(ctx context.Context, a ma.Multiaddr) (conduit.Raw, error) {
	if !t.CanDial(a) {
		return nil, t.fail(fault.Local, "dial", a, ErrAddress)
	}
	nc, o, err := sockets.Connect(ctx, t.cfg.DialTimeout, func(ctx context.Context) (net.Conn, error) { return t.cfg.Dial(ctx, a) })
	if err != nil {
		return nil, t.fail(o, "dial", a, err)
	}
	c, err := t.conduit(nc, conduit.Outbound)
	if err != nil {
		return nil, t.fail(fault.Local, "dial", a, err)
	}
	return c, nil
}

// Listen implements conduit.Transport. Connections may be accepted before it returns.
func (t *Transport) Listen(a ma.Multiaddr, sink conduit.AcceptSink) (conduit.Listener, error) {
	if !t.CanListen(a) {
		return nil, t.fail(fault.Local, "listen on", a, ErrAddress)
	}
	nl, err := t.cfg.Listen(a)
	if err != nil {
		return nil, t.fail(sockets.OriginOfListen(err), "listen on", a, err)
	}
	at, err := t.cfg.Addr(nl.Addr())
	if err != nil {
		_ = nl.Close()
		return nil, t.fail(fault.Local, "listen on", a, err)
	}
	l := &sockets.Listener[net.Conn]{
		Runtime: t.rt, Transport: t.cfg.Name, At: at, Sink: sink, Accept: nl.Accept, Free: nl.Close,
	}
	l.Took = func(nc net.Conn) {
		if c, err := t.conduit(nc, conduit.Inbound); err == nil { // or it is gone already
			l.Give(c)
		}
	}
	l.Start()
	return l, nil
}

// conduit makes a conduit of nc, or closes it.
func (t *Transport) conduit(nc net.Conn, dir conduit.Direction) (*sockets.Conn, error) {
	remote, err := t.cfg.Addr(nc.RemoteAddr())
	var local ma.Multiaddr
	if err == nil {
		local, err = t.cfg.Addr(nc.LocalAddr())
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	portable := true
	switch nc.(type) { // and not what is put around one: that wants to be read itself
	case *net.TCPConn, *net.UnixConn:
		portable = false
	}
	return sockets.NewConn(nc, sockets.ConnConfig{
		Runtime: t.rt, ReadBuffer: t.cfg.ReadBuffer, Rests: t.rests, Portable: portable,
		Ends: conduit.Endpoints{Local: local, Remote: remote, Direction: dir, Transport: t.cfg.Name},
	})
}

func (t *Transport) fail(o fault.Origin, op string, a ma.Multiaddr, err error) error {
	return sockets.Fail(t.cfg.Name, o, op, a, err)
}

// Bounds lists what a remote can fill, at the default Config.
func Bounds() []bound.Bound {
	return []bound.Bound{{Name: "transports/netconn: bytes of one read", Cap: DefaultReadBuffer, Attack: "a sender faster than the owner"}}
}
