package interop_test

import (
	"testing"

	"github.com/troupe-p2p/troupe/interop/harness"
)

// Over WebTransport the key is proven by Noise inside of a session, and the certificate by its hash.
// js-libp2p has it in browsers only.

func TestPeersWebTransportGo(t *testing.T) {
	overMuxed(t, harness.WebTransport, "go", "go", "ed25519", "ecdsa")
}

func TestOutboundWebTransportGo(t *testing.T)       { outboundMuxed(t, harness.WebTransport, "go") }
func TestOutboundServesWebTransportGo(t *testing.T) { servesMuxed(t, harness.WebTransport, "go") }

func TestOutboundWebTransportAnotherPeerGo(t *testing.T) { anotherPeer(t, harness.WebTransport) }

func TestOutboundWebTransportAnotherCertificateGo(t *testing.T) {
	anotherCertificate(t, harness.WebTransport, map[string]string{"troupe": "wrong certificate", "go": "cert hash not found"})
}
