package interop_test

import (
	"testing"

	"github.com/troupe-p2p/troupe/interop/harness"
)

// Over QUIC the key is proven inside of QUIC's handshake.

func TestPeersQUICGo(t *testing.T) { overMuxed(t, harness.QUIC, "go", "go", "ed25519", "ecdsa") }

func TestOutboundQUICGo(t *testing.T) { outboundMuxed(t, harness.QUIC, "go") }
func TestOutboundQUICJS(t *testing.T) { outboundMuxed(t, harness.QUIC, "js") }

func TestOutboundServesQUICGo(t *testing.T) { servesMuxed(t, harness.QUIC, "go") }
func TestOutboundServesQUICJS(t *testing.T) { servesMuxed(t, harness.QUIC, "js") }

func TestOutboundQUICAnotherPeerGo(t *testing.T) { anotherPeer(t, harness.QUIC) }
