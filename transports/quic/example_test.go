package quic_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/transports/quic"
)

// A node that speaks QUIC beside TCP, with one identity.
func ExampleConfig_Transport() {
	node, err := troupe.New(troupe.Config{
		Listen:     []string{"/ip4/127.0.0.1/udp/0/quic-v1"},
		Transports: []troupe.Transport{quic.Config{}.Transport, troupe.TCP},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = node.Close(context.Background()) }()

	fmt.Println(strings.HasSuffix(node.ListenAddrs()[0].String(), "/quic-v1"))
	// Output:
	// true
}
