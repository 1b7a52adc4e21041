package webtransport

import (
	"crypto/rand"
	"io"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/noise"
)

// secure runs Noise over the first stream of a session, to its end or that of the connection. A first
// message may have been sent. check sees the outcome before our last message goes.
func secure(str io.ReadWriter, h *noise.Handshake, check func(*noise.Result) error) (*noise.Result, error) {
	p := make([]byte, 2<<10)
	for {
		out := h.AppendOutput(nil)
		r, done := h.Done()
		if done && check != nil {
			if err := check(r); err != nil {
				return nil, err
			}
		}
		if len(out) > 0 {
			if _, err := str.Write(out); err != nil {
				return nil, err
			}
		}
		if done {
			return r, nil
		}
		n, err := str.Read(p)
		if n > 0 {
			if _, herr := h.HandleBytes(p[:n]); herr != nil {
				return nil, herr
			}
			continue
		}
		if err != nil {
			return nil, err
		}
	}
}

// initiator starts a handshake of ours.
func (t *Transport) initiator(expect identity.ID) (*noise.Handshake, error) {
	return noise.New(noise.Config{Initiator: true, Static: t.static, Rand: rand.Reader, Expect: expect})
}

// responder starts one of a client's, who gets the hashes of the certificates: that of the one in use,
// and of those before and after it.
func (t *Transport) responder(c chain) (*noise.Handshake, error) {
	return noise.New(noise.Config{Static: t.static, Rand: rand.Reader, CertHashes: [][]byte{c.last.hash, c.is.hash, c.next.hash}})
}
