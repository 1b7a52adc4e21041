package interop_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/troupe-p2p/troupe/interop/harness"
)

func TestMain(m *testing.M) {
	code := harness.Main(m)
	if err := written.write(os.Getenv("INTEROP_MATRIX")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

const (
	noise     = "/noise"
	tls       = "/tls/1.0.0"
	yamux     = "/yamux/1.0.0"
	identify  = "/ipfs/id/1.0.0"
	idPush    = "/ipfs/id/push/1.0.0"
	pingProto = "/ipfs/ping/1.0.0"
)

// securityID is what a peer started with that security shows on its connections.
var securityID = map[string]string{"noise": noise, "tls": tls}

// keyTypes are the identity keys that each foreign peer can have and can verify. js-libp2p 3.3
// makes no peer ID of an ECDSA key, and fails on the handshake of a peer that has one.
var keyTypes = map[string][]string{
	"go": {"ed25519", "secp256k1", "ecdsa", "rsa"},
	"js": {"ed25519", "secp256k1", "rsa"},
}
