package quicstack

import (
	"context"
	stdtls "crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bucket"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/muxed"

	ma "github.com/multiformats/go-multiaddr"
	quicgo "github.com/quic-go/quic-go"
)

// Link is a QUIC connection that is no conduit yet. It holds one use of its socket.
type Link struct {
	QUIC *quicgo.Conn
	Note any // of the protocol's Handshake

	t         *Stack
	s         *socket
	ends      conduit.Endpoints
	proven    bool
	confirmed *confirmation // of a dialled connection
	released  sync.Once
}

// Dialling is where to, and how.
type Dialling struct {
	Transport string
	Network   string // "udp4" or "udp6"
	To        *net.UDPAddr
	Addr      ma.Multiaddr // the same, as the remote's end
	Multiaddr func(net.Addr) (ma.Multiaddr, error)
	TLS       *stdtls.Config
	Config    *quicgo.Config
}

// Dial runs a TLS handshake. Its errors are for DialError.
func (t *Stack) Dial(ctx context.Context, d Dialling) (*Link, error) {
	src, err := source(d.Network, d.To)
	if err != nil {
		return nil, err
	}
	s, err := t.socketToDial(d.Network, src, d.To)
	if err != nil {
		return nil, err
	}
	src.Port = s.bound.Port
	from, err := d.Multiaddr(src)
	if err != nil {
		_ = t.leave(s)
		return nil, err
	}
	conf, confirmed := d.Config.Clone(), newConfirmation()
	conf.TokenStore = confirmed
	conf.AllowConnectionWindowIncrease = t.windows.widen
	qc, err := s.stack.Dial(ctx, d.To, d.TLS, conf)
	if err != nil {
		_ = t.leave(s)
		return nil, err
	}
	t.adviseBuffers(s)
	confirmed.until = time.Now().Add(farewell)
	return &Link{
		QUIC: qc, t: t, s: s, confirmed: confirmed,
		ends: conduit.Endpoints{Local: from, Remote: d.Addr, Direction: conduit.Outbound, Transport: d.Transport},
	}, nil
}

// source is the address that the system sends from to get to dst. Nothing is sent to find out.
func source(network string, dst *net.UDPAddr) (*net.UDPAddr, error) {
	c, err := net.DialUDP(network, nil, dst)
	if err != nil {
		return nil, err
	}
	src := c.LocalAddr().(*net.UDPAddr)
	return src, c.Close()
}

// Endpoints are the ends of the connection.
func (k *Link) Endpoints() conduit.Endpoints { return k.ends }

// Drop closes a connection that becomes no conduit. Whoever accepted it returns nil then.
func (k *Link) Drop(code quicgo.ApplicationErrorCode, reason string) {
	_ = k.QUIC.CloseWithError(code, muxed.Shorten(reason))
	k.t.windows.ended(k.QUIC)
	if k.ends.Direction == conduit.Outbound {
		k.release()
	}
}

// Pump starts a goroutine that ends with the connection. A panic in it ends the connection.
func (k *Link) Pump(what string, f func()) {
	k.t.rt.Pump(k.ends.Transport+" "+what, f, func(*actors.PanicError) { // an end waits for quic-go
		k.t.rt.Pump(k.ends.Transport+" close", func() { _ = k.QUIC.CloseWithError(panicCode, "") }, ignore)
	})
}

func (k *Link) release() { k.released.Do(func() { _ = k.t.leave(k.s) }) }

// Params are what a conduit needs beside its connection.
type Params struct {
	Peer identity.ID
	Key  identity.PublicKey
	// ReadBuffer and SendBuffer are as in package quic's Config.
	ReadBuffer, SendBuffer int
	// Layer is what lies over QUIC. Default: nothing, a stream is a stream.
	Layer Layer
}

// Conn makes a conduit of the connection. The link's use of the socket becomes the conduit's.
func (k *Link) Conn(p Params) *Conn {
	t, s, qc := k.t, k.s, k.QUIC
	c := &Conn{
		rt: t.rt, s: s, qc: qc, ends: k.ends, p: p, proven: k.proven, confirmed: k.confirmed,
		streams: map[quicgo.StreamID]*stream{}, ending: make(chan struct{}),
		resets: bucket.New(ResetBurst, resetRate, t.rt.Now()),
	}
	if c.p.Layer == nil {
		c.p.Layer = bare{c}
	}
	// owned: by the pump that it starts; closing the socket calls no code but ours.
	context.AfterFunc(qc.Context(), func() {
		t.windows.ended(qc)
		k.release()
		c.Pump("end", c.finish)
		close(c.ending)
	})
	return c
}
