//go:build quic

package main

import (
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/quic-go/quic-go"
)

func init() {
	addQUIC = func(net *swarm.Swarm, key crypto.PrivKey) error {
		socks, err := quicreuse.NewConnManager(quic.StatelessResetKey{}, quic.TokenGeneratorKey{})
		if err != nil {
			return err
		}
		t, err := libp2pquic.NewTransport(key, socks, nil, nil, nil)
		if err != nil {
			return err
		}
		return net.AddTransport(t)
	}
}
