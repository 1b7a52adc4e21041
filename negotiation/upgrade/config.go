package upgrade

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/multistream"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/negotiation/plaintext"
	"github.com/troupe-p2p/troupe/negotiation/pnet"
)

// Config is what an upgrade needs. Local is required, and what the protocols in Security need.
type Config struct {
	// Role is this side's. Default: Listener.
	Role Role
	// Local is this node.
	Local identity.ID
	// Expect is the peer that has to be there. Default: any.
	Expect identity.ID
	// Security are the security protocols, the best first. Default: Noise, then TLS.
	Security []string
	// Muxers are the stream muxers, the best first. Default: DefaultMuxer.
	Muxers []string
	// LateMuxer keeps the muxer out of the security handshake, as peers do that do not know
	// better. Default: agreed on early.
	LateMuxer bool
	// Noise is this node's Noise key; needed if Security has Noise.
	Noise *noise.Static
	// Rand is read for Noise's ephemeral keys; needed if Security has Noise.
	Rand io.Reader
	// AllowPlaintext has to be set if Security has plaintext: everybody can read along and
	// claim to be anybody. Default: refused.
	AllowPlaintext bool
	// Key is this node's identity key; needed if Security has plaintext.
	Key identity.PublicKey
	// Network is the pre-shared key of the private network that this node is in; needs Rand. Default:
	// none, the public network.
	Network *pnet.Key
	// Timeout is for the whole upgrade. Default: DefaultTimeout.
	Timeout time.Duration
	// Frame is the plaintext of a full Noise frame sent, in bytes. Default: noise.DefaultFrame.
	Frame int
}

func (c *Config) complete() error {
	if c.Security == nil {
		c.Security = []string{noise.ID, TLS}
	}
	if c.Muxers == nil {
		c.Muxers = []string{DefaultMuxer}
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	switch {
	case c.Role != Listener && c.Role != Dialer:
		return fmt.Errorf("%w: role %d", ErrConfig, c.Role)
	case c.Local == "":
		return fmt.Errorf("%w: Local is not set", ErrConfig)
	case c.Timeout < 0:
		return fmt.Errorf("%w: timeout of %s", ErrConfig, c.Timeout)
	case len(c.Security) == 0 || len(c.Muxers) == 0:
		return fmt.Errorf("%w: no security protocol or no muxer", ErrConfig)
	case slices.Contains(c.Security, noise.ID) && (c.Noise == nil || c.Rand == nil):
		return fmt.Errorf("%w: %s needs Noise and Rand", ErrConfig, noise.ID)
	case slices.Contains(c.Security, plaintext.ID) && (c.Key == nil || !c.AllowPlaintext):
		return fmt.Errorf("%w: %s needs Key and AllowPlaintext", ErrConfig, plaintext.ID)
	case c.Network != nil && c.Rand == nil:
		return fmt.Errorf("%w: Network needs Rand", ErrConfig)
	case c.Expect == c.Local:
		return ErrSelf
	}
	for _, p := range slices.Concat(c.Security, c.Muxers) {
		if err := multistream.CheckName(p); err != nil {
			return fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	for _, p := range c.Security {
		if p != noise.ID && p != TLS && p != plaintext.ID {
			return fmt.Errorf("%w: security protocol %q is not known", ErrConfig, p)
		}
	}
	return nil
}

// early are the muxers to agree on within the security handshake.
func (c *Config) early() []string {
	if c.LateMuxer {
		return nil
	}
	return c.Muxers
}
