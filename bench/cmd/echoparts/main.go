// Command echoparts is echogolibp2p put together by hand from go-libp2p's parts. The package libp2p, whose
// constructor programs use, links QUIC, WebTransport and WebRTC whether they are used or not; this is what
// go-libp2p weighs without. The tag quic adds QUIC.
package main

import (
	"crypto/rand"

	"github.com/troupe-p2p/troupe/bench/cmd/internal/goecho"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	basichost "github.com/libp2p/go-libp2p/p2p/host/basic"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
)

// addQUIC is there with the tag quic.
var addQUIC func(*swarm.Swarm, crypto.PrivKey) error

func main() { goecho.Run(newHost()) }

func newHost() (host.Host, error) {
	key, pub, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	id, err := peer.IDFromPublicKey(pub)
	if err != nil {
		return nil, err
	}
	store, err := pstoremem.NewPeerstore()
	if err != nil {
		return nil, err
	}
	if err := store.AddPrivKey(id, key); err != nil {
		return nil, err
	}
	bus := eventbus.NewBus()
	net, err := swarm.NewSwarm(id, store, bus)
	if err != nil {
		return nil, err
	}
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}}
	overNoise, err := noise.New(noise.ID, key, muxers)
	if err != nil {
		return nil, err
	}
	overTLS, err := libp2ptls.New(libp2ptls.ID, key, muxers)
	if err != nil {
		return nil, err
	}
	up, err := upgrader.New([]sec.SecureTransport{overNoise, overTLS}, muxers, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	t, err := tcp.NewTCPTransport(up, nil, nil)
	if err != nil {
		return nil, err
	}
	if err := net.AddTransport(t); err != nil {
		return nil, err
	}
	h, err := basichost.NewHost(net, &basichost.HostOpts{EventBus: bus, EnablePing: true})
	if err != nil {
		return nil, err
	}
	h.Start()
	listen := []ma.Multiaddr{ma.StringCast("/ip4/0.0.0.0/tcp/0")}
	if addQUIC != nil {
		if err := addQUIC(net, key); err != nil {
			return nil, err
		}
		listen = append(listen, ma.StringCast("/ip4/0.0.0.0/udp/0/quic-v1"))
	}
	return h, net.Listen(listen...)
}
