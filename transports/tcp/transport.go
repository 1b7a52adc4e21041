package tcp

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"
	"github.com/troupe-p2p/troupe/transports/internal/unsent"

	ma "github.com/multiformats/go-multiaddr"
)

const name = "tcp"

// Transport dials and listens on TCP. It holds nothing that would have to be closed.
type Transport struct {
	rt    *actors.Runtime
	cfg   Config
	rests rests
}

var _ conduit.Transport = (*Transport)(nil)

// New makes the transport. Its goroutines are pumps of rt.
func New(rt *actors.Runtime, cfg Config) *Transport {
	return &Transport{rt: rt, cfg: cfg.withDefaults(), rests: rests{rt: rt}}
}

// RawOnly implements conduit.RawOnly.
func (t *Transport) RawOnly() bool { return true }

// Name implements conduit.Transport.
func (t *Transport) Name() string { return name }

// CanDial implements conduit.Transport.
func (t *Transport) CanDial(a ma.Multiaddr) bool { return isTCP(a) }

// CanListen implements conduit.Transport.
func (t *Transport) CanListen(a ma.Multiaddr) bool { return isTCP(a) }

// Dial implements conduit.Transport. The remote's identity is not known to TCP: expect is for
// those who secure the connection.
func (t *Transport) Dial(ctx context.Context, a ma.Multiaddr, _ identity.ID, done func(conduit.Conduit, error)) {
	var c *conn
	told := false
	t.rt.Pump("tcp dial "+a.String(), func() {
		var err error
		c, err = t.dial(ctx, a)
		told = true
		if err != nil {
			done(conduit.Conduit{}, err)
			return
		}
		done(conduit.Conduit{Raw: c}, nil)
	}, func(pe *actors.PanicError) {
		if c != nil {
			_ = c.Close()
		}
		if !told {
			t.rt.Pump("tcp dial "+a.String(), func() { done(conduit.Conduit{}, pe) }, ignore)
		}
	})
}

func (t *Transport) dial(ctx context.Context, a ma.Multiaddr) (*conn, error) {
	network, address, err := dialArgs(a)
	if err != nil {
		return nil, fail(fault.Local, "dial", a, err)
	}
	limit := time.Now().Add(t.cfg.DialTimeout)
	theirs, ok := ctx.Deadline()
	callers := ok && theirs.Before(limit) // it is the caller's deadline that comes first
	within, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	d := net.Dialer{KeepAliveConfig: sockets.KeepAlive(t.cfg.KeepAlive)}
	d.SetMultipathTCP(false)
	nc, err := d.DialContext(within, network, address)
	switch {
	case ctx.Err() != nil:
		if err == nil {
			_ = nc.Close()
		}
		return nil, fail(fault.Local, "dial", a, fault.Canceled(ctx))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		if callers { // the poller's clock was faster than the context's
			return nil, fail(fault.Local, "dial", a, context.DeadlineExceeded)
		}
		return nil, fail(fault.Remote, "dial", a, sockets.NoAnswer(t.cfg.DialTimeout))
	case err != nil:
		return nil, fail(origin(err), "dial", a, err)
	}
	c, err := t.conduit(nc.(*net.TCPConn), nil, conduit.Outbound)
	if err != nil {
		return nil, fail(fault.Local, "dial", a, err)
	}
	return c, nil
}

// conduit makes a conduit of nc, or closes it. local is nc's own address if that is known.
// Nagle's delay is off: package net turns it off for every TCP connection.
func (t *Transport) conduit(nc *net.TCPConn, local ma.Multiaddr, dir conduit.Direction) (*conn, error) {
	remote, err := fromNet(nc.RemoteAddr())
	if err == nil && local == nil {
		local, err = fromNet(nc.LocalAddr())
	}
	var s sock
	if err == nil {
		s, err = t.newSock(nc)
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	unsent.Bound(nc)
	c := &conn{
		rt:    t.rt,
		nc:    nc,
		sock:  s,
		most:  t.cfg.ReadBuffer,
		rests: &t.rests,
		ends:  conduit.Endpoints{Local: local, Remote: remote, Direction: dir, Transport: name},
	}
	c.wake.L = &c.mu
	return c, nil
}

func (t *Transport) newSock(nc *net.TCPConn) (sock, error) {
	if t.cfg.portable {
		return &waitingSock{nc}, nil
	}
	return newSock(nc)
}

// ignore is for pumps that bring the news of a panic: who panics on it is beyond help.
func ignore(*actors.PanicError) {}
