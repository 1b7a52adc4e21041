//go:build quic

package main

import (
	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/transports/quic"
)

func init() {
	config.Listen = append(config.Listen, "/ip4/0.0.0.0/udp/0/quic-v1")
	config.Transports = []troupe.Transport{troupe.TCP, quic.Config{}.Transport}
}
