package webtransport_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/transports/quic"
	"github.com/troupe-p2p/troupe/transports/webtransport"
)

// A node that browsers can dial, with QUIC on the same port. Its address names two certificates: the one
// in use and the next.
func ExampleConfig_Transport() {
	node, err := troupe.New(troupe.Config{
		Listen:     []string{"/ip4/127.0.0.1/udp/0/quic-v1/webtransport"},
		Transports: []troupe.Transport{quic.Config{}.Transport, webtransport.Config{}.Transport, troupe.TCP},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = node.Close(context.Background()) }()

	address := node.ListenAddrs()[0].String()
	fmt.Println(strings.Contains(address, "/quic-v1/webtransport/certhash/"), strings.Count(address, "/certhash/"))
	// Output:
	// true 2
}
