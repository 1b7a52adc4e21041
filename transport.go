package troupe

import (
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/memory"
	"github.com/troupe-p2p/troupe/transports/quic"
	"github.com/troupe-p2p/troupe/transports/tcp"
	"github.com/troupe-p2p/troupe/transports/websocket"
)

// Transport makes the adapter for one kind of address.
type Transport func(*actors.Runtime) (conduit.Transport, error)

// TCP is the transport for /ip4 and /ip6 with /tcp.
func TCP(rt *actors.Runtime) (conduit.Transport, error) {
	return tcp.New(rt, tcp.Config{}), nil
}

// WebSocket is the transport for /tcp with /ws, and dials /wss. Listening on /wss takes a certificate:
// websocket.Config{CertFile: "cert.pem", KeyFile: "key.pem"}.Transport.
func WebSocket(rt *actors.Runtime) (conduit.Transport, error) {
	return websocket.New(rt, websocket.Config{}), nil
}

// QUIC is the transport for /ip4 and /ip6 with /udp and /quic-v1. key is the node's Config.Key: it
// is proven inside of QUIC's own handshake, and Config.Security has no say there.
func QUIC(key identity.PrivateKey) Transport {
	return func(rt *actors.Runtime) (conduit.Transport, error) {
		return quic.New(rt, quic.Config{Key: key}), nil
	}
}

// MemoryHub is where nodes of one process meet under /memory addresses.
type MemoryHub = memory.Hub

// NewMemoryHub makes a place to meet.
func NewMemoryHub() *MemoryHub { return memory.NewHub() }

// Memory is the transport for /memory/N between nodes that share a hub. Its connections are byte
// streams, which are secured and multiplexed like those of TCP.
func Memory(hub *MemoryHub) Transport {
	return func(rt *actors.Runtime) (conduit.Transport, error) {
		return memory.New(rt, memory.Config{Hub: hub}), nil
	}
}

// MemoryMuxed is Memory with connections that carry streams by themselves, as QUIC's do: without
// handshake and muxer. key is the node's Config.Key.
func MemoryMuxed(hub *MemoryHub, key identity.PublicKey) Transport {
	return func(rt *actors.Runtime) (conduit.Transport, error) {
		return memory.New(rt, memory.Config{Hub: hub, Muxed: true, Key: key}), nil
	}
}
