package interop_test

import (
	"strings"
	"testing"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/harness"
)

// Over WebTransport the key is proven by Noise inside of a session, and the certificate by its hash.
// js-libp2p has it in browsers only.

func TestPeersWebTransportGo(t *testing.T) {
	overMuxed(t, harness.WebTransport, "go", "go", "ed25519", "ecdsa")
}

func TestOutboundWebTransportGo(t *testing.T) {
	keys := keyTypes["go"]
	for i, key := range keys {
		overMuxed(t, harness.WebTransport, "troupe", "go", key, keys[(i+1)%len(keys)])
	}
}

func TestOutboundServesWebTransportGo(t *testing.T) {
	keys := keyTypes["go"]
	for i, key := range keys {
		overMuxed(t, harness.WebTransport, "go", "troupe", key, keys[(i+1)%len(keys)])
	}
}

func TestOutboundWebTransportAnotherPeerGo(t *testing.T) { anotherPeer(t, harness.WebTransport) }

// TestOutboundWebTransportAnotherCertificateGo: the hash in the address is not that of the certificate
// which is shown there.
func TestOutboundWebTransportAnotherCertificateGo(t *testing.T) {
	for _, kinds := range [][2]string{{"troupe", "go"}, {"go", "troupe"}} {
		server := harness.StartPeer(t, harness.PeerConfig{Kind: kinds[1], Over: harness.WebTransport, Listen: true})
		other := harness.StartPeer(t, harness.PeerConfig{Kind: kinds[1], Over: harness.WebTransport, Listen: true})
		client := harness.StartPeer(t, harness.PeerConfig{Kind: kinds[0]})
		at, _, _ := strings.Cut(server.Addr(), "/certhash/")
		_, hashes, _ := strings.Cut(other.Addr(), "/certhash/")
		hashes, _, _ = strings.Cut(hashes, "/p2p/")
		_, err := client.Do(control.Request{Cmd: control.Connect, Addr: at + "/certhash/" + hashes + "/p2p/" + server.ID})
		if err == nil || !strings.Contains(err.Error(), "hash") {
			t.Errorf("%s dials %s by the hashes of another: %v", kinds[0], kinds[1], err)
		}
	}
}
