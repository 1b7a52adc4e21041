// Command gopeer is a go-libp2p node that does what a test tells it, line by line; the language
// is package control's, most commands are package drive's. It is the foreign peer that Troupe is measured against, so it uses
// nothing of Troupe but the names of the test protocols.
package main

import (
	"flag"
	"log"
	"strings"

	"github.com/troupe-p2p/troupe/interop/drive"
)

func main() {
	log.SetFlags(log.Lmicroseconds)
	log.SetPrefix("gopeer: ")
	var cfg hostConfig
	listen := flag.String("listen", "", "comma-separated multiaddrs to listen on; none by default")
	flag.StringVar(&cfg.Security, "security", "both", "noise, tls or both")
	flag.StringVar(&cfg.Key, "key", "ed25519", "ed25519, secp256k1, ecdsa or rsa")
	flag.BoolVar(&cfg.NoEarly, "no-early", false, "agree on the muxer by multistream, not inside the handshake")
	flag.StringVar(&cfg.Cert, "cert", "", "file with a certificate and its key, to show and to trust over /tls/ws")
	flag.StringVar(&cfg.PSK, "psk", "", "file with the pre-shared key of a private network")
	flag.IntVar(&cfg.RTC, "webrtc", 1, "version of WebRTC-direct to dial with: 1 or 2")
	flag.Parse()
	if *listen != "" {
		cfg.Listen = strings.Split(*listen, ",")
	}
	if err := run(cfg); err != nil {
		log.Fatal(err)
	}
}

func run(cfg hostConfig) error {
	p, err := newPeer(cfg)
	if err != nil {
		return err
	}
	return drive.Run(p)
}
