package tls

import (
	stdtls "crypto/tls"
	"crypto/x509"
	"time"

	"github.com/troupe-p2p/troupe/identity"
)

// Found is what a handshake has found out about the remote, once it is done.
type Found struct {
	Peer      identity.ID
	PublicKey identity.PublicKey
	// Err is why the remote's certificate was refused: of kind ErrIdentity, or an
	// *identity.MismatchError.
	Err error
}

// QUIC is the configuration of one handshake that a QUIC stack runs: the same certificates and the
// same verification, with "libp2p" as the only protocol (quic/README.md, "ALPN"). expect is the
// peer that has to be there, or "" for any. found is written before the handshake is done, and must
// not be read earlier.
func (i *Identity) QUIC(expect identity.ID, now time.Time, found *Found) *stdtls.Config {
	h := &Handshake{cfg: Config{Identity: i, Now: now, Expect: expect}}
	cfg := h.config()
	cfg.VerifyPeerCertificate = func(chain [][]byte, _ [][]*x509.Certificate) error {
		err := h.verify(chain, nil)
		*found = Found{h.peer, h.key, err}
		return err
	}
	return cfg
}
