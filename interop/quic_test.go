package interop_test

import (
	"strings"
	"testing"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/harness"
)

// Over QUIC there is neither a security protocol nor a muxer to agree on: what can differ is the
// key, which is proven inside of QUIC's handshake.

func TestPeersQUICGo(t *testing.T) { overQUIC(t, "go", "go", "ed25519", "ecdsa") }

func TestOutboundQUICGo(t *testing.T) { outboundQUIC(t, "go") }
func TestOutboundQUICJS(t *testing.T) { outboundQUIC(t, "js") }

func TestOutboundServesQUICGo(t *testing.T) { servesQUIC(t, "go") }
func TestOutboundServesQUICJS(t *testing.T) { servesQUIC(t, "js") }

func outboundQUIC(t *testing.T, foreign string) {
	keys := keyTypes[foreign]
	for i, key := range keys {
		overQUIC(t, "troupe", foreign, key, keys[(i+1)%len(keys)])
	}
}

func servesQUIC(t *testing.T, foreign string) {
	keys := keyTypes[foreign]
	for i, key := range keys {
		overQUIC(t, foreign, "troupe", key, keys[(i+1)%len(keys)])
	}
}

func overQUIC(t *testing.T, dialer, listener, dialKey, listenKey string) {
	overMuxed(t, harness.QUIC, dialer, listener, dialKey, listenKey)
}

// overMuxed has one peer dial the other, over a transport that brings its own security, and do everything
// to it.
func overMuxed(t *testing.T, over, dialer, listener, dialKey, listenKey string) {
	t.Run(dialer+" "+dialKey+" to "+listener+" "+listenKey, func(t *testing.T) {
		server := harness.StartPeer(t, harness.PeerConfig{Kind: listener, Over: over, Key: listenKey, Listen: true})
		client := harness.StartPeer(t, harness.PeerConfig{Kind: dialer, Key: dialKey})
		if !strings.Contains(server.Addr(), over+"/") {
			t.Fatalf("it listens on %s", server.Addr())
		}
		r := client.Must(t, "pings are answered", control.Request{Cmd: control.Ping, Addr: server.Addr(), Count: 3})
		if len(r.RTTs) != 3 {
			t.Fatalf("%d of 3 pings came back", len(r.RTTs))
		}
		if at, _, _ := strings.Cut(r.Conn.Remote, "/p2p/"); !strings.HasSuffix(at, over) { // js-libp2p adds the peer
			t.Errorf("pinged over %s", r.Conn.Remote)
		}
		identifies(t, client, subject{
			id: server.ID, addr: server.Addr(), key: listenKey, agent: map[string]string{"go": "gopeer/", "js": "jspeer/", "troupe": "troupe/"}[listener],
			protocols: []string{control.EchoProtocol, control.ResetProtocol},
		})
		const bytes = 8 << 20
		r = client.MustWithin(t, light.timeout, "every byte is echoed on one stream",
			control.Request{Cmd: control.Echo, Addr: server.Addr(), Bytes: bytes})
		if r.Transfer.Bytes != bytes {
			t.Errorf("%d bytes were echoed, want %d", r.Transfer.Bytes, bytes)
		}
		exercise(t, client, server.Addr(), light)
		switch {
		case over == harness.WebTransport: // for which go-libp2p sends and shows no code
			resetsWith(t, client, server, "0x0")
		case dialer != "js": // @chainsafe/libp2p-quic 2.1.1 takes a reset for the end of the data
			showsResets(t, client, server)
		}
		client.Must(t, "closes", control.Request{Cmd: control.Disconnect, Peer: server.ID})
		if r = client.Must(t, "and dials again", control.Request{Cmd: control.Ping, Addr: server.Addr(), Count: 1}); len(r.RTTs) != 1 {
			t.Error("no ping came back")
		}
	})
}

// TestOutboundQUICAnotherPeerGo: who listens there is another than the one that was dialled.
func TestOutboundQUICAnotherPeerGo(t *testing.T) { anotherPeer(t, harness.QUIC) }

func anotherPeer(t *testing.T, over string) {
	t.Helper()
	for _, kinds := range [][2]string{{"troupe", "go"}, {"go", "troupe"}} {
		server := harness.StartPeer(t, harness.PeerConfig{Kind: kinds[1], Over: over, Listen: true})
		client := harness.StartPeer(t, harness.PeerConfig{Kind: kinds[0]})
		other := harness.StartPeer(t, harness.PeerConfig{})
		listen, _, _ := strings.Cut(server.Addr(), "/p2p/")
		_, err := client.Do(control.Request{Cmd: control.Connect, Addr: listen + "/p2p/" + other.ID})
		if err == nil || !strings.Contains(err.Error(), server.ID) {
			t.Errorf("%s wanted %s where %s listens: %v", kinds[0], other.ID, server.ID, err)
		}
	}
}
