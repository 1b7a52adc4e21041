package webrtc_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/transports/webrtc"
)

// A node that browsers can reach, with an address that is the same after a restart.
func ExampleConfig_Transport() {
	node, err := troupe.New(troupe.Config{
		Listen:     []string{"/ip4/127.0.0.1/udp/0/webrtc-direct"},
		Transports: []troupe.Transport{webrtc.Config{}.Transport, troupe.TCP},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = node.Close(context.Background()) }()

	fmt.Println(strings.Contains(node.ListenAddrs()[0].String(), "/webrtc-direct/certhash/"))
	// Output:
	// true
}
