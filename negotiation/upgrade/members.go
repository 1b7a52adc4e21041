package upgrade

import (
	"fmt"
	"io"

	"github.com/troupe-p2p/troupe/negotiation/pnet"
)

// members is the layer of a private network under one upgrade, and under the channel that comes of it.
type members struct {
	layer *pnet.Layer
	begun bool // our nonce is out
}

func newMembers(key *pnet.Key, random io.Reader) (*members, error) {
	l, err := pnet.New(key, random)
	if err != nil {
		return nil, err
	}
	return &members{layer: l}, nil
}

// Veil makes dst[n:] what is sent in a private network, and returns all of dst; before the first bytes
// it puts a nonce. AppendOutput does that by itself. It is for the bytes of a TLS handshake, which the
// owner sends, in the order in which they are.
func (u *Upgrade) Veil(dst []byte, n int) []byte {
	if u.members == nil || u.err != nil && len(dst) == n {
		return dst
	}
	if !u.members.begun {
		u.members.begun = true
		plain := dst[n:]
		dst = append(u.members.layer.AppendNonce(dst[:n:n]), plain...)
		n += pnet.NonceLen
	}
	u.members.layer.Seal(dst[n:])
	return dst
}

// Unveil makes received bytes of a TLS handshake, which the owner takes, what the remote has said. It
// works in place.
func (u *Upgrade) Unveil(p []byte) ([]byte, error) {
	if u.err == nil && u.phase != inTLS {
		u.fail(LayerConfig, fmt.Errorf("%w: no TLS handshake was asked for", ErrMisuse))
	}
	if u.err == nil {
		p = u.unveil(p)
	}
	return p, u.err
}

func (u *Upgrade) unveil(p []byte) []byte {
	if u.members == nil {
		return p
	}
	p, err := u.members.layer.Open(p)
	if err != nil {
		u.fail(LayerNetwork, err)
	}
	return p
}

// suspectKey makes a failure one of the private network as long as the remote has said nothing that
// our key makes sense of: with another key it could not.
func (u *Upgrade) suspectKey() {
	e, ok := u.err.(*Error) //nolint:errorlint // made by fail
	if !ok || u.members == nil || e.Fault == Local || e.Layer != LayerSecurity || u.choice.Greeted() {
		return
	}
	e.Layer, e.Err = LayerNetwork, fmt.Errorf("%w: %w", ErrKey, e.Err)
}

// cover puts the channel of an upgrade under the layer.
func (m *members) cover(d Done) Done {
	if m != nil {
		d.Open, d.Seal = &opener{d.Open, m.layer}, &sealer{d.Seal, m.layer}
	}
	return d
}

// opener opens what lies under the layer. The nonce came long ago.
type opener struct {
	Opener
	layer *pnet.Layer
}

func (o *opener) Feed(p []byte) {
	p, _ = o.layer.Open(p) // fails on a nonce only
	o.Opener.Feed(p)
}

// Close gives back what is held of a frame.
func (o *opener) Close() {
	if c, ok := o.Opener.(interface{ Close() }); ok {
		c.Close()
	}
}

// sealer puts what it seals under the layer.
type sealer struct {
	Sealer
	layer *pnet.Layer
}

func (s *sealer) Seal(dst, p []byte) ([]byte, error) {
	n := len(dst)
	dst, err := s.Sealer.Seal(dst, p)
	if err == nil {
		s.layer.Seal(dst[n:])
	}
	return dst, err
}
