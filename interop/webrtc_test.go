package interop_test

import (
	"strings"
	"testing"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/harness"
)

// Over WebRTC-direct there is neither a security protocol nor a muxer to agree on: what can differ is
// the key, which is proven by Noise inside of DTLS, and the version that is dialled with.

func TestPeersWebRTCGo(t *testing.T) { overWebRTC(t, "go", "go", "ed25519", "ecdsa", 1) }

func TestOutboundWebRTCGo(t *testing.T) {
	outboundWebRTC(t, "go")
	overWebRTC(t, "troupe", "go", "ed25519", "ed25519", 2)
}
func TestOutboundWebRTCJS(t *testing.T) { outboundWebRTC(t, "js") }

func TestOutboundServesWebRTCGo(t *testing.T) {
	servesWebRTC(t, "go")
	overWebRTC(t, "go", "troupe", "ed25519", "ed25519", 2)
}
func TestOutboundServesWebRTCJS(t *testing.T) { servesWebRTC(t, "js") }

func outboundWebRTC(t *testing.T, foreign string) {
	keys := keyTypes[foreign]
	for i, key := range keys {
		overWebRTC(t, "troupe", foreign, key, keys[(i+1)%len(keys)], 1)
	}
}

func servesWebRTC(t *testing.T, foreign string) {
	keys := keyTypes[foreign]
	for i, key := range keys {
		overWebRTC(t, foreign, "troupe", key, keys[(i+1)%len(keys)], 1)
	}
}

func TestOutboundWebRTCWithItself(t *testing.T) {
	overWebRTC(t, "troupe", "troupe", "ed25519", "ecdsa", 2)
}

// overWebRTC has one peer dial the other, and do everything to it.
func overWebRTC(t *testing.T, dialer, listener, dialKey, listenKey string, version int) {
	t.Run(dialer+" "+dialKey+" to "+listener+" "+listenKey+" v"+string(rune('0'+version)), func(t *testing.T) {
		server := harness.StartPeer(t, harness.PeerConfig{Kind: listener, Over: harness.WebRTC, Key: listenKey, Listen: true})
		dials := harness.PeerConfig{Kind: dialer, Key: dialKey, RTC: version}
		if dialer == "js" { // @libp2p/webrtc 6.0.33 knows version 1 only, and needs no word for it
			dials.RTC = 0
		}
		client := harness.StartPeer(t, dials)
		if !strings.Contains(server.Addr(), "/webrtc-direct/certhash/") {
			t.Fatalf("it listens on %s", server.Addr())
		}
		r := client.Must(t, "pings are answered", control.Request{Cmd: control.Ping, Addr: server.Addr(), Count: 3})
		if len(r.RTTs) != 3 {
			t.Fatalf("%d of 3 pings came back", len(r.RTTs))
		}
		if !strings.Contains(r.Conn.Remote, "/udp/") {
			t.Errorf("pinged over %s", r.Conn.Remote)
		}
		identifies(t, client, subject{
			id: server.ID, addr: server.Addr(), key: listenKey, agent: map[string]string{"go": "gopeer/", "js": "jspeer/", "troupe": "troupe/"}[listener],
			protocols: []string{control.EchoProtocol, control.ResetProtocol},
		})
		if listener == "js" {
			// js-libp2p keeps 4 MiB for a stream that is not read and then resets it, as WebRTC has no windows; and
			// on a busy machine it takes frames that come right behind the negotiation in another order.
			client.Must(t, "many streams in sequence", control.Request{Cmd: control.Sequence, Addr: server.Addr(), Count: 50, Bytes: 1 << 10})
			return
		}
		const bytes = 8 << 20
		r = client.MustWithin(t, light.timeout, "every byte is echoed on one stream",
			control.Request{Cmd: control.Echo, Addr: server.Addr(), Bytes: bytes})
		if r.Transfer.Bytes != bytes {
			t.Errorf("%d bytes were echoed, want %d", r.Transfer.Bytes, bytes)
		}
		exercise(t, client, server.Addr(), light)
		if dialer != "js" { // @libp2p/webrtc 6.0.33 mostly takes a reset for the end of the data, of go-libp2p's too
			showsResets(t, client, server)
		}
		client.Must(t, "closes", control.Request{Cmd: control.Disconnect, Peer: server.ID})
		if r = client.Must(t, "and dials again", control.Request{Cmd: control.Ping, Addr: server.Addr(), Count: 1}); len(r.RTTs) != 1 {
			t.Error("no ping came back")
		}
	})
}

// TestOutboundWebRTCAnotherPeerGo: who listens there is another than the one that was dialled.
func TestOutboundWebRTCAnotherPeerGo(t *testing.T) {
	for _, kinds := range [][2]string{{"troupe", "go"}, {"go", "troupe"}} {
		server := harness.StartPeer(t, harness.PeerConfig{Kind: kinds[1], Over: harness.WebRTC, Listen: true})
		client := harness.StartPeer(t, harness.PeerConfig{Kind: kinds[0]})
		other := harness.StartPeer(t, harness.PeerConfig{})
		listen, _, _ := strings.Cut(server.Addr(), "/p2p/")
		_, err := client.Do(control.Request{Cmd: control.Connect, Addr: listen + "/p2p/" + other.ID})
		if err == nil || !strings.Contains(err.Error(), server.ID) {
			t.Errorf("%s wanted %s where %s listens: %v", kinds[0], other.ID, server.ID, err)
		}
	}
}

// TestOutboundWebRTCAnotherCertificateGo: who listens there has another certificate than the address says.
func TestOutboundWebRTCAnotherCertificateGo(t *testing.T) {
	for _, kinds := range [][2]string{{"troupe", "go"}, {"go", "troupe"}} {
		server := harness.StartPeer(t, harness.PeerConfig{Kind: kinds[1], Over: harness.WebRTC, Listen: true})
		other := harness.StartPeer(t, harness.PeerConfig{Kind: kinds[1], Over: harness.WebRTC, Listen: true})
		client := harness.StartPeer(t, harness.PeerConfig{Kind: kinds[0]})
		where, _, _ := strings.Cut(server.Addr(), "/certhash/")
		_, hash, _ := strings.Cut(other.Addr(), "/certhash/")
		hash, _, _ = strings.Cut(hash, "/")
		wrong := where + "/certhash/" + hash + "/p2p/" + server.ID
		if r, err := client.Do(control.Request{Cmd: control.Connect, Addr: wrong}); err == nil {
			t.Errorf("%s takes the certificate of %s for another: %+v", kinds[0], kinds[1], r.Conn)
		} else if kinds[0] == "troupe" && !strings.Contains(err.Error(), "certhash") {
			t.Errorf("it fails of %v", err)
		}
		client.Must(t, "but the right one is taken", control.Request{Cmd: control.Ping, Addr: server.Addr(), Count: 1})
	}
}
