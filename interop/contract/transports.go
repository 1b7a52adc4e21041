package contract

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Transport is a row of the contract's table.
type Transport struct {
	Name string
	// listen is the multiaddr to listen on, %s the host's part of it.
	listen string
	// Standalone transports bring their own security and muxer: the environment names none.
	Standalone bool
}

// Transports are all that the official tests know, in the order of the matrix. A peer has some of
// them.
var Transports = []Transport{
	{Name: "tcp", listen: "%s/tcp/0"},
	{Name: "ws", listen: "%s/tcp/0/ws"},
	{Name: "wss", listen: "%s/tcp/0/tls/ws"},
	{Name: "quic-v1", listen: "%s/udp/0/quic-v1", Standalone: true},
	{Name: "webtransport", listen: "%s/udp/0/quic-v1/webtransport", Standalone: true},
	{Name: "webrtc-direct", listen: "%s/udp/0/webrtc-direct", Standalone: true},
	{Name: "webrtc", listen: "/webrtc", Standalone: true}, // behind a relay, which comes before it
}

// Securities and Muxers go with the transports that bring none. The official tests do not know
// plaintext; it is here because peers have it.
var (
	Securities = []string{"noise", "tls", "plaintext"}
	Muxers     = []string{"yamux", "mplex"}
)

// transport finds a row.
func transport(name string) (Transport, bool) {
	i := slices.IndexFunc(Transports, func(t Transport) bool { return t.Name == name })
	if i < 0 {
		return Transport{}, false
	}
	return Transports[i], true
}

// ListenAddr is the multiaddr that the listener binds.
func (p Params) ListenAddr() string {
	t, _ := transport(p.Transport)
	if !strings.Contains(t.listen, "%s") {
		return t.listen
	}
	return fmt.Sprintf(t.listen, hostPart(p.IP))
}

func hostPart(ip netip.Addr) string {
	if ip.Is4() {
		return "/ip4/" + ip.String()
	}
	return "/ip6/" + ip.String()
}
