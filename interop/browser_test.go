package interop_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/interop/contract/matrix"
	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/harness"
)

// browserRows are the transports by which a page can reach a node. Those with a security protocol have
// Noise: js-libp2p has TLS in Node only. The node's key varies, because pages check signatures in their own way.
var browserRows = []struct{ name, over, security, key string }{
	{"webrtc-direct", harness.WebRTC, "", "ed25519"},
	{"ws", "/ws", "noise", "rsa"},
	{"wss", "/tls/ws", "noise", "secp256k1"},
	{"webtransport", harness.WebTransport, "", "ed25519"},
}

// TestFullBrowser: a page with js-libp2p dials Troupe, and the two do everything to each other, over
// each transport that browsers have.
func TestFullBrowser(t *testing.T) {
	cert := harness.Certificate(t)
	page := harness.StartBrowser(t, cert)
	version := harness.BrowserVersion(t)
	for _, row := range browserRows {
		b := matrix.Browser{Version: version, Transport: row.name, Outcome: matrix.Outcome{Why: "the test failed"}}
		t.Run(row.name, func(t *testing.T) {
			server := harness.StartPeer(t, harness.PeerConfig{Kind: "troupe", Key: row.key, Cert: cert, Listen: true, Over: row.over})
			page.Reload(t)
			meetsPage(t, page, server, row.over, row.security, row.key)
			b.Met = !t.Failed()
		})
		written.browser(b)
	}
	t.Run("wss, a certificate of nobody's", func(t *testing.T) {
		server := harness.StartPeer(t, harness.PeerConfig{Kind: "troupe", Cert: harness.Certificate(t), Listen: true, Over: "/tls/ws"})
		if r, err := page.Do(control.Request{Cmd: control.Connect, Addr: server.Addr()}); err == nil {
			t.Errorf("the browser takes a certificate that it does not trust: %+v", r.Conn)
		}
	})
}

// meetsPage has the page dial and use a node, then the node use that connection, and then the page left.
func meetsPage(t *testing.T, page, server *harness.Peer, over, security, key string) {
	t.Helper()
	const (
		bytes = 8 << 20
		limit = time.Minute
	)
	r := page.Must(t, "pings are answered", control.Request{Cmd: control.Ping, Addr: server.Addr(), Count: 3})
	if len(r.RTTs) != 3 {
		t.Fatalf("%d of 3 pings came back", len(r.RTTs))
	}
	if security != "" {
		wantConn(t, "the pings' connection", r.Conn, security, true)
	}
	identifies(t, page, subject{
		id: server.ID, addr: server.Addr(), key: key, agent: "troupe/",
		protocols: []string{control.EchoProtocol, control.ResetProtocol},
	})
	r = page.MustWithin(t, limit, "every byte is echoed on one stream",
		control.Request{Cmd: control.Echo, Addr: server.Addr(), Bytes: bytes})
	if r.Transfer.Bytes != bytes {
		t.Errorf("%d bytes were echoed, want %d", r.Transfer.Bytes, bytes)
	}
	t.Logf("8 MiB there and back in %.0f ms", r.Transfer.MS)
	exercise(t, page, server.Addr(), light)

	r = server.Must(t, "the page answers pings", control.Request{Cmd: control.Ping, Peer: page.ID, Count: 3})
	if len(r.RTTs) != 3 {
		t.Errorf("%d of 3 pings came back", len(r.RTTs))
	}
	if c := r.Conn; c.Direction != "inbound" || c.Count != 1 || !strings.Contains(c.Local, over) {
		t.Errorf("the node has %+v, want one inbound connection over %s", c, over)
	}
	r = server.Must(t, "the page says who it is", control.Request{Cmd: control.Identify, Peer: page.ID})
	if r.Identify.AgentVersion != "browser/1" {
		t.Errorf("the page says that it is %q", r.Identify.AgentVersion)
	}
	r = server.MustWithin(t, limit, "the page echoes every byte",
		control.Request{Cmd: control.Echo, Peer: page.ID, Bytes: bytes})
	if r.Transfer.Bytes != bytes {
		t.Errorf("the page echoed %d bytes, want %d", r.Transfer.Bytes, bytes)
	}

	page.Must(t, "closes", control.Request{Cmd: control.Disconnect, Peer: server.ID})
	page.Must(t, "and dials again", control.Request{Cmd: control.Ping, Addr: server.Addr(), Count: 1})
	page.Reload(t)
	harness.Eventually(t, limit, "the node notices that the page was left", func() error {
		if n := server.Must(t, "stats", control.Request{Cmd: control.Stats}).Stats.Connections; n != 0 {
			return fmt.Errorf("%d connections are left", n)
		}
		return nil
	})
}
