package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/gorilla/websocket"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/clean"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
)

const name = "websocket"

// Transport dials and listens on WebSockets. It holds nothing that would have to be closed.
type Transport struct {
	rt    *actors.Runtime
	cfg   Config
	slots sockets.Slots
	ports *sockets.Ports // nil before Join
}

var _ conduit.Member = (*Transport)(nil)

// New makes the transport. Its goroutines are pumps of rt.
func New(rt *actors.Runtime, cfg Config) *Transport {
	cfg = cfg.withDefaults()
	return &Transport{rt: rt, cfg: cfg, slots: sockets.Slots{Max: cfg.Handshakes}}
}

// Join implements conduit.Member. A node's listeners share a port with those of its TCP transport.
func (t *Transport) Join(n conduit.Node) error {
	t.ports = sockets.PortsOf(n, t.rt)
	return nil
}

// RawOnly implements conduit.RawOnly.
func (t *Transport) RawOnly() bool { return true }

// Name implements conduit.Transport.
func (t *Transport) Name() string { return name }

// CanDial implements conduit.Transport. Names are resolved here if nobody has done it before.
func (t *Transport) CanDial(a ma.Multiaddr) bool {
	_, err := parse(a)
	return err == nil
}

// CanListen implements conduit.Transport.
func (t *Transport) CanListen(a ma.Multiaddr) bool {
	to, err := parse(a)
	return err == nil && !to.named
}

// Dial implements conduit.Transport. The remote's identity is not known to WebSocket, and a
// certificate's is not that of a peer: expect is for those who secure the connection.
func (t *Transport) Dial(ctx context.Context, a ma.Multiaddr, _ identity.ID, done func(conduit.Conduit, error)) {
	sockets.Dial(t.rt, name+" dial "+a.String(), func() (conduit.Conduit, error) {
		to, err := parse(a)
		if err != nil {
			return conduit.Conduit{}, fail(fault.Local, "dial", a, err)
		}
		c, o, err := sockets.Connect(ctx, t.cfg.DialTimeout, func(ctx context.Context) (*conn, error) { return t.connect(ctx, to) })
		if err != nil {
			return conduit.Conduit{}, fail(o, "dial", a, err)
		}
		return conduit.Conduit{Raw: c}, nil
	}, done)
}

// connect does what takes time: TCP, TLS, HTTP. The end of ctx ends all of it.
func (t *Transport) connect(ctx context.Context, to target) (*conn, error) {
	nc, err := sockets.DialTCP(ctx, to.network, to.address, t.cfg.KeepAlive)
	if err != nil {
		return nil, err
	}
	stop := t.rt.OnDone(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	ws, w, err := t.handshake(nc, to)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	ends, err := dialled(nc, to)
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return t.newConn(ws, w, nc, ends), nil
}

// handshake makes a secured connection of nc if it is to be one, and a WebSocket of that.
func (t *Transport) handshake(nc net.Conn, to target) (*websocket.Conn, *wire, error) {
	w := &wire{nc: nc, left: maxHeader}
	if to.secure {
		tc := tls.Client(nc, t.cfg.clientTLS(to.serverName()))
		if err := tc.Handshake(); err != nil {
			return nil, nil, clean.Error(err) // the names in a certificate are the remote's words
		}
		w.nc = tc
	}
	d := websocket.Dialer{
		NetDial:        func(string, string) (net.Conn, error) { return w, nil },
		ReadBufferSize: frameRead, WriteBufferSize: clientBuffer, WriteBufferPool: &clientBuffers,
	}
	ws, answer, err := d.Dial(to.url(), nil)
	switch { // RFC 6455 section 4.1: what was not asked for MUST fail it
	case errors.Is(err, websocket.ErrBadHandshake) && answer != nil:
		return nil, nil, fmt.Errorf("%w: answered %d", ErrRefused, answer.StatusCode)
	case err != nil:
		return nil, nil, clean.Error(err) // the HTTP parser quotes
	case answer.Header.Get("Sec-WebSocket-Extensions") != "":
		return nil, nil, errExtension
	case answer.Header.Get("Sec-WebSocket-Protocol") != "":
		return nil, nil, errProtocol
	}
	return ws, w, nil
}

// dialled is the endpoints of a connection of ours: the remote's as it was dialled, by its IP address.
func dialled(nc net.Conn, to target) (conduit.Endpoints, error) {
	remote, err := endpoint(nc.RemoteAddr(), to.suffix)
	if err != nil {
		return conduit.Endpoints{}, err
	}
	local, err := endpoint(nc.LocalAddr(), plainSuffix(to.secure))
	return conduit.Endpoints{Local: local, Remote: remote, Direction: conduit.Outbound, Transport: name}, err
}
