package unix

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const name = "unix"

// crowded is how long a dial waits before it asks again a listener that does not come to accept: the
// system says so at once, where it would keep a dial over TCP waiting.
const crowded = 5 * time.Millisecond

// Transport dials and listens on Unix sockets. It holds nothing that would have to be closed.
type Transport struct {
	rt    *actors.Runtime
	cfg   Config
	rests *sockets.Rests
}

var _ conduit.Transport = (*Transport)(nil)

// New makes the transport. Its goroutines are pumps of rt.
func New(rt *actors.Runtime, cfg Config) *Transport {
	return &Transport{rt: rt, cfg: cfg.withDefaults(), rests: sockets.NewRests(rt)}
}

// RawOnly implements conduit.RawOnly.
func (t *Transport) RawOnly() bool { return true }

// Name implements conduit.Transport.
func (t *Transport) Name() string { return name }

// CanDial implements conduit.Transport.
func (t *Transport) CanDial(a ma.Multiaddr) bool { return len(a) == 1 && a[0].Code() == ma.P_UNIX }

// CanListen implements conduit.Transport.
func (t *Transport) CanListen(a ma.Multiaddr) bool { return t.CanDial(a) }

// pathOf is the path as the system wants it.
func (t *Transport) pathOf(a ma.Multiaddr) (string, error) {
	if !t.CanDial(a) {
		return "", ErrAddress
	}
	_, path, err := manet.DialArgs(a)
	return path, err
}

// Dial implements conduit.Transport. The remote's identity is not known to a socket: expect is for
// those who secure the connection.
func (t *Transport) Dial(ctx context.Context, a ma.Multiaddr, _ identity.ID, done func(conduit.Conduit, error)) {
	label := "unix dial"
	if t.CanDial(a) {
		label += " " + a.String()
	}
	sockets.DialErrand(t.rt, label, func() (conduit.Conduit, error) {
		c, err := t.dial(ctx, a)
		return conduit.Conduit{Raw: c}, err
	}, done)
}

func (t *Transport) dial(ctx context.Context, a ma.Multiaddr) (conduit.Raw, error) {
	path, err := t.pathOf(a)
	if err != nil {
		return nil, fail(fault.Local, "dial", a, err)
	}
	nc, o, err := sockets.Connect(ctx, t.cfg.DialTimeout, func(ctx context.Context) (net.Conn, error) {
		for {
			nc, err := new(net.Dialer).DialContext(ctx, name, path)
			if !errors.Is(err, syscall.EAGAIN) {
				return nc, err
			}
			if err := pause(ctx); err != nil {
				return nil, err
			}
		}
	})
	if err != nil {
		return nil, fail(o, "dial", a, tooLong(path, err))
	}
	c, err := t.conduit(nc.(*net.UnixConn), a, conduit.Outbound)
	if err != nil {
		return nil, fail(fault.Local, "dial", a, err)
	}
	return c, nil
}

func pause(ctx context.Context) error {
	timer := time.NewTimer(crowded)
	defer timer.Stop()
	select { // order-free: when both are ready, the next try finds that ctx is done
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tooLong says what the system means by an invalid argument.
func tooLong(path string, err error) error {
	if errors.Is(err, syscall.EINVAL) && len(path) >= shortest {
		return ErrTooLong
	}
	return err
}

// shortest is the length of a path that is too long for some system.
const shortest = 104

// conduit makes a conduit of nc, or closes it. at is the listener's address.
func (t *Transport) conduit(nc *net.UnixConn, at ma.Multiaddr, dir conduit.Direction) (*sockets.Conn, error) {
	return sockets.NewConn(nc, sockets.ConnConfig{
		Runtime: t.rt, ReadBuffer: t.cfg.ReadBuffer, Rests: t.rests, Portable: t.cfg.portable,
		Ends: conduit.Endpoints{Local: at, Remote: at, Direction: dir, Transport: name},
	})
}
