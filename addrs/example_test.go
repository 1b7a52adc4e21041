package addrs_test

import (
	"fmt"
	"net/netip"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/troupe-p2p/troupe/addrs"
)

// A user gets one line that says what is wrong, and what was probably meant.
func ExampleParseString() {
	for _, s := range []string{"127.0.0.1:4001", "/ip4/127.0.0.1/tcp/99999", "/ip4/127.0.0.1/tcp/4001"} {
		a, err := addrs.ParseString(s)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(a, addrs.Transport(a), addrs.ScopeOf(a))
	}
	// Output:
	// malformed multiaddr: "127.0.0.1:4001": it must begin with a slash: write /ip4/127.0.0.1/tcp/4001
	// malformed multiaddr: "/ip4/127.0.0.1/tcp/99999": "99999" is not a port (0 to 65535)
	// /ip4/127.0.0.1/tcp/4001 tcp loopback
}

// What a node tells of itself depends on who listens.
func ExampleAnnouncement_Advertised() {
	listen, _ := addrs.ParseString("/ip4/0.0.0.0/tcp/4001")
	name, _ := addrs.ParseString("/dns4/me.example/tcp/4001")
	own := addrs.Announcement{
		Listen:     []ma.Multiaddr{listen},
		Interfaces: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.168.1.5")},
		Announce:   []ma.Multiaddr{name},
	}
	fmt.Println("public:  ", own.Advertised(addrs.Public))
	fmt.Println("loopback:", own.Advertised(addrs.Loopback))
	// Output:
	// public:   [/dns4/me.example/tcp/4001 /ip4/192.168.1.5/tcp/4001]
	// loopback: [/dns4/me.example/tcp/4001 /ip4/127.0.0.1/tcp/4001 /ip4/192.168.1.5/tcp/4001]
}

// All transports that share a socket have one thin waist.
func ExampleThinWaist() {
	quic, _ := addrs.ParseString("/ip4/203.0.113.7/udp/4001/quic-v1")
	webtransport, _ := addrs.ParseString("/ip4/203.0.113.7/udp/4001/quic-v1/webtransport")
	a, _ := addrs.ThinWaist(quic)
	b, _ := addrs.ThinWaist(webtransport)
	fmt.Println(a, a == b)
	// Output: /ip4/203.0.113.7/udp/4001 true
}
