// Command echotroupe is the smallest useful Troupe node, TCP with Noise and TLS and an echo: what
// it weighs, stripped, is what the library adds to a program.
package main

import (
	"context"
	"io"
	"log"

	"github.com/troupe-p2p/troupe"
)

func main() {
	s, err := troupe.New(troupe.Config{Listen: []string{"/ip4/0.0.0.0/tcp/0"}})
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
