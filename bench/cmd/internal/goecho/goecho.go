// Package goecho is what the go-libp2p programs that are weighed do with their host.
package goecho

import (
	"io"
	"log"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
)

// Run takes what made the host, and never returns.
func Run(h host.Host, err error) {
	if err != nil {
		log.Fatal(err)
	}
	h.SetStreamHandler("/echo/1", func(s network.Stream) {
		_, _ = io.Copy(s, s)
		_ = s.Close()
	})
	log.Print(h.ID(), " ", h.Addrs())
	select {}
}
