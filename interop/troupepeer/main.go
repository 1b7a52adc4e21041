// Command troupepeer is a Troupe node that does what a test tells it, line by line. It is used
// where the command line of Troupe does not reach: to open streams to foreign peers, and to tell
// what the node has learnt of them. It uses nothing but Troupe's public packages.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/multiformats/go-multiaddr"
	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/pnet"
	"github.com/troupe-p2p/troupe/protocols/echo"
	"github.com/troupe-p2p/troupe/protocols/perf"
	"github.com/troupe-p2p/troupe/transports/quic"
	"github.com/troupe-p2p/troupe/transports/unix"
	"github.com/troupe-p2p/troupe/transports/webrtc"
	"github.com/troupe-p2p/troupe/transports/websocket"
	"github.com/troupe-p2p/troupe/transports/webtransport"
	"go.uber.org/zap"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/drive"
)

func main() {
	log.SetFlags(log.Lmicroseconds)
	log.SetPrefix("troupepeer: ")
	listen := flag.String("listen", "", "comma-separated multiaddrs to listen on; none by default")
	security := flag.String("security", "both", "noise, tls or both")
	key := flag.String("key", "ed25519", "ed25519, secp256k1, ecdsa or rsa")
	noEarly := flag.Bool("no-early", false, "agree on the muxer by multistream, not inside the handshake")
	cert := flag.String("cert", "", "file with a certificate and its key, to show and to trust over /tls/ws")
	share := flag.String("share", "", "comma-separated ends of addresses, such as /ws, to listen on at the port of the first one")
	psk := flag.String("psk", "", "file with the pre-shared key of a private network")
	rtc := flag.Int("webrtc", 1, "version of WebRTC-direct to dial with: 1 or 2")
	flag.Parse()
	if err := run(*listen, *share, *security, *key, *cert, *psk, *noEarly, *rtc); err != nil {
		log.Fatal(err)
	}
}

func run(listen, share, security, key, cert, psk string, noEarly bool, rtc int) error {
	cfg := troupe.Config{NoEarlyMuxer: noEarly, Transports: []troupe.Transport{
		troupe.TCP, websocket.Config{}.Transport, unix.Config{}.Transport,
	}}
	if cert != "" {
		ws, err := secureWebSocket(cert)
		if err != nil {
			return err
		}
		cfg.Transports[1] = ws
	}
	if psk != "" {
		file, err := os.ReadFile(psk)
		if err != nil {
			return err
		}
		if cfg.PrivateNetwork, err = pnet.ParseKey(file); err != nil {
			return err
		}
	}
	if listen != "" {
		cfg.Listen = strings.Split(listen, ",")
	}
	offers := map[string][]troupe.Security{
		"noise": {troupe.Noise}, "tls": {troupe.TLS}, "both": {troupe.Noise, troupe.TLS},
	}
	var ok bool
	if cfg.Security, ok = offers[security]; !ok {
		return fmt.Errorf("unknown security %q: noise, tls or both", security)
	}
	types := map[string]identity.KeyType{
		"ed25519": identity.Ed25519, "secp256k1": identity.Secp256k1, "ecdsa": identity.ECDSA, "rsa": identity.RSA,
	}
	t, ok := types[key]
	if !ok {
		return fmt.Errorf("unknown key type %q: ed25519, secp256k1, ecdsa or rsa", key)
	}
	var err error
	if cfg.Key, err = identity.GenerateKey(t, rand.Reader); err != nil {
		return err
	}
	if cfg.PrivateNetwork == nil { // which QUIC and WebRTC cannot keep, nor what is over QUIC
		cfg.Transports = append(cfg.Transports,
			quic.Config{}.Transport, webtransport.Config{}.Transport, webrtc.Config{Version: rtc}.Transport)
	}
	logs := zap.NewDevelopmentConfig()
	logs.OutputPaths = []string{"stderr"}
	if cfg.Logger, err = logs.Build(); err != nil {
		return err
	}
	p, err := newPeer(cfg)
	if err != nil {
		return err
	}
	if share != "" {
		at := p.sys.ListenAddrs()[0].String()
		for _, end := range strings.Split(share, ",") {
			a, err := multiaddr.NewMultiaddr(at + end)
			if err != nil {
				return err
			}
			if _, err := p.sys.Listen(context.Background(), a); err != nil {
				return err
			}
		}
	}
	return drive.Run(p)
}

// secureWebSocket shows and trusts one certificate.
func secureWebSocket(file string) (troupe.Transport, error) {
	cert, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return nil, err
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(cert.Leaf)
	return websocket.Config{CertFile: file, ClientTLS: &tls.Config{RootCAs: trusted}}.Transport, nil
}

// peerProgram is one Troupe node and what has been heard of its peers.
type peerProgram struct {
	sys *troupe.System

	mu    sync.Mutex
	heard map[uint64]troupe.Event // identify events by connection
	more  chan struct{}           // replaced and closed with every such event
}

func newPeer(cfg troupe.Config) (*peerProgram, error) {
	sys, err := troupe.New(cfg)
	if err != nil {
		return nil, err
	}
	p := &peerProgram{sys: sys, heard: map[uint64]troupe.Event{}, more: make(chan struct{})}
	for protocol, handler := range map[string]troupe.Handler{
		control.EchoProtocol: echo.Handler(), control.PerfProtocol: perf.Handler(),
	} {
		if err := sys.Handle(protocol, handler); err != nil {
			return nil, err
		}
	}
	if err := sys.Handle(control.ResetProtocol, troupe.StreamHandler(serveReset)); err != nil {
		return nil, err
	}
	go p.listenToEvents(sys.Subscribe(context.Background(), 0)) // before the first command
	return p, nil
}

func (p *peerProgram) listenToEvents(sub *troupe.Subscription) {
	for {
		e, _, err := sub.Next(context.Background())
		if err != nil {
			return // the node has closed
		}
		switch e.Kind {
		case troupe.EventIdentified:
			p.mu.Lock()
			p.heard[e.Conn.ID] = e
			close(p.more)
			p.more = make(chan struct{})
			p.mu.Unlock()
		case troupe.EventDisconnected:
			p.mu.Lock()
			delete(p.heard, e.Conn.ID)
			p.mu.Unlock()
		default:
			log.Printf("%s %s %v", e.Kind, e.Peer, e.Err)
		}
	}
}

// ID implements drive.Node.
func (p *peerProgram) ID() string { return p.sys.ID().String() }

// Addrs implements drive.Node.
func (p *peerProgram) Addrs() []string {
	out := []string{}
	for _, a := range p.sys.ListenAddrs() {
		out = append(out, a.String()+"/p2p/"+p.ID())
	}
	return out
}

// Close implements drive.Node.
func (p *peerProgram) Close() {
	const limit = 8 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := p.sys.Close(ctx); err != nil {
		log.Print(err)
		os.Exit(1)
	}
}
