package addrs

import (
	"net/netip"
	"slices"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
)

func ips(all ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range all {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

var machine = ips("127.0.0.1", "192.168.1.5", "8.8.4.4", "::1", "2a00::5", "fe80::5%eth0", "fd00::5", "::ffff:192.168.1.5", "0.0.0.0")

func TestUnspecifiedBecomesEachInterfaceOfItsFamily(t *testing.T) {
	for _, c := range []struct {
		listen []string
		want   []string
	}{
		{[]string{"/ip4/0.0.0.0/tcp/1"}, []string{"/ip4/127.0.0.1/tcp/1", "/ip4/192.168.1.5/tcp/1", "/ip4/8.8.4.4/tcp/1"}},
		{[]string{"/ip6/::/udp/2/quic-v1"}, []string{"/ip6/::1/udp/2/quic-v1", "/ip6/2a00::5/udp/2/quic-v1", "/ip6/fd00::5/udp/2/quic-v1"}},
		{[]string{"/ip4/192.168.1.5/tcp/1", "/memory/3", "/dns4/a.example/tcp/1"}, []string{"/ip4/192.168.1.5/tcp/1", "/memory/3", "/dns4/a.example/tcp/1"}},
		{[]string{"/ip4/8.8.4.4/tcp/1", "/ip4/0.0.0.0/tcp/1"}, []string{"/ip4/8.8.4.4/tcp/1", "/ip4/127.0.0.1/tcp/1", "/ip4/192.168.1.5/tcp/1"}},
		{[]string{"/ip4/0.0.0.0/tcp/1/ws", "/ip4/0.0.0.0/tcp/1/ws"}, []string{"/ip4/127.0.0.1/tcp/1/ws", "/ip4/192.168.1.5/tcp/1/ws", "/ip4/8.8.4.4/tcp/1/ws"}},
		{nil, nil},
	} {
		if got := text(ExpandUnspecified(addrList(t, c.listen...), machine)); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.listen, got, c.want)
		}
	}
	if got := ExpandUnspecified(addrList(t, "/ip4/0.0.0.0/tcp/1"), nil); len(got) != 0 {
		t.Errorf("without interfaces: %v", got)
	}
}

func TestAdvertisedToWhom(t *testing.T) {
	n := Announcement{
		Listen:     addrList(t, "/ip4/0.0.0.0/tcp/1", "/ip6/::/tcp/1", "/memory/3", "/ip6zone/eth0/ip6/fe80::5/tcp/1"),
		Interfaces: machine,
		Announce:   addrList(t, "/dns4/me.example/tcp/443/wss", "/ip4/8.8.4.4/tcp/1", "/ip4/127.0.0.1/tcp/9/p2p/"+peerA, "/p2p/"+peerA),
		NoAnnounce: addrList(t, "/ip4/192.168.0.0/ipcidr/16"),
	}
	public := []string{"/dns4/me.example/tcp/443/wss", "/ip4/8.8.4.4/tcp/1", "/ip6/2a00::5/tcp/1", "/ip6/fd00::5/tcp/1"}
	private := append(slices.Clone(public), "/ip6zone/eth0/ip6/fe80::5/tcp/1")
	local := []string{"/dns4/me.example/tcp/443/wss", "/ip4/8.8.4.4/tcp/1", "/ip4/127.0.0.1/tcp/9", "/ip4/127.0.0.1/tcp/1",
		"/ip6/::1/tcp/1", "/ip6/2a00::5/tcp/1", "/ip6/fd00::5/tcp/1", "/ip6zone/eth0/ip6/fe80::5/tcp/1"}
	memory := slices.Insert(slices.Clone(local), 7, "/memory/3")
	for viewer, want := range map[Scope][]string{
		Public: public, Named: public, Unknown: public, Unspecified: public,
		Private: private, LinkLocal: private, Reserved: private,
		Loopback: local, InProcess: memory,
	} {
		if got := text(n.Advertised(viewer)); !slices.Equal(got, want) {
			t.Errorf("to %v:\n got %v\nwant %v", viewer, got, want)
		}
	}
}

func TestLoopbackIsNeverToldBeyondThisMachine(t *testing.T) {
	n := Announcement{
		Listen: addrList(t, "/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/1", "/ip4/127.9.9.9/udp/1/quic-v1", "/ip6/::ffff:127.0.0.1/tcp/1",
			"/unix/run/x", "/ip4/0.0.0.0/tcp/2", "/dns4/localhost/tcp/1", "/ip4/127.0.0.1/tcp/1/p2p/"+peerB+"/p2p-circuit"),
		Interfaces: ips("127.0.0.1"),
		Announce:   addrList(t, "/ip4/127.0.0.1/tcp/7", "/ip6/64:ff9b::7f00:1/tcp/1"),
	}
	for viewer := Unknown; viewer <= Reserved; viewer++ {
		got := n.Advertised(viewer)
		if viewer == Loopback || viewer == InProcess {
			if len(got) != 10 {
				t.Errorf("to %v: %v", viewer, got)
			}
		} else if len(got) != 0 {
			t.Errorf("to %v: %v", viewer, got)
		}
	}
}

