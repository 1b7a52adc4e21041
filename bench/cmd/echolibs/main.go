// Command echolibs links what a Troupe node over TCP with Noise and TLS is built on, and nothing of
// Troupe: what it weighs, stripped, is the least that such a node can weigh.
package main

import (
	"crypto/tls"
	"log"
	"net"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/flynn/noise"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func main() {
	logger, err := zap.NewProduction()
	if err != nil {
		log.Fatal(err)
	}
	system := actor.NewActorSystem()
	pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) { logger.Info("received", zap.Any("message", c.Message())) }))
	addr, err := ma.NewMultiaddr("/ip4/0.0.0.0/tcp/0")
	if err != nil {
		log.Fatal(err)
	}
	suite := noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashSHA256)
	handshake, err := noise.NewHandshakeState(noise.Config{CipherSuite: suite, Pattern: noise.HandshakeXX})
	if err != nil {
		log.Fatal(err)
	}
	message, err := proto.Marshal(timestamppb.Now())
	if err != nil {
		log.Fatal(err)
	}
	message, _, _, err = handshake.WriteMessage(nil, message)
	if err != nil {
		log.Fatal(err)
	}
	system.Root.Send(pid, addr.String()+string(message))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer func() { _ = c.Close() }()
			s := tls.Server(c, &tls.Config{MinVersion: tls.VersionTLS13})
			logger.Info("handshake", zap.Error(s.Handshake()))
		}()
	}
}
