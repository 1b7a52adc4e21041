package troupe

import (
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/memory"
	"github.com/troupe-p2p/troupe/transports/tcp"
)

// Transport makes the adapter for one kind of address. One that is a conduit.Member is told of the
// node's identity before it is used. Transports that are not here are packages of their own, and are
// linked by those who name them: quic.Config{}.Transport, webrtc.Config{}.Transport, websocket.Config{}.Transport.
type Transport func(*actors.Runtime) (conduit.Transport, error)

// TCP is the transport for /ip4 and /ip6 with /tcp.
func TCP(rt *actors.Runtime) (conduit.Transport, error) {
	return tcp.New(rt, tcp.Config{}), nil
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
// handshake and muxer.
func MemoryMuxed(hub *MemoryHub) Transport {
	return func(rt *actors.Runtime) (conduit.Transport, error) {
		return memory.New(rt, memory.Config{Hub: hub, Muxed: true}), nil
	}
}

// adapters makes the transports of a Config, and tells those that ask whose they are.
func (s *System) adapters() ([]conduit.Transport, error) {
	kinds := s.cfg.Transports
	if len(kinds) == 0 {
		kinds = []Transport{TCP}
	}
	var out []conduit.Transport
	me := conduit.Node{Key: s.cfg.Key, Warn: s.cfg.Logger.Sugar().Warnw, Shared: new(conduit.Shared), Private: s.cfg.PrivateNetwork != nil}
	for _, k := range kinds {
		t, err := k(s.rt)
		if err != nil {
			return nil, err
		}
		if m, ok := t.(conduit.Member); ok {
			if err := m.Join(me); err != nil {
				return nil, err
			}
		}
		out = append(out, t)
	}
	return out, nil
}
