package quic

import (
	"context"
	stdtls "crypto/tls"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/tls"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack"

	ma "github.com/multiformats/go-multiaddr"
)

// Listen implements conduit.Transport. Connections may be accepted before it returns.
func (t *Transport) Listen(a ma.Multiaddr, sink conduit.AcceptSink) (conduit.Listener, error) {
	network, bind, err := udpAddr(a)
	switch {
	case err != nil:
		return nil, fail(fault.Local, "listen on", a, err)
	case t.err != nil:
		return nil, fail(fault.Local, "listen on", a, t.err)
	}
	l, err := t.stack.Listen(network, bind, t.protocol(), sink)
	if err != nil {
		return nil, fail(quicstack.OriginOf(err), "listen on", a, err)
	}
	return l, nil
}

func (t *Transport) protocol() quicstack.Protocol {
	return quicstack.Protocol{
		Transport: name, ALPN: alpn, Config: t.conf, Multiaddr: fromNet,
		Handshake: func() (*stdtls.Config, any, error) {
			var found tls.Found
			return t.handshake("", &found), &found, nil
		},
		Greet: func(_ context.Context, k *quicstack.Link) *quicstack.Conn { return t.conduit(k, k.Note.(*tls.Found)) },
	}
}

// handshake is the configuration of one handshake.
func (t *Transport) handshake(expect identity.ID, found *tls.Found) *stdtls.Config {
	cfg := t.id.QUIC(expect, t.rt.Now(), found)
	cfg.KeyLogWriter = t.cfg.KeyLog
	return cfg
}

func (t *Transport) conduit(k *quicstack.Link, who *tls.Found) *quicstack.Conn {
	return k.Conn(quicstack.Params{Peer: who.Peer, Key: who.PublicKey, ReadBuffer: t.tuning.ReadBuffer, SendBuffer: t.tuning.SendBuffer})
}
