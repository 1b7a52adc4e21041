// Command troupeping is Troupe's peer of the official interoperability tests: see package contract.
package main

import (
	"context"
	"crypto/tls"
	"log"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/quic"
	"github.com/troupe-p2p/troupe/transports/webrtc"
	"github.com/troupe-p2p/troupe/transports/websocket"
	"github.com/troupe-p2p/troupe/transports/webtransport"
	"go.uber.org/zap"

	"github.com/troupe-p2p/troupe/interop/contract"
)

// What Troupe has of the contract's tables, by their names.
var (
	transports = map[string]troupe.Transport{
		"tcp":           troupe.TCP,
		"ws":            websocket.Config{}.Transport,
		"wss":           secureWebSocket,
		"quic-v1":       quic.Config{}.Transport,
		"webtransport":  webtransport.Config{}.Transport,
		"webrtc-direct": webrtc.Config{}.Transport,
	}
	securities = map[string]troupe.Security{
		"noise":     troupe.Noise,
		"tls":       troupe.TLS,
		"plaintext": troupe.Plaintext,
	}
	muxers = []string{"yamux"}
)

func main() {
	log.SetFlags(log.Lmicroseconds)
	log.SetPrefix("troupeping: ")
	peer := contract.Peer{
		Name: "troupe", Transports: slices.Sorted(maps.Keys(transports)), Securities: slices.Sorted(maps.Keys(securities)),
		Muxers: muxers, Start: start,
	}
	if err := peer.Play(context.Background(), os.Getenv, os.Stdout); err != nil {
		log.Fatal(contract.OneLine(err))
	}
}

type node struct{ sys *troupe.System }

func start(_ context.Context, p contract.Params) (contract.Node, error) {
	cfg := troupe.Config{Transports: []troupe.Transport{transports[p.Transport]}, DialTimeout: p.Timeout, UpgradeTimeout: p.Timeout}
	if p.Security != "" {
		cfg.Security = []troupe.Security{securities[p.Security]}
	}
	if !p.Dialer {
		cfg.Listen = []string{p.ListenAddr()}
	}
	if p.Debug {
		logs := zap.NewDevelopmentConfig()
		logs.OutputPaths = []string{"stderr"}
		var err error
		if cfg.Logger, err = logs.Build(); err != nil {
			return nil, err
		}
	}
	sys, err := troupe.New(cfg)
	if err != nil {
		return nil, err
	}
	return node{sys}, nil
}

func secureWebSocket(rt *actors.Runtime) (conduit.Transport, error) {
	cert, err := contract.SelfSigned()
	if err != nil {
		return nil, err
	}
	return websocket.New(rt, websocket.Config{
		TLS:       &tls.Config{Certificates: []tls.Certificate{cert}},
		ClientTLS: &tls.Config{InsecureSkipVerify: true},
	}), nil
}

// Addrs implements contract.Node.
func (n node) Addrs() []string {
	var out []string
	for _, a := range n.sys.ListenAddrs() {
		out = append(out, a.String()+"/p2p/"+n.sys.ID().String())
	}
	return out
}

// Ping implements contract.Node.
func (n node) Ping(ctx context.Context, addr string) (time.Duration, error) {
	c, err := n.sys.DialAddr(ctx, addr)
	if err != nil {
		return 0, err
	}
	s, err := n.sys.OpenWith(ctx, c.Peer, troupe.OpenOptions{NoDial: true}, troupe.PingProtocol)
	if err != nil {
		return 0, err
	}
	return n.sys.Ping(ctx, s.Blocking())
}

// Close implements contract.Node.
func (n node) Close() {
	const limit = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := n.sys.Close(ctx); err != nil {
		log.Print(err)
	}
}
