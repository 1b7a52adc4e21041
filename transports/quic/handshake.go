package quic

import (
	stdtls "crypto/tls"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/tls"
)

// handshake is the configuration of one handshake of ours.
func (t *Transport) handshake(expect identity.ID, found *tls.Found) *stdtls.Config {
	cfg := t.id.QUIC(expect, t.rt.Now(), found)
	cfg.KeyLogWriter = t.cfg.KeyLog
	return cfg
}

// handshakes is the configuration of a listener's. Each connection gets one of its own, which knows
// where to write down who is there.
func (t *Transport) handshakes() *stdtls.Config {
	cfg := t.handshake("", &tls.Found{})
	cfg.GetConfigForClient = func(hello *stdtls.ClientHelloInfo) (*stdtls.Config, error) {
		a, ok := hello.Context().Value(arrivalKey{}).(*arrival)
		if !ok {
			return nil, errNoArrival
		}
		return t.handshake("", &a.found), nil
	}
	return cfg
}
