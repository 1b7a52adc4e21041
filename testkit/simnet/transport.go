package simnet

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
	"time"

	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// name is package tcp's: a node cannot tell the difference.
const name = "tcp"

// ErrAddress: the address is not one of TCP over IP.
var ErrAddress = errors.New("not a TCP address: want /ip4/.../tcp/... or /ip6/.../tcp/...")

var (
	errInUse   error = syscall.EADDRINUSE
	errNotOurs error = syscall.EADDRNOTAVAIL
	errNoRoute error = syscall.ENETUNREACH
)

// TransportConfig of a transport. The zero value works.
type TransportConfig struct {
	// DialTimeout bounds one dial, within the caller's context. Default 5 s.
	DialTimeout time.Duration
	// ReusePort makes dials go out from the port of the host's first listener that fits, so that
	// NATs see one endpoint and remotes can dial back through the same mapping. Default: each
	// dial has a port of its own.
	ReusePort bool
}

// Canceler follows contexts. *actors.Runtime is one.
type Canceler interface {
	// OnDone calls f once ctx is done, in a turn of the Scheduler.
	OnDone(ctx context.Context, f func()) (stop func() bool)
}

// Transport dials and listens on TCP in the simulated network, for one process of one host.
type Transport struct {
	h     *Host
	rt    Canceler
	cfg   TransportConfig
	epoch int
}

var _ conduit.Transport = (*Transport)(nil)

// Transport makes a transport of the host's present process. rt lets a dial end with its context;
// nil: a dial sees that its context is done only when it asks again.
func (h *Host) Transport(rt Canceler, cfg TransportConfig) *Transport {
	if cfg.DialTimeout <= 0 {
		cfg.DialTimeout = DefaultDialTimeout
	}
	return &Transport{h: h, rt: rt, cfg: cfg, epoch: h.epoch}
}

// RawOnly implements conduit.RawOnly.
func (t *Transport) RawOnly() bool { return true }

// Name implements conduit.Transport.
func (t *Transport) Name() string { return name }

// CanDial implements conduit.Transport.
func (t *Transport) CanDial(a ma.Multiaddr) bool { _, ok := socket(a); return ok }

// CanListen implements conduit.Transport.
func (t *Transport) CanListen(a ma.Multiaddr) bool { return t.CanDial(a) }

// Dial implements conduit.Transport. The remote's identity is not known to TCP: expect is for those
// who secure the stream.
func (t *Transport) Dial(ctx context.Context, a ma.Multiaddr, _ identity.ID, done func(conduit.Conduit, error)) {
	d := &dial{t: t, ctx: ctx, addr: a, done: done}
	t.h.n.soon(d.begin)
}

// dead says that the process that made the transport has ended.
func (t *Transport) dead() bool { return t.h.down || t.epoch != t.h.epoch }

// socket is the endpoint that an address names, if it is one of TCP and nothing more.
func socket(a ma.Multiaddr) (netip.AddrPort, bool) {
	if len(a) != 2 || a[1].Code() != ma.P_TCP {
		return netip.AddrPort{}, false
	}
	w, ok := addrs.ThinWaist(a)
	return w.Addr, ok
}

// source finds the local endpoint of a dial, and what an unspecified destination means.
func (t *Transport) source(dst netip.AddrPort) (from, to netip.AddrPort, err error) {
	h, a := t.h, dst.Addr()
	if a.IsUnspecified() {
		if a = netip.IPv6Loopback(); dst.Addr().Is4() {
			a = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		dst = netip.AddrPortFrom(a, dst.Port())
	}
	src := a
	if !a.IsLoopback() && !h.has(a) {
		var ok bool
		if src, ok = h.addrOf(a.Is4()); !ok {
			return from, dst, errNoRoute
		}
	}
	if t.cfg.ReusePort {
		for _, l := range h.listeners {
			from = netip.AddrPortFrom(src, l.at.Port())
			if (l.at.Addr() == src || l.at.Addr().IsUnspecified() && l.at.Addr().Is4() == src.Is4()) &&
				from != dst && h.streams[pair{from, dst}] == nil {
				return from, dst, nil
			}
		}
	}
	port, ok := h.ephemeral(tcpProto)
	if !ok {
		return from, dst, errNotOurs
	}
	return netip.AddrPortFrom(src, port), dst, nil
}
