package interop_test

import (
	"testing"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/harness"
)

func TestSmokeGo(t *testing.T) { smoke(t, "go") }
func TestSmokeJS(t *testing.T) { smoke(t, "js") }

// TestSmokeWebTransportGo is one pair of each direction over what only go-libp2p has as well.
func TestSmokeWebTransportGo(t *testing.T) {
	overMuxed(t, harness.WebTransport, "troupe", "go", "ed25519", "ed25519")
	overMuxed(t, harness.WebTransport, "go", "troupe", "ed25519", "ed25519")
}

// smoke is a little of everything with one Troupe node and one kind of foreign peer.
func smoke(t *testing.T, kind string) {
	node := harness.StartNode(t, harness.NodeConfig{Serve: "echo,perf,crash"})
	for _, security := range []string{"noise", "tls"} {
		t.Run(security, func(t *testing.T) {
			p := harness.StartPeer(t, harness.PeerConfig{Kind: kind, Security: security, Listen: true})
			meets(t, node, "ed25519", p, security, true)
			exercise(t, p, node.Addr(), light)
			crashes(t, p, node, 10)
		})
	}
	if stragglers := node.Stop(t); len(stragglers) != 0 {
		t.Errorf("the node left %q behind", stragglers)
	}
}

// TestSmokeWebRTCGo and TestSmokeWebRTCJS are a little of it over WebRTC-direct.
func TestSmokeWebRTCGo(t *testing.T) { smokeWebRTC(t, "go") }
func TestSmokeWebRTCJS(t *testing.T) { smokeWebRTC(t, "js") }

func smokeWebRTC(t *testing.T, kind string) {
	node := harness.StartNode(t, harness.NodeConfig{Serve: "echo,perf,crash", Over: harness.WebRTC})
	p := harness.StartPeer(t, harness.PeerConfig{Kind: kind, Over: harness.WebRTC, Listen: true})
	if r := p.Must(t, "pings are answered", control.Request{Cmd: control.Ping, Addr: node.Addr(), Count: 3}); len(r.RTTs) != 3 {
		t.Errorf("%d of 3 pings came back", len(r.RTTs))
	}
	exercise(t, p, node.Addr(), light)
	if kind != "js" { // which mostly takes a reset for the end of the data
		crashes(t, p, node, 10)
	}
	if s, err := harness.Ping(t, p.Addr(), 3); err != nil || s.Peer != p.ID || s.Transport != "webrtc-direct" {
		t.Errorf("troupe ping says %+v, %v", s, err)
	}
	if stragglers := node.Stop(t); len(stragglers) != 0 {
		t.Errorf("the node left %q behind", stragglers)
	}
}

// meets lets the two ping and identify each other, each of them dialling.
func meets(t *testing.T, node *harness.Node, nodeKey string, p *harness.Peer, security string, early bool) {
	t.Helper()
	pingsBack(t, p, node.Addr(), security, early)
	identifies(t, p, subject{id: node.ID, addr: node.Addr(), key: nodeKey, agent: "troupe/"})

	before := p.Must(t, "stats", control.Request{Cmd: control.Stats}).Stats.IdentifySent
	s, err := harness.Ping(t, p.Addr(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if s.Peer != p.ID || s.Transport != "tcp" || s.Security != securityID[security] || s.Muxer != yamux {
		t.Errorf("troupe ping says %+v, want %s over tcp, %s, %s", s, p.ID, securityID[security], yamux)
	}
	if after := p.Must(t, "stats", control.Request{Cmd: control.Stats}).Stats.IdentifySent; after <= before {
		t.Error("the dialling Troupe did not ask the peer who it is")
	}
}

// crashes opens streams whose handlers panic, and wants every one reset with one code of
// Troupe's own, on a connection and a node that go on.
func crashes(t *testing.T, p *harness.Peer, node *harness.Node, count int) {
	t.Helper()
	r := p.MustWithin(t, heavy.timeout, "streams whose handlers panic end", control.Request{
		Cmd: control.Poke, Addr: node.Addr(), Protocol: control.CrashProtocol, Count: count, Concurrency: 50,
	})
	e := r.Endings
	if !e.ConnAlive || !node.Alive() {
		t.Fatalf("a panic cost more than its stream: %+v", e)
	}
	if len(e.RemoteReset) != 1 || e.EOF != 0 || len(e.Other) != 0 {
		t.Fatalf("want %d resets with one code, got %+v", count, e)
	}
	for code, n := range e.RemoteReset {
		if n != count {
			t.Errorf("%d of %d crash streams were reset", n, count)
		}
		// 0x1000 to 0x1fff are go-libp2p's, 0 says nothing; js-libp2p shows no code.
		if code == "0x0" || (len(code) == len("0x1xxx") && code[2] == '1') {
			t.Errorf("code %s does not say that a handler panicked", code)
		}
	}
}
