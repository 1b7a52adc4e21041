// Command hello is the program of the README: two nodes, one protocol, one answer.
package main

import (
	"context"
	"fmt"
	"io"
	"log"

	"github.com/troupe-p2p/troupe"
)

func main() {
	server, err := troupe.New(troupe.Config{Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		log.Fatal(err)
	}
	err = server.Handle("/hello/1.0.0", troupe.StreamHandler(func(_ context.Context, s *troupe.Stream) {
		name, _ := io.ReadAll(io.LimitReader(s, 100))
		fmt.Fprintf(s, "hello %s, I am %s", name, server.ID().Short())
	}))
	if err != nil {
		log.Fatal(err)
	}
	client, err := troupe.New(troupe.Config{})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if _, err := client.Dial(ctx, server.ID(), server.ListenAddrs()...); err != nil {
		log.Fatal(err)
	}
	s, err := client.Open(ctx, server.ID(), "/hello/1.0.0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(s, "world")
	_ = s.CloseWrite()
	answer, err := io.ReadAll(s)
	log.Println(string(answer), err)
	_, _ = client.Close(ctx), server.Close(ctx)
}
