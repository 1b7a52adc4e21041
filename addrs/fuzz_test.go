package addrs

import (
	"net/netip"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
)

// askEverything calls every function on an address of a stranger: none may panic, and answers have to
// agree with each other.
func askEverything(t *testing.T, a ma.Multiaddr) {
	t.Helper()
	ip, hasIP := IP(a)
	w, hasWaist := ThinWaist(a)
	_, hasPort := Port(a)
	name, hasName := Name(a)
	if hasIP && hasName || hasWaist != (hasIP && hasPort) || hasWaist && w.Addr.Addr() != ip {
		t.Fatalf("%v: IP %v, name %q, waist %v", a, ip, name, w)
	}
	if hasName && !HasDNS(a) || hasIP && ScopeOf(a) != ScopeOfIP(ip) {
		t.Fatalf("%v: DNS %v, scope %v", a, HasDNS(a), ScopeOf(a))
	}
	if hasIP && !LimitPrefix(ip).Contains(ip.WithZone("")) {
		t.Fatalf("%v: prefix %v", a, LimitPrefix(ip))
	}
	if kind := Transport(a); (kind == "p2p-circuit" || kind == "webrtc") && !IsRelayed(a) {
		t.Fatalf("%v: transport %q", a, kind)
	}
	rest, id, err := SplitPeer(a)
	if err != nil {
		t.Fatalf("%v was accepted with a peer that no key has: %v", a, err)
	}
	_, another, _ := SplitPeer(rest) // two peers in a row are nothing that could be dialled
	if another != "" && Transport(a) != "" {
		t.Fatalf("%v: transport %q", a, Transport(a))
	}
	if id != "" && another == "" && !WithPeer(rest, id).Equal(a) {
		t.Fatalf("%v: split and joined to %v", a, WithPeer(rest, id))
	}
	if relay, rest, ok := SplitCircuit(a); ok && len(relay)+1+len(rest) != len(a) || !ok && !relay.Equal(a) {
		t.Fatalf("%v: circuit %v and %v", a, relay, rest)
	}
	list := []ma.Multiaddr{a}
	n := Announcement{Listen: list, Announce: list, NoAnnounce: []ma.Multiaddr{nil}, Interfaces: []netip.Addr{netip.IPv6Loopback(), {}}}
	for viewer := Unknown; viewer <= Reserved; viewer++ {
		for _, out := range append(n.Advertised(viewer), Heard(list, viewer)...) {
			if s := ScopeOf(out); s == Unspecified || s == Loopback && viewer != Loopback && viewer != InProcess {
				t.Fatalf("%v: %v was told to or believed from %v", a, out, viewer)
			}
		}
	}
	n.NoAnnounce = list
	if rest != nil && id == "" {
		for _, out := range n.Advertised(InProcess) {
			if out.Equal(a) {
				t.Fatalf("%v is in NoAnnounce and advertised", a)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range everything {
		f.Add(addr(f, c.addr).Bytes())
	}
	f.Add([]byte{0xbc, 0x03, 1, 2, 3}) // an onion cut short
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := Parse(b)
		if err != nil {
			return
		}
		if s := a.String(); s == "" || strings.ContainsAny(s, "\n\r\x1b\x00") {
			t.Fatalf("%x prints as %q", b, s)
		}
		askEverything(t, a)
	})
}

func FuzzParseString(f *testing.F) {
	for _, c := range everything {
		f.Add(c.addr)
	}
	f.Add("127.0.0.1:80")
	f.Add("\x00:0") // was repeated in a suggestion
	f.Add("/p2p/" + peerB + "/p2p/" + peerA)
	f.Add("/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyy=:1234")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseString(s)
		if (err == nil) == (len(a) == 0) {
			t.Fatalf("%q: %v, %v", s, a, err)
		}
		if err != nil {
			if msg := err.Error(); strings.ContainsAny(msg, "\n\r\x1b\x00") {
				t.Fatalf("%q: the error is not one line: %q", s, msg)
			}
			return
		}
		if back, err := Parse(a.Bytes()); err != nil || !back.Equal(a) {
			t.Fatalf("%q: the bytes read as %v, %v", s, back, err)
		}
		askEverything(t, a)
	})
}
