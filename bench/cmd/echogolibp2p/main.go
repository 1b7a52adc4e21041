// Command echogolibp2p is the counterpart of echotroupe on go-libp2p, by its constructor and with the same
// transport, security and muxer. The tag quic adds QUIC.
package main

import (
	"github.com/troupe-p2p/troupe/bench/cmd/internal/goecho"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

// options are widened by the tag quic.
var options = []libp2p.Option{
	libp2p.ListenAddrStrings("/ip4/0.0.0.0/tcp/0"),
	libp2p.Transport(tcp.NewTCPTransport),
	libp2p.Security(noise.ID, noise.New),
	libp2p.Security(libp2ptls.ID, libp2ptls.New),
	libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
}

func main() { goecho.Run(libp2p.New(options...)) }
