package main

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	libp2pwebrtc "github.com/libp2p/go-libp2p/p2p/transport/webrtc"
	"github.com/libp2p/go-libp2p/p2p/transport/websocket"
	libp2pwebtransport "github.com/libp2p/go-libp2p/p2p/transport/webtransport"
	"github.com/prometheus/client_golang/prometheus"
)

// hostConfig is what the flags say.
type hostConfig struct {
	Listen   []string
	Security string
	Key      string
	NoEarly  bool
	Cert     string
	PSK      string
	RTC      int // version of WebRTC-direct to dial with
}

// peerProgram is one foreign node and its test protocols.
type peerProgram struct {
	cfg     hostConfig
	host    host.Host
	metrics *prometheus.Registry
}

func newPeer(cfg hostConfig) (*peerProgram, error) {
	reg := prometheus.NewRegistry()
	h, err := newHost(cfg, libp2p.PrometheusRegisterer(reg))
	if err != nil {
		return nil, err
	}
	p := &peerProgram{cfg: cfg, host: h, metrics: reg}
	p.serve()
	return p, nil
}

// ID implements drive.Node.
func (p *peerProgram) ID() string { return p.host.ID().String() }

// Close implements drive.Node.
func (p *peerProgram) Close() { _ = p.host.Close() }

// Addrs implements drive.Node.
func (p *peerProgram) Addrs() []string {
	out := []string{}
	for _, a := range p.host.Addrs() {
		out = append(out, a.String()+"/p2p/"+p.host.ID().String())
	}
	return out
}

// newHost makes a node that refuses nothing: the limits under test are Troupe's, not its own.
func newHost(cfg hostConfig, extra ...libp2p.Option) (host.Host, error) {
	key, err := newKey(cfg.Key)
	if err != nil {
		return nil, err
	}
	security, err := securityOptions(cfg)
	if err != nil {
		return nil, err
	}
	ws, err := webSocketOptions(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.PSK != "" {
		file, err := os.Open(cfg.PSK)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		psk, err := pnet.DecodeV1PSK(file)
		if err != nil {
			return nil, err
		}
		extra = append(extra, libp2p.PrivateNetwork(psk))
	} else { // QUIC and WebRTC cannot keep a private network, and nor can what is over QUIC
		extra = append(extra, libp2p.Transport(libp2pquic.NewTransport), libp2p.Transport(libp2pwebtransport.New),
			libp2p.Transport(libp2pwebrtc.New, libp2pwebrtc.WithDialerVersion(max(cfg.RTC, 1))))
	}
	opts := append([]libp2p.Option{
		libp2p.Identity(key),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Transport(websocket.New, ws...),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.ConnectionManager(connmgr.NullConnMgr{}),
		libp2p.DisableRelay(),
		libp2p.UserAgent("gopeer/1"),
	}, security...)
	if len(cfg.Listen) == 0 {
		opts = append(opts, libp2p.NoListenAddrs)
	} else {
		opts = append(opts, libp2p.ListenAddrStrings(cfg.Listen...))
	}
	return libp2p.New(append(opts, extra...)...)
}

// webSocketOptions shows and trusts one certificate.
func webSocketOptions(cfg hostConfig) ([]any, error) {
	if cfg.Cert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(cfg.Cert, cfg.Cert)
	if err != nil {
		return nil, err
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(cert.Leaf)
	return []any{
		websocket.WithTLSConfig(&tls.Config{Certificates: []tls.Certificate{cert}}),
		websocket.WithTLSClientConfig(&tls.Config{RootCAs: trusted}),
	}, nil
}

// securityOptions offers the wanted protocols. A security transport that is told of no muxers
// cannot offer any inside its handshake: that is how the multistream fallback is forced.
func securityOptions(cfg hostConfig) ([]libp2p.Option, error) {
	noiseOpt := libp2p.Security(noise.ID, noise.New)
	tlsOpt := libp2p.Security(libp2ptls.ID, libp2ptls.New)
	if cfg.NoEarly {
		noiseOpt = libp2p.Security(noise.ID, func(id protocol.ID, key crypto.PrivKey) (*noise.Transport, error) {
			return noise.New(id, key, nil)
		})
		tlsOpt = libp2p.Security(libp2ptls.ID, func(id protocol.ID, key crypto.PrivKey) (*libp2ptls.Transport, error) {
			return libp2ptls.New(id, key, nil)
		})
	}
	switch cfg.Security {
	case "noise":
		return []libp2p.Option{noiseOpt}, nil
	case "tls":
		return []libp2p.Option{tlsOpt}, nil
	case "both":
		return []libp2p.Option{noiseOpt, tlsOpt}, nil
	}
	return nil, fmt.Errorf("unknown security %q: noise, tls or both", cfg.Security)
}

func newKey(name string) (crypto.PrivKey, error) {
	types := map[string]int{
		"ed25519": crypto.Ed25519, "secp256k1": crypto.Secp256k1, "ecdsa": crypto.ECDSA, "rsa": crypto.RSA,
	}
	t, ok := types[name]
	if !ok {
		return nil, fmt.Errorf("unknown key type %q: ed25519, secp256k1, ecdsa or rsa", name)
	}
	const rsaBits = 2048
	key, _, err := crypto.GenerateKeyPairWithReader(t, rsaBits, rand.Reader)
	return key, err
}
