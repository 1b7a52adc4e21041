package interop_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/harness"
)

// What the transports that bring their own security and their own streams are asked to do: QUIC,
// WebTransport and WebRTC-direct. There is neither a security protocol nor a muxer to agree on.

// outboundMuxed has Troupe dial the other, with every type of key at both ends.
func outboundMuxed(t *testing.T, over, foreign string) {
	keys := keyTypes[foreign]
	for i, key := range keys {
		overMuxed(t, over, "troupe", foreign, key, keys[(i+1)%len(keys)])
	}
}

// servesMuxed has the other dial Troupe.
func servesMuxed(t *testing.T, over, foreign string) {
	keys := keyTypes[foreign]
	for i, key := range keys {
		overMuxed(t, over, foreign, "troupe", key, keys[(i+1)%len(keys)])
	}
}

// overMuxed has one peer dial the other, and do everything to it.
func overMuxed(t *testing.T, over, dialer, listener, dialKey, listenKey string) {
	overMuxedBy(t, over, harness.PeerConfig{Kind: dialer, Key: dialKey}, harness.PeerConfig{Kind: listener, Key: listenKey})
}

// overMuxedBy is overMuxed for a dialler with more to it.
func overMuxedBy(t *testing.T, over string, dials, listens harness.PeerConfig) {
	listens.Over, listens.Listen = over, true
	name := dials.Kind + " " + dials.Key + " to " + listens.Kind + " " + listens.Key
	if dials.RTC != 0 {
		name += fmt.Sprint(" v", dials.RTC)
	}
	t.Run(name, func(t *testing.T) {
		server, client := harness.StartPeer(t, listens), harness.StartPeer(t, dials)
		shows := over + "/"
		if over != harness.QUIC {
			shows += "certhash/"
		}
		if !strings.Contains(server.Addr(), shows) {
			t.Fatalf("it listens on %s", server.Addr())
		}
		r := client.Must(t, "pings are answered", control.Request{Cmd: control.Ping, Addr: server.Addr(), Count: 3})
		if len(r.RTTs) != 3 {
			t.Fatalf("%d of 3 pings came back", len(r.RTTs))
		}
		at := r.Conn.Remote
		if dials.Kind == "js" { // which adds what else it was dialled by
			at, _, _ = strings.Cut(at, "/p2p/")
			at, _, _ = strings.Cut(at, "/certhash/")
		}
		if !strings.HasSuffix(at, over) {
			t.Errorf("pinged over %s", r.Conn.Remote)
		}
		identifies(t, client, subject{
			id: server.ID, addr: server.Addr(), key: listens.Key, agent: agents[listens.Kind],
			protocols: []string{control.EchoProtocol, control.ResetProtocol},
		})
		if over == harness.WebRTC && listens.Kind == "js" {
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
		switch {
		case over == harness.WebTransport: // for which go-libp2p sends and shows no code
			resetsWith(t, client, server, "0x0")
		// @chainsafe/libp2p-quic 2.1.1 takes a reset for the end of the data; @libp2p/webrtc 6.0.33 does mostly, of
		// go-libp2p's too.
		case dials.Kind != "js":
			showsResets(t, client, server)
		}
		client.Must(t, "closes", control.Request{Cmd: control.Disconnect, Peer: server.ID})
		if r = client.Must(t, "and dials again", control.Request{Cmd: control.Ping, Addr: server.Addr(), Count: 1}); len(r.RTTs) != 1 {
			t.Error("no ping came back")
		}
	})
}

// anotherPeer: who listens there is another than the one that was dialled.
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

// anotherCertificate: who listens there has another certificate than the address says. The words are what a
// dialler's error has to say, by its kind; the address with its hash is in every error.
func anotherCertificate(t *testing.T, over string, words map[string]string) {
	t.Helper()
	for _, kinds := range [][2]string{{"troupe", "go"}, {"go", "troupe"}} {
		server := harness.StartPeer(t, harness.PeerConfig{Kind: kinds[1], Over: over, Listen: true})
		other := harness.StartPeer(t, harness.PeerConfig{Kind: kinds[1], Over: over, Listen: true})
		client := harness.StartPeer(t, harness.PeerConfig{Kind: kinds[0]})
		at, _, _ := strings.Cut(server.Addr(), "/certhash/")
		_, hashes, _ := strings.Cut(other.Addr(), "/certhash/")
		hashes, _, _ = strings.Cut(hashes, "/p2p/")
		wrong := at + "/certhash/" + hashes + "/p2p/" + server.ID
		if r, err := client.Do(control.Request{Cmd: control.Connect, Addr: wrong}); err == nil {
			t.Errorf("%s takes the certificate of %s for another: %+v", kinds[0], kinds[1], r.Conn)
		} else if !strings.Contains(err.Error(), words[kinds[0]]) {
			t.Errorf("%s dials %s by the hash of another, and it fails of %v", kinds[0], kinds[1], err)
		}
		client.Must(t, "but the right one is taken", control.Request{Cmd: control.Ping, Addr: server.Addr(), Count: 1})
	}
}
