package addrs

import (
	"encoding/binary"
	"slices"

	ma "github.com/multiformats/go-multiaddr"
)

// transports are the forms behind the host, without the peer. Certificate hashes may follow where
// certs is set, and a path where path is.
var transports = []struct {
	name        string
	codes       []int
	certs, path bool
}{
	{name: "tcp", codes: []int{ma.P_TCP}},
	{name: "ws", codes: []int{ma.P_TCP, ma.P_WS}, path: true},
	{name: "wss", codes: []int{ma.P_TCP, ma.P_WSS}, path: true},
	{name: "wss", codes: []int{ma.P_TCP, ma.P_TLS, ma.P_WS}, path: true},
	{name: "wss", codes: []int{ma.P_TCP, ma.P_TLS, ma.P_SNI, ma.P_WS}, path: true},
	{name: "quic-v1", codes: []int{ma.P_UDP, ma.P_QUIC_V1}},
	{name: "quic", codes: []int{ma.P_UDP, ma.P_QUIC}},
	{name: "webtransport", codes: []int{ma.P_UDP, ma.P_QUIC_V1, ma.P_WEBTRANSPORT}, certs: true},
	{name: "webrtc-direct", codes: []int{ma.P_UDP, ma.P_WEBRTC_DIRECT}, certs: true},
}

// Transport is the name of the transport that can dial a, or "": "tcp", "ws", "wss", "quic-v1",
// "quic" (draft 29), "webtransport", "webrtc-direct", "webrtc", "p2p-circuit", "memory", "unix". The
// whole address has to be of that form, so that nobody dials past a component it does not know.
func Transport(a ma.Multiaddr) string {
	if n := len(a); n > 0 && a[n-1].Code() == ma.P_P2P {
		a = a[:n-1]
	}
	for i := len(a) - 1; i >= 0; i-- {
		if a[i].Code() != ma.P_CIRCUIT {
			continue
		}
		switch rest := a[i+1:]; {
		case len(rest) == 0:
			return "p2p-circuit"
		case len(rest) == 1 && rest[0].Code() == ma.P_WEBRTC:
			return "webrtc"
		}
		return ""
	}
	if len(a) == 1 {
		switch a[0].Code() {
		case ma.P_MEMORY:
			return "memory"
		case ma.P_UNIX:
			return "unix"
		}
	}
	h := host(a)
	if h < 0 || a[h].Code() == ma.P_DNSADDR {
		return ""
	}
	rest := make([]int, 0, 8)
	for _, c := range a[h+1:] {
		rest = append(rest, c.Code())
	}
	for _, t := range transports {
		if len(rest) < len(t.codes) || !slices.Equal(rest[:len(t.codes)], t.codes) {
			continue
		}
		tail := rest[len(t.codes):]
		for t.certs && len(tail) > 0 && tail[0] == ma.P_CERTHASH {
			tail = tail[1:]
		}
		if t.path && len(tail) == 1 && tail[0] == ma.P_HTTP_PATH {
			tail = nil
		}
		if len(tail) == 0 {
			return t.name
		}
	}
	return ""
}

// Memory is the address of port n of the memory transport.
func Memory(n uint64) ma.Multiaddr {
	a, err := ma.NewMultiaddrBytes(binary.BigEndian.AppendUint64(ma.CodeToVarint(ma.P_MEMORY), n))
	if err != nil {
		panic("addrs: eight bytes are not a memory address: " + err.Error())
	}
	return a
}

// MemoryPort is n of a memory address, with or without a peer.
func MemoryPort(a ma.Multiaddr) (uint64, bool) {
	if Transport(a) != "memory" {
		return 0, false
	}
	return binary.BigEndian.Uint64(a[0].RawValue()), true
}
