// Command gopeer is the go-libp2p node of the benchmark: TCP, one security protocol and yamux, or
// QUIC; no resource limits, no metrics. It uses nothing of Troupe but the benchmark's own packages.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	libp2pwebrtc "github.com/libp2p/go-libp2p/p2p/transport/webrtc"
	libp2pws "github.com/libp2p/go-libp2p/p2p/transport/websocket"
	libp2pwt "github.com/libp2p/go-libp2p/p2p/transport/webtransport"

	"github.com/troupe-p2p/troupe/bench/drive"
)

func main() { os.Exit(drive.Main("gopeer", newNode)) }

type node struct{ host.Host }

func newNode(cfg drive.Config) (drive.Node, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	opts := []libp2p.Option{
		libp2p.Identity(key),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.ConnectionManager(connmgr.NullConnMgr{}),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		libp2p.UserAgent("gopeer/1"),
	}
	switch cfg.Security {
	case "noise":
		opts = append(opts, libp2p.Transport(tcp.NewTCPTransport), libp2p.Security(noise.ID, noise.New))
	case "tls":
		opts = append(opts, libp2p.Transport(tcp.NewTCPTransport), libp2p.Security(libp2ptls.ID, libp2ptls.New))
	case "quic":
		opts = append(opts, libp2p.Transport(libp2pquic.NewTransport))
	case "ws":
		opts = append(opts, libp2p.Transport(libp2pws.New), libp2p.Security(noise.ID, noise.New))
	case "webtransport":
		opts = append(opts, libp2p.Transport(libp2pwt.New))
	case "webrtc":
		opts = append(opts, libp2p.Transport(libp2pwebrtc.New))
	default:
		return nil, fmt.Errorf("unknown security %q: noise, tls, quic, ws, webtransport or webrtc", cfg.Security)
	}
	if cfg.Listen == "" {
		opts = append(opts, libp2p.NoListenAddrs)
	} else {
		opts = append(opts, libp2p.ListenAddrStrings(cfg.Listen))
	}
	h, err := libp2p.New(opts...)
	if err != nil {
		return nil, err
	}
	for id, handle := range drive.Handlers {
		h.SetStreamHandler(protocol.ID(id), func(s network.Stream) { drive.Serve(stream{s}, handle) })
	}
	return &node{h}, nil
}

// stream is go-libp2p's as package drive wants it.
type stream struct{ network.Stream }

func (s stream) Abort() { _ = s.Reset() }

func (n *node) ID() string { return n.Host.ID().String() }

func (n *node) Addrs() (out []string) {
	for _, a := range n.Host.Addrs() {
		out = append(out, a.String()+"/p2p/"+n.ID())
	}
	return out
}

// Connect: go-libp2p's own returns when identify is done.
func (n *node) Connect(ctx context.Context, addr string) (string, error) {
	info, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return "", err
	}
	if s, ok := n.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(info.ID) // an earlier failure is not to be remembered
	}
	return info.ID.String(), n.Host.Connect(ctx, *info)
}

func (n *node) Disconnect(_ context.Context, id string) error {
	p, err := peer.Decode(id)
	if err != nil {
		return err
	}
	return n.Network().ClosePeer(p)
}

func (n *node) Open(ctx context.Context, id, proto string) (drive.Stream, error) {
	p, err := peer.Decode(id)
	if err != nil {
		return nil, err
	}
	s, err := n.NewStream(ctx, p, protocol.ID(proto))
	if err != nil {
		return nil, err
	}
	return stream{s}, nil
}

func (n *node) Peers() (out []string, err error) {
	for _, p := range n.Network().Peers() {
		out = append(out, p.String())
	}
	return out, nil
}

func (n *node) Close() { _ = n.Host.Close() }
