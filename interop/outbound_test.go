package interop_test

import (
	"fmt"
	"testing"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/harness"
)

// The command line of Troupe pings and serves. What it does not do, opening streams to others,
// is done here by a program made of the public packages: the other half of "both directions".

func TestOutboundGo(t *testing.T) { outbound(t, "go", light) }
func TestOutboundJS(t *testing.T) { outbound(t, "js", light) }

func TestFullOutboundGo(t *testing.T) { outbound(t, "go", heavy) }
func TestFullOutboundJS(t *testing.T) { outbound(t, "js", heavy) }

func outbound(t *testing.T, kind string, b bulk) {
	keys := keyTypes[kind]
	cell := 0
	for _, security := range []string{"noise", "tls"} {
		for _, early := range []bool{true, false} {
			ours, theirs := keys[cell%len(keys)], keys[(cell+1)%len(keys)]
			cell++
			t.Run(fmt.Sprintf("%s/early=%v/%s to %s", security, early, ours, theirs), func(t *testing.T) {
				server := harness.StartPeer(t, harness.PeerConfig{Kind: kind, Security: security, Key: theirs, Listen: true})
				client := harness.StartPeer(t, harness.PeerConfig{Kind: "troupe", Security: security, Key: ours, NoEarly: !early})
				pingsBack(t, client, server.Addr(), security, early)
				identifies(t, client, subject{
					id: server.ID, addr: server.Addr(), key: theirs, agent: agents[kind],
					protocols: []string{control.EchoProtocol, control.ResetProtocol},
				})
				exercise(t, client, server.Addr(), b)
				showsResets(t, client, server)
			})
		}
	}
}

// showsResets has the server reset streams with a code, which go-libp2p sends and js-libp2p not.
func showsResets(t *testing.T, client, server *harness.Peer) {
	t.Helper()
	code := "0x1010101" // the four bytes of bait
	if server.Kind == "js" {
		code = "0x0"
	}
	resetsWith(t, client, server, code)
}

func resetsWith(t *testing.T, client, server *harness.Peer, code string) {
	t.Helper()
	r := client.Must(t, "streams that the remote resets", control.Request{
		Cmd: control.Poke, Addr: server.Addr(), Protocol: control.ResetProtocol, Bytes: 4, Count: 50, Concurrency: 10,
	})
	if r.Endings.RemoteReset[code] != 50 || !r.Endings.ConnAlive {
		t.Errorf("want 50 resets with %s on a living connection, got %+v", code, r.Endings)
	}
}

// TestOutboundUnknownProtocolGo: a protocol that the peer does not speak is refused in words, on
// the first use if Open did not wait for the answer.
func TestOutboundUnknownProtocolGo(t *testing.T) {
	server := harness.StartPeer(t, harness.PeerConfig{Listen: true})
	client := harness.StartPeer(t, harness.PeerConfig{Kind: "troupe"})
	r := client.Must(t, "a protocol that nobody serves", control.Request{
		Cmd: control.Poke, Addr: server.Addr(), Protocol: "/troupe/nobody/1.0.0", Count: 10, Concurrency: 2,
	})
	refused := 0
	for _, n := range r.Endings.Other {
		refused += n
	}
	if refused != 10 || r.Endings.EOF != 0 || !r.Endings.ConnAlive {
		t.Errorf("want 10 refusals on a living connection, got %+v", r.Endings)
	}
}

// TestOutboundServesGo and TestOutboundServesJS turn the library's node round: it listens, and
// the foreign peer does everything to it.
func TestOutboundServesGo(t *testing.T) { serves(t, "go") }
func TestOutboundServesJS(t *testing.T) { serves(t, "js") }

func serves(t *testing.T, kind string) {
	for _, security := range []string{"noise", "tls"} {
		t.Run(security, func(t *testing.T) {
			server := harness.StartPeer(t, harness.PeerConfig{Kind: "troupe", Security: security, Listen: true})
			client := harness.StartPeer(t, harness.PeerConfig{Kind: kind, Security: security})
			pingsBack(t, client, server.Addr(), security, true)
			identifies(t, client, subject{
				id: server.ID, addr: server.Addr(), key: "ed25519", agent: "troupe/",
				protocols: []string{control.EchoProtocol, control.PerfProtocol, control.ResetProtocol},
			})
			exercise(t, client, server.Addr(), light)
			if kind == "go" {
				showsResets(t, client, server)
			}
		})
	}
}
