package troupe

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/negotiation/tls"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
)

// upgradeConfig is what all handshakes of a node share.
func upgradeConfig(cfg *Config, rt *actors.Runtime, self identity.ID) (negotiation.Config, error) {
	protocols := cfg.Security
	if len(protocols) == 0 {
		protocols = []Security{Noise, TLS}
	}
	out := negotiation.Config{Core: upgrade.Config{
		Local: self, Rand: rt.Rand(), Key: cfg.Key.Public(), LateMuxer: cfg.NoEarlyMuxer,
		Network:        cfg.PrivateNetwork,
		AllowPlaintext: slices.Contains(protocols, Plaintext), Timeout: cfg.UpgradeTimeout,
	}}
	for _, p := range protocols {
		out.Core.Security = append(out.Core.Security, string(p))
	}
	if slices.Contains(protocols, Noise) {
		static, err := noise.NewStatic(cfg.Key, rt.Rand())
		if err != nil {
			return out, err
		}
		out.Core.Noise = static
	}
	if slices.Contains(protocols, TLS) {
		id, err := tls.NewIdentity(cfg.Key, rt.Now())
		if err != nil {
			return out, err
		}
		out.TLS = func(need upgrade.NeedTLS, now time.Time, wake func()) (negotiation.TLS, error) {
			h, err := tls.NewHandshake(tls.Config{
				Server: need.Server, Identity: id, Now: now, Expect: need.Expect, Muxers: need.Muxers, Wake: wake,
			})
			if err != nil {
				return nil, err
			}
			return tlsHandshake{h}, nil
		}
	}
	// A configuration that no upgrade can be made with shows here and not at the first peer.
	probe := out.Core
	probe.Role = upgrade.Dialer
	if _, err := upgrade.New(probe, rt.Now()); err != nil {
		return out, err
	}
	return out, nil
}

// tlsHandshake makes the adapter's result what the upgrade core takes.
type tlsHandshake struct{ *tls.Handshake }

// Run implements negotiation.TLS.
func (h tlsHandshake) Run(ctx context.Context) (upgrade.Channel, error) {
	r, err := h.Handshake.Run(ctx)
	if err != nil {
		return upgrade.Channel{}, err
	}
	if r == nil {
		return upgrade.Channel{}, errors.New("tls: no result")
	}
	return upgrade.Channel{Peer: r.Peer, PublicKey: r.PublicKey, Muxer: r.Muxer, Open: r.Open, Seal: r.Seal}, nil
}
