package interop_test

import (
	"testing"

	"github.com/troupe-p2p/troupe/interop/harness"
)

// Over WebRTC-direct the key is proven by Noise inside of DTLS. What can differ beside the key is the
// version that is dialled with: 1, if nothing is said.

func TestPeersWebRTCGo(t *testing.T) { overMuxed(t, harness.WebRTC, "go", "go", "ed25519", "ecdsa") }

func TestOutboundWebRTCGo(t *testing.T) {
	outboundMuxed(t, harness.WebRTC, "go")
	overWebRTC2(t, "troupe", "go", "ed25519")
}
func TestOutboundWebRTCJS(t *testing.T) { outboundMuxed(t, harness.WebRTC, "js") }

func TestOutboundServesWebRTCGo(t *testing.T) {
	servesMuxed(t, harness.WebRTC, "go")
	overWebRTC2(t, "go", "troupe", "ed25519")
}
func TestOutboundServesWebRTCJS(t *testing.T) { servesMuxed(t, harness.WebRTC, "js") }

func TestOutboundWebRTCWithItself(t *testing.T) {
	overWebRTC2(t, "troupe", "troupe", "ecdsa")
}

// overWebRTC2 dials with version 2, which js-libp2p does not know.
func overWebRTC2(t *testing.T, dialer, listener, listenKey string) {
	overMuxedBy(t, harness.WebRTC,
		harness.PeerConfig{Kind: dialer, Key: "ed25519", RTC: 2}, harness.PeerConfig{Kind: listener, Key: listenKey})
}

func TestOutboundWebRTCAnotherPeerGo(t *testing.T) { anotherPeer(t, harness.WebRTC) }

// TestOutboundWebRTCAnotherCertificateGo: go-libp2p says only that it has failed.
func TestOutboundWebRTCAnotherCertificateGo(t *testing.T) {
	anotherCertificate(t, harness.WebRTC, map[string]string{"troupe": "its certificate is not the one"})
}
