package troupe_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/protocols/echo"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/memory"
	"github.com/troupe-p2p/troupe/transports/quic"
	"github.com/troupe-p2p/troupe/transports/unix"
	"github.com/troupe-p2p/troupe/transports/websocket"
	"github.com/troupe-p2p/troupe/transports/webtransport"
)

// The node is the same over every transport, byte stream or natively muxed, and for two nodes
// that share a runtime.
func TestNodesMeetOverEveryTransport(t *testing.T) {
	hub, muxed := troupe.NewMemoryHub(), troupe.NewMemoryHub()
	for _, c := range []struct {
		name, listen string
		transport    troupe.Transport
	}{
		{"tcp", "/ip4/127.0.0.1/tcp/0", troupe.TCP},
		{"tcp6", "/ip6/::1/tcp/0", troupe.TCP},
		{"websocket", "/ip4/127.0.0.1/tcp/0/ws", websocket.Config{}.Transport},
		{"unix", "/unix" + t.TempDir(), unix.Config{}.Transport},
		{"quic", "/ip4/127.0.0.1/udp/0/quic-v1", quic.Config{}.Transport},
		{"quic6", "/ip6/::1/udp/0/quic-v1", quic.Config{}.Transport},
		{"memory", "/memory/7", troupe.Memory(hub)},
		{"memory, muxed", "/memory/8", troupe.MemoryMuxed(muxed)},
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
					return func(cfg *troupe.Config) {
						cfg.Listen, cfg.Runtime, cfg.Transports = listen, rt, []troupe.Transport{c.transport}
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
				crashes(t, client, server)
				if err := echoes(bounded(t), client, server, "as if nothing had happened"); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// crashes wants a handler's panic to cost its stream, with the code that says so.
func crashes(t *testing.T, client, server *troupe.System) {
	t.Helper()
	const protocol = "/test/crash/1.0.0"
	if err := server.Handle(protocol, troupe.StreamHandler(func(context.Context, *troupe.Stream) { panic("a bug") })); err != nil {
		t.Fatal(err)
	}
	s, err := client.Open(bounded(t), server.ID(), protocol)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.SetDeadline(time.Now().Add(patience))
	_, err = io.ReadAll(s)
	var e *troupe.Error
	if !errors.As(err, &e) || e.Wire != 0x54520001 || e.Origin != troupe.OriginRemote {
		t.Errorf("a handler that panicked: %v", err)
	}
}

// A transport that proves who the node is gets told by the node, so that nobody can tell it something
// else by mistake.
func TestATransportThatHasAKeyOfItsOwnHasToHaveTheNodes(t *testing.T) {
	key, err := identity.GenerateKey(identity.Ed25519, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		transport troupe.Transport
		want      error
	}{
		"quic":         {quic.Config{Key: key}.Transport, quic.ErrKey},
		"webtransport": {webtransport.Config{Key: key}.Transport, webtransport.ErrKey},
		"memory, muxed": {func(rt *actors.Runtime) (conduit.Transport, error) {
			return memory.New(rt, memory.Config{Muxed: true, Key: key.Public()}), nil
		}, memory.ErrKey},
	} {
		cfg := troupe.Config{Transports: []troupe.Transport{c.transport}}
		if _, err := troupe.New(cfg); !errors.Is(err, troupe.ErrConfig) || !errors.Is(err, c.want) {
			t.Errorf("%s with another key than the node's: %v", name, err)
		}
		cfg.Key = key
		node, err := troupe.New(cfg)
		if err != nil {
			t.Fatalf("%s with the node's own key: %v", name, err)
		}
		_ = node.Close(bounded(t))
	}
}

// TestANodeLinksNoTransportThatItDoesNotName: quic-go and pion weigh megabytes, and run goroutines in
// which a panic ends the process.
func TestANodeLinksNoTransportThatItDoesNotName(t *testing.T) {
	libraries := map[string]string{
		"./transports/quic": "github.com/quic-go/quic-go", "./transports/webtransport": "github.com/quic-go/quic-go/http3",
		"./transports/webrtc":    "github.com/pion/",
		"./transports/websocket": "github.com/gorilla/websocket",
	}
	linked := func(pkg, library string) bool {
		out, err := exec.Command("go", "list", "-deps", pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(out), library)
	}
	if linked("./transports/quic", libraries["./transports/webtransport"]) {
		t.Error("QUIC links HTTP/3")
	}
	for pkg, library := range libraries {
		if linked(".", library) {
			t.Errorf("the root package links %s", library)
		}
		if !linked(pkg, library) {
			t.Errorf("%s does not link %s: this proves nothing", pkg, library)
		}
	}
}
