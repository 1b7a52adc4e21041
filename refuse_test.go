package troupe_test

import (
	"testing"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/peers/connset"
	"github.com/troupe-p2p/troupe/protocols/echo"
)

// TestRefusedConnectionsAreToldTheLimit: to the remote a connection over a limit was there for a
// moment; how it ends says why.
func TestRefusedConnectionsAreToldTheLimit(t *testing.T) {
	key, _ := newKey(t)
	for _, c := range []struct {
		name  string
		limit func(*troupe.Limits)
	}{
		{"Conns", func(l *troupe.Limits) { l.Conns = 1 }},
		{"ConnsPerPeer", func(l *troupe.Limits) { l.ConnsPerPeer = 1 }},
	} {
		for _, security := range []troupe.Security{troupe.Noise, troupe.TLS} {
			t.Run(c.name+" "+string(security), func(t *testing.T) {
				edit := func(cfg *troupe.Config) { cfg.Key, cfg.Security = key, []troupe.Security{security} }
				n := newNode(t, limited(c.limit))
				register(t, n, echo.Protocol, echo.Handler())
				first := newNode(t, edit)
				connect(t, first, n)
				heldStream(t, first, n)
				late := newNode(t, edit)
				events := late.Subscribe(t.Context(), 0)
				connect(t, late, n)
				if e := next(t, events, troupe.EventDisconnected); e.Code != connset.CodeLimit || !e.Remote {
					t.Errorf("it ended with code %#x, remote %v: %v", e.Code, e.Remote, e.Err)
				}
			})
		}
	}
}
