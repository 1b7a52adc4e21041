package websocket_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/transports/websocket"
)

// A node that browsers can reach. With Config.CertFile and Config.KeyFile it can listen on /tls/ws as well.
func ExampleConfig_Transport() {
	node, err := troupe.New(troupe.Config{
		Listen:     []string{"/ip4/127.0.0.1/tcp/0/ws"},
		Transports: []troupe.Transport{troupe.TCP, websocket.Config{}.Transport},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = node.Close(context.Background()) }()

	fmt.Println(strings.HasSuffix(node.ListenAddrs()[0].String(), "/ws"))
	// Output:
	// true
}
