package troupe_test

import (
	"context"
	"crypto/rand"
	"testing"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/protocols/echo"
)

// The node is the same over every transport, byte stream or natively muxed, and for two nodes
// that share a runtime.
func TestNodesMeetOverEveryTransport(t *testing.T) {
	hub, muxed := troupe.NewMemoryHub(), troupe.NewMemoryHub()
	tcp := func(identity.PrivateKey) troupe.Transport { return troupe.TCP }
	ws := func(identity.PrivateKey) troupe.Transport { return troupe.WebSocket }
	for _, c := range []struct {
		name, listen string
		transport    func(identity.PrivateKey) troupe.Transport
	}{
		{"tcp", "/ip4/127.0.0.1/tcp/0", tcp},
		{"tcp6", "/ip6/::1/tcp/0", tcp},
		{"websocket", "/ip4/127.0.0.1/tcp/0/ws", ws},
		{"quic", "/ip4/127.0.0.1/udp/0/quic-v1", troupe.QUIC},
		{"quic6", "/ip6/::1/udp/0/quic-v1", troupe.QUIC},
		{"memory", "/memory/7", func(identity.PrivateKey) troupe.Transport { return troupe.Memory(hub) }},
		{"memory, muxed", "/memory/8", func(k identity.PrivateKey) troupe.Transport { return troupe.MemoryMuxed(muxed, k.Public()) }},
	} {
		for _, shared := range []bool{false, true} {
			name := c.name
			var rt *actors.Runtime
			if shared {
				name += ", one runtime"
			}
			t.Run(name, func(t *testing.T) {
				if shared {
					rt = actors.Live(actors.Options{})
					t.Cleanup(func() {
						ctx, cancel := context.WithTimeout(context.Background(), patience)
						defer cancel()
						if s := rt.Close(ctx); len(s) > 0 {
							t.Errorf("left in the runtime: %v", s)
						}
					})
				}
				over := func(listen ...string) func(*troupe.Config) {
					key, err := identity.GenerateKey(identity.Ed25519, rand.Reader)
					if err != nil {
						t.Fatal(err)
					}
					return func(cfg *troupe.Config) {
						cfg.Key, cfg.Listen, cfg.Runtime = key, listen, rt
						cfg.Transports = []troupe.Transport{c.transport(key)}
					}
				}
				server := newNode(t, over(c.listen))
				if err := server.Handle(echo.Protocol, echo.Handler()); err != nil {
					t.Fatal(err)
				}
				client := newNode(t, over())
				connect(t, client, server)
				for range 3 {
					if err := echoes(bounded(t), client, server, "over "+c.name); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}