func TestNoAnnounce(t *testing.T) {
	all := []string{"/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/2/ws", "/ip4/8.8.4.4/tcp/1", "/ip6/2a00::5/tcp/1"}
	for _, c := range []struct {
		no   string
		want []string
	}{
		{"/ip4/10.0.0.1", all[2:]},
		{"/ip4/10.0.0.1/tcp/2", []string{all[0], all[2], all[3]}},
		{"/ip4/10.0.0.1/tcp/2/ws", []string{all[0], all[2], all[3]}},
		{"/ip4/10.0.0.1/tcp/2/ws/p2p/" + peerA, all},
		{"/ip4/10.9.9.9/ipcidr/8", all[2:]},
		{"/ip4/0.0.0.0/ipcidr/0", all[3:]},
		{"/ip6/::/ipcidr/0", all[:3]},
		{"/ip4/10.0.0.1/ipcidr/33", all}, // no such block
		{"/tcp/1", all},
	} {
		n := Announcement{Listen: addrList(t, all[:2]...), Announce: addrList(t, all[2:]...), NoAnnounce: addrList(t, c.no)}
		got := text(n.Advertised(Public))
		slices.Sort(got)
		want := slices.Sorted(slices.Values(c.want))
		if !slices.Equal(got, want) {
			t.Errorf("without %s: %v, want %v", c.no, got, want)
		}
	}
}

func TestAdvertisedOfNothingIsNothing(t *testing.T) {
	if got := (Announcement{}).Advertised(Public); len(got) != 0 {
		t.Errorf("%v", got)
	}
	n := Announcement{Announce: []ma.Multiaddr{nil}, Listen: []ma.Multiaddr{nil}, NoAnnounce: []ma.Multiaddr{nil}, Interfaces: []netip.Addr{{}}}
	if got := n.Advertised(Public); len(got) != 0 {
		t.Errorf("nil addresses: %v", got)
	}
}

func TestHeardFromWhom(t *testing.T) {
	claimed := addrList(t, "/ip4/8.8.4.4/tcp/1", "/dns4/a.example/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip4/169.254.1.1/tcp/1",
		"/ip4/203.0.113.7/tcp/1", "/ip4/127.0.0.1/tcp/1", "/dns4/localhost/tcp/1", "/ip4/0.0.0.0/tcp/1", "/memory/3",
		"/ip4/127.0.0.1/tcp/1/p2p/"+peerB+"/p2p-circuit", "/p2p/"+peerB+"/p2p-circuit", "/ip6/::ffff:127.0.0.1/tcp/1")
	public := []string{"/ip4/8.8.4.4/tcp/1", "/dns4/a.example/tcp/1", "/p2p/" + peerB + "/p2p-circuit"}
	private := []string{"/ip4/8.8.4.4/tcp/1", "/dns4/a.example/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip4/169.254.1.1/tcp/1",
		"/ip4/203.0.113.7/tcp/1", "/p2p/" + peerB + "/p2p-circuit"}
	all := text(claimed)
	local := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == "/ip4/0.0.0.0/tcp/1" || s == "/memory/3" })
	memory := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == "/ip4/0.0.0.0/tcp/1" })
	for speaker, want := range map[Scope][]string{
		Public: public, Named: public, Unknown: public, Unspecified: public,
		Private: private, LinkLocal: private, Reserved: private, Loopback: local, InProcess: memory,
	} {
		if got := text(Heard(claimed, speaker)); !slices.Equal(got, want) {
			t.Errorf("from %v:\n got %v\nwant %v", speaker, got, want)
		}
	}
}

func TestUniqueKeepsTheFirstOfEach(t *testing.T) {
	in := addrList(t, "/ip4/1.2.3.4/tcp/1", "/ip4/1.2.3.4/tcp/2", "/ip4/1.2.3.4/tcp/1", "/ip4/1.2.3.4/tcp/1/ws")
	if got := text(Unique(in)); !slices.Equal(got, []string{"/ip4/1.2.3.4/tcp/1", "/ip4/1.2.3.4/tcp/2", "/ip4/1.2.3.4/tcp/1/ws"}) {
		t.Errorf("%v", got)
	}
	if got := text(in); len(got) != 4 || got[2] != "/ip4/1.2.3.4/tcp/1" {
		t.Errorf("the argument is now %v", got)
	}
}
