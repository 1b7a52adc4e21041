// Command echotroupe is the smallest useful Troupe node, TCP with Noise and TLS and an echo: what
// it weighs, stripped, is what the library adds to a program. The tag quic adds QUIC.
package main

import (
	"context"
	"io"
	"log"

	"github.com/troupe-p2p/troupe"
)

// config is widened by the tag quic.
var config = troupe.Config{Listen: []string{"/ip4/0.0.0.0/tcp/0"}}

func main() {
	s, err := troupe.New(config)
	if err != nil {
		log.Fatal(err)
	}
	err = s.Handle("/echo/1", troupe.StreamHandler(func(_ context.Context, st *troupe.Stream) {
		_, _ = io.Copy(st, st)
	}))
	if err != nil {
		log.Fatal(err)
	}
	log.Print(s.ID(), " ", s.ListenAddrs())
	select {}
}
