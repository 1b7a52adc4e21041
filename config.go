package troupe

import (
	"time"

	"go.uber.org/zap"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/peers/limits"
)

// Config says what node to make. The zero value makes a node with a fresh identity that dials
// over TCP and does not listen.
type Config struct {
	// Key is the node's identity. Default: a new Ed25519 key, which is gone with the node.
	Key identity.PrivateKey
	// Listen are the multiaddrs to listen on: "/ip4/0.0.0.0/tcp/4001". Port 0 takes a free
	// one. Default: none.
	Listen []string
	// Announce are addresses that are told to peers beside those that are listened on;
	// NoAnnounce are never told. Both are multiaddrs; one in NoAnnounce also stands for all
	// that begin with it.
	Announce, NoAnnounce []string
	// Agent is how the node calls itself in identify. Default "troupe/" and the version.
	Agent string

	// Transports are the adapters, tried in order. Default: TCP.
	Transports []Transport
	// Security are the security protocols, the preferred first. Default: Noise, TLS.
	Security []Security
	// PrivateNetwork is the pre-shared key of the private network that the node is in. It meets
	// nobody without that key, over transports whose connections are byte streams (TCP, WebSocket,
	// Unix, Memory); New refuses the others. Default: none, the public network, which New refuses
	// if LIBP2P_FORCE_PNET=1 is in the environment.
	PrivateNetwork *PSK
	// NoEarlyMuxer leaves the muxer out of the security handshake, as rust-libp2p does.
	NoEarlyMuxer bool
	// Yamux tunes the muxer.
	Yamux yamux.Config

	// Limits bound what remotes can make the node hold. Default: see limits.Limits.
	Limits Limits

	// Gater is asked who may be dialled and who is let in. Default: everybody, within Limits.
	Gater Gater

	// UpgradeTimeout bounds the whole handshake of a connection. Default 15 s.
	UpgradeTimeout time.Duration
	// DialTimeout bounds one attempt with its handshake. Default 15 s.
	DialTimeout time.Duration
	// NegotiateTimeout bounds the negotiation of a stream's protocol. Default 10 s.
	NegotiateTimeout time.Duration
	// CloseTimeout bounds Close when its context has no deadline. Default 8 s.
	CloseTimeout time.Duration

	// Name is the node's in the tree and in its events. No two nodes of one runtime may have
	// the same. Default: node-1, node-2, ...
	Name string
	// Runtime is shared with other nodes of this process. Default: a runtime of the node's
	// own, which is closed with it.
	Runtime *actors.Runtime
	// Logger takes what the node has to say. Default: nothing is logged.
	Logger *zap.Logger
}

// Limits bound what remotes can make the node hold.
type Limits = limits.Limits

// Security is a security protocol by its ID.
type Security string

// The security protocols.
const (
	Noise Security = "/noise"
	TLS   Security = "/tls/1.0.0"
	// Plaintext proves nothing and hides nothing. For tests only.
	Plaintext Security = "/plaintext/2.0.0"
)
