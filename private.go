package troupe

import (
	"errors"
	"fmt"
	"os"

	"github.com/troupe-p2p/troupe/negotiation/pnet"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// PSK is the pre-shared key of a private network: pnet.ParseKey reads a key file, pnet.GenerateKey
// makes the key of a new network and its AppendFile the file.
type PSK = pnet.Key

// ForcePrivate is the environment variable that, set to 1, keeps every node of a process out of the
// public network: New refuses a Config without PrivateNetwork. It is go-libp2p's too.
const ForcePrivate = "LIBP2P_FORCE_PNET"

var (
	errPublic  = errors.New(ForcePrivate + "=1 is in the environment, and there is no pre-shared key")
	errExposed = errors.New("its connections have a handshake of their own, which a pre-shared key does not cover")
)

// errUnsettled is for a handshake that does not end. With another key the remote may wait for the rest
// of what it takes for a message.
var errUnsettled = errors.New("a wrong pre-shared key is a likely cause, if the remote is not just slow")

// unsettled is what to suspect of a remote that does not finish its handshake.
func unsettled(cfg *Config) error {
	if cfg.PrivateNetwork == nil {
		return nil
	}
	return errUnsettled
}

// checkNetwork says whether the node may be in the network that its Config says.
func checkNetwork(cfg *Config) error {
	if cfg.PrivateNetwork == nil && os.Getenv(ForcePrivate) == "1" {
		return errPublic
	}
	return nil
}

// checkPrivate says whether a transport can be used by a node in a private network. One that does not
// say what its connections are is taken for one that cannot.
func checkPrivate(cfg *Config, t conduit.Transport) error {
	if cfg.PrivateNetwork == nil {
		return nil
	}
	if r, ok := t.(conduit.RawOnly); ok && r.RawOnly() {
		return nil
	}
	return fmt.Errorf("%s cannot be in a private network: %w; leave it out of Config.Transports", t.Name(), errExposed)
}
