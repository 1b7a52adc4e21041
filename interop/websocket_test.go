package interop_test

import (
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/harness"
)

// TestSmokeWebSocketGo: the same over WebSockets, both ways, with messages of the other's making.
func TestSmokeWebSocketGo(t *testing.T) { overWebSocket(t, "go", "/ws", "") }
func TestSmokeWebSocketJS(t *testing.T) { overWebSocket(t, "js", "/ws", "") }

// TestSmokeSecureWebSocketGo: over TLS, with a certificate that both ends trust.
func TestSmokeSecureWebSocketGo(t *testing.T) {
	overWebSocket(t, "go", "/tls/ws", harness.Certificate(t))
}

func TestSmokeSecureWebSocketJS(t *testing.T) {
	overWebSocket(t, "js", "/tls/ws", harness.Certificate(t))
}

func overWebSocket(t *testing.T, foreign, over, cert string) {
	const (
		bytes = 8 << 20
		limit = time.Minute
	)
	for _, c := range []struct{ client, server, security string }{
		{"troupe", foreign, "noise"},
		{"troupe", foreign, "tls"},
		{foreign, "troupe", "noise"},
		{foreign, "troupe", "tls"},
	} {
		t.Run(c.client+" dials "+c.server+", "+c.security, func(t *testing.T) {
			server := harness.StartPeer(t, harness.PeerConfig{Kind: c.server, Security: c.security, Cert: cert, Listen: true, Over: over})
			client := harness.StartPeer(t, harness.PeerConfig{Kind: c.client, Security: c.security, Cert: cert})
			pingsBack(t, client, server.Addr(), c.security, true)
			identifies(t, client, subject{
				id: server.ID, addr: server.Addr(), key: "ed25519", agent: agents[c.server], protocols: []string{control.EchoProtocol},
			})
			for _, streams := range []int{1, 8} {
				r := client.MustWithin(t, limit, "every byte is echoed",
					control.Request{Cmd: control.Echo, Addr: server.Addr(), Bytes: bytes, Streams: streams})
				if r.Transfer.Bytes != bytes {
					t.Errorf("%d bytes were echoed, want %d", r.Transfer.Bytes, bytes)
				}
			}
			exercise(t, client, server.Addr(), light)
		})
	}
}

// TestSmokeSharedPortGo: TCP and WebSockets at one port, told apart by the first byte.
func TestSmokeSharedPortGo(t *testing.T) { overSharedPort(t, "go") }
func TestSmokeSharedPortJS(t *testing.T) { overSharedPort(t, "js") }

func overSharedPort(t *testing.T, foreign string) {
	cert := harness.Certificate(t)
	server := harness.StartPeer(t, harness.PeerConfig{Kind: "troupe", Cert: cert, Listen: true, Share: "/ws,/tls/ws"})
	for _, security := range []string{"noise", "tls"} {
		for _, over := range []string{"", "/ws", "/tls/ws"} {
			t.Run(security+over, func(t *testing.T) {
				client := harness.StartPeer(t, harness.PeerConfig{Kind: foreign, Security: security, Cert: cert})
				at, peer, _ := strings.Cut(server.Addr(), "/p2p/")
				at += over + "/p2p/" + peer
				pingsBack(t, client, at, security, true)
				r := client.MustWithin(t, time.Minute, "every byte is echoed",
					control.Request{Cmd: control.Echo, Addr: at, Bytes: 1 << 20, Streams: 8})
				if r.Transfer.Bytes != 1<<20 {
					t.Errorf("%d bytes were echoed", r.Transfer.Bytes)
				}
			})
		}
	}
}
