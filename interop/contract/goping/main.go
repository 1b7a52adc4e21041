// Command goping is go-libp2p's peer of the official interoperability tests: see package contract.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/security/insecure"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	libp2pwebrtc "github.com/libp2p/go-libp2p/p2p/transport/webrtc"
	"github.com/libp2p/go-libp2p/p2p/transport/websocket"
	libp2pwebtransport "github.com/libp2p/go-libp2p/p2p/transport/webtransport"

	"github.com/troupe-p2p/troupe/interop/contract"
)

// What go-libp2p has of the contract's tables, by their names.
var (
	transports = map[string]func() (libp2p.Option, error){
		"tcp":           only(tcp.NewTCPTransport),
		"ws":            only(websocket.New),
		"wss":           secureWebSocket,
		"quic-v1":       only(libp2pquic.NewTransport),
		"webtransport":  only(libp2pwebtransport.New),
		"webrtc-direct": only(libp2pwebrtc.New),
	}
	securities = map[string]libp2p.Option{
		"noise":     libp2p.Security(noise.ID, noise.New),
		"tls":       libp2p.Security(libp2ptls.ID, libp2ptls.New),
		"plaintext": libp2p.Security(insecure.ID, insecure.NewWithIdentity),
	}
	muxers = map[string]libp2p.Option{
		"yamux": libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
	}
)

func only(constructor any) func() (libp2p.Option, error) {
	return func() (libp2p.Option, error) { return libp2p.Transport(constructor), nil }
}

func main() {
	log.SetFlags(log.Lmicroseconds)
	log.SetPrefix("goping: ")
	peer := contract.Peer{
		Name: "go-libp2p", Transports: slices.Sorted(maps.Keys(transports)), Securities: slices.Sorted(maps.Keys(securities)),
		Muxers: slices.Sorted(maps.Keys(muxers)), Start: start,
	}
	if err := peer.Play(context.Background(), os.Getenv, os.Stdout); err != nil {
		log.Fatal(contract.OneLine(err))
	}
}

type node struct{ host host.Host }

func start(_ context.Context, p contract.Params) (contract.Node, error) {
	t, err := transports[p.Transport]()
	if err != nil {
		return nil, err
	}
	opts := []libp2p.Option{t, libp2p.DisableRelay(), libp2p.ResourceManager(&network.NullResourceManager{})}
	if p.Security != "" {
		opts = append(opts, securities[p.Security], muxers[p.Muxer])
	}
	if p.Dialer {
		opts = append(opts, libp2p.NoListenAddrs)
	} else {
		opts = append(opts, libp2p.ListenAddrStrings(p.ListenAddr()))
	}
	h, err := libp2p.New(opts...)
	if err != nil {
		return nil, err
	}
	return node{h}, nil
}

func secureWebSocket() (libp2p.Option, error) {
	cert, err := contract.SelfSigned()
	if err != nil {
		return nil, err
	}
	return libp2p.Transport(websocket.New,
		websocket.WithTLSConfig(&tls.Config{Certificates: []tls.Certificate{cert}}),
		websocket.WithTLSClientConfig(&tls.Config{InsecureSkipVerify: true}),
	), nil
}

// Addrs implements contract.Node.
func (n node) Addrs() []string {
	var out []string
	for _, a := range n.host.Addrs() {
		out = append(out, a.String()+"/p2p/"+n.host.ID().String())
	}
	return out
}

// Ping implements contract.Node.
func (n node) Ping(ctx context.Context, addr string) (time.Duration, error) {
	info, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return 0, err
	}
	if err := n.host.Connect(ctx, *info); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	res, ok := <-ping.Ping(ctx, n.host, info.ID)
	if !ok {
		return 0, fmt.Errorf("no ping: %w", context.Cause(ctx))
	}
	return res.RTT, res.Error
}

// Close implements contract.Node.
func (n node) Close() { _ = n.host.Close() }
