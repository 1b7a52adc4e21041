package interop_test

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/harness"
)

// wantConn fails unless a connection is what the peers were started to agree on.
func wantConn(t *testing.T, why string, c *control.Conn, security string, early bool) {
	t.Helper()
	if c == nil {
		t.Fatalf("%s: no connection is left", why)
	}
	if c.Security != securityID[security] || c.Muxer != yamux || c.Early != early {
		t.Fatalf("%s: %s with %s, early muxer %v; want %s with %s, early muxer %v",
			why, c.Security, c.Muxer, c.Early, securityID[security], yamux, early)
	}
}

// pingsBack pings addr from p and checks the connection that carried it.
func pingsBack(t *testing.T, p *harness.Peer, addr, security string, early bool) {
	t.Helper()
	r := p.Must(t, "pings are answered", control.Request{Cmd: control.Ping, Addr: addr, Count: 3})
	if len(r.RTTs) != 3 {
		t.Fatalf("%d of 3 pings came back", len(r.RTTs))
	}
	wantConn(t, "the pings' connection", r.Conn, security, early)
}

// subject is who is asked to identify itself.
type subject struct {
	id, addr, key, agent string
	protocols            []string
}

// agents are what each kind of peer says that it is, up to its version.
var agents = map[string]string{"go": "gopeer/", "js": "jspeer/", "troupe": "troupe/"}

// identifies lets p ask who is at addr.
func identifies(t *testing.T, p *harness.Peer, want subject) {
	t.Helper()
	r := p.Must(t, "identify is answered", control.Request{Cmd: control.Identify, Addr: want.addr})
	id := r.Identify
	if id.Peer != want.id {
		t.Errorf("identified as %s, want %s", id.Peer, want.id)
	}
	if id.KeyType != want.key {
		t.Errorf("key type %s, want %s", id.KeyType, want.key)
	}
	if !strings.HasPrefix(id.AgentVersion, want.agent) {
		t.Errorf("agent version %q, want %q at its beginning", id.AgentVersion, want.agent)
	}
	for _, proto := range append([]string{identify, idPush, pingProto}, want.protocols...) {
		if !slices.Contains(id.Protocols, proto) {
			t.Errorf("%s is not among the protocols %q", proto, id.Protocols)
		}
	}
	listen, _, _ := strings.Cut(want.addr, "/p2p/")
	elsewhere := notLoopback(t, id.ObservedAddr)
	if elsewhere == "" && !slices.ContainsFunc(id.ListenAddrs, func(a string) bool { return strings.HasPrefix(a, listen) }) {
		t.Errorf("%s is not among the addresses %q", listen, id.ListenAddrs)
	}
	if !id.SignedRecord {
		t.Error("no signed peer record of the peer itself")
	}
	if p.Kind == "troupe" {
		return // what peers observe is for the node itself, until enough of them agree
	}
	// js-libp2p does not show its own end of a connection.
	// go-libp2p writes the ends of a secure WebSocket the short way and listens the long way. Its end
	// of a QUIC connection is its socket, which is bound to all addresses.
	local := strings.NewReplacer("/wss", "/tls/ws", "/0.0.0.0/", "/127.0.0.1/").Replace(r.Conn.Local)
	if local != "" && !strings.HasPrefix(id.ObservedAddr, local) {
		t.Errorf("it observed us at %q, we are at %q", id.ObservedAddr, local)
	}
	kind := "tcp"
	if strings.Contains(want.addr, "/udp/") {
		kind = "udp"
	}
	if !strings.HasPrefix(id.ObservedAddr, "/ip4/127.0.0.1/"+kind+"/") && elsewhere == "" {
		t.Errorf("observed address %q is not ours", id.ObservedAddr)
	}
}

// notLoopback is the address of this machine from which a node was dialled over WebRTC, if that is none of
// loopback's: ICE, at the dialler's end, takes which of its addresses it likes. A node tells nobody its
// loopback addresses who does not come from one.
func notLoopback(t *testing.T, observed string) string {
	t.Helper()
	if !strings.HasSuffix(observed, "/webrtc-direct") || strings.HasPrefix(observed, "/ip4/127.0.0.1/") {
		return ""
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok && strings.HasPrefix(observed, "/ip4/"+ip.IP.String()+"/") {
			return ip.IP.String()
		}
	}
	return ""
}

// bulk is how hard exercise works.
type bulk struct {
	bytes    int64 // echoed in total
	streams  int   // in parallel
	sequence int   // streams one after another
	timeout  time.Duration
}

var (
	light = bulk{bytes: 4 << 20, streams: 4, sequence: 50, timeout: 30 * time.Second}
	heavy = bulk{bytes: 64 << 20, streams: 16, sequence: 1000, timeout: 120 * time.Second}
)

// exercise runs everything that an echo protocol can show, from p against addr.
func exercise(t *testing.T, p *harness.Peer, addr string, b bulk) {
	t.Helper()
	r := p.MustWithin(t, b.timeout, "every byte is echoed on parallel streams",
		control.Request{Cmd: control.Echo, Addr: addr, Bytes: b.bytes, Streams: b.streams})
	if r.Transfer.Bytes != b.bytes {
		t.Errorf("%d bytes were echoed, want %d", r.Transfer.Bytes, b.bytes)
	}
	// Less than the first window, so that all of it can be sent before any of it is read.
	const fitsTheWindow = 128 << 10
	p.Must(t, "the answer comes in full after our half is closed",
		control.Request{Cmd: control.HalfClose, Addr: addr, Bytes: fitsTheWindow})
	p.Must(t, "a reset stream harms no other",
		control.Request{Cmd: control.Reset, Addr: addr, Code: 7})
	r = p.MustWithin(t, b.timeout, "streams in sequence",
		control.Request{Cmd: control.Sequence, Addr: addr, Count: b.sequence, Bytes: 100})
	if r.Conn.Count != 1 {
		t.Errorf("%d connections at the end, want the one that was there from the beginning", r.Conn.Count)
	}
}
