package simnet

import (
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestHostsGetAddressesInOrder(t *testing.T) {
	w := newWorld(t, 1)
	nat, wall := &NAT{}, &NAT{Firewall: true}
	for _, c := range []struct {
		name string
		o    HostOptions
		want string
		ext  string
	}{
		{"a", HostOptions{}, "1.0.0.1", ""},
		{"x1", HostOptions{NAT: nat}, "10.0.0.2", "1.0.0.2"},
		{"x2", HostOptions{NAT: nat}, "10.0.0.3", "1.0.0.2"},
		{"b", HostOptions{Addrs: []netip.Addr{ip("1.0.0.3"), ip("::ffff:1.0.0.4"), ip("2001:db8::1")}}, "1.0.0.3 1.0.0.4 2001:db8::1", ""},
		{"c", HostOptions{}, "1.0.0.5", ""},
		{"f", HostOptions{NAT: wall}, "1.0.0.6", ""},
		{"x3", HostOptions{NAT: &NAT{External: ip("5.5.5.5")}}, "10.2.0.2", "5.5.5.5"},
		{"lab", HostOptions{Addrs: []netip.Addr{ip("192.168.7.7")}}, "192.168.7.7", ""},
	} {
		h := w.host(c.name, c.o)
		var got []string
		for _, a := range h.Addrs() {
			got = append(got, a.String())
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s, want %s", c.name, s, c.want)
		}
		if a, ok := h.External(); ok != (c.ext != "") || ok && a.String() != c.ext {
			t.Errorf("%s: external %s", c.name, a)
		}
		if w.n.HostByName(c.name) != h || h.Name() != c.name || !h.Up() {
			t.Errorf("%s is not found", c.name)
		}
	}
	if len(w.n.Hosts()) != 8 || w.n.HostByName("nobody") != nil {
		t.Error("hosts are not listed")
	}
}

func TestHostsThatCannotBeAreRefused(t *testing.T) {
	w := newWorld(t, 1)
	nat := &NAT{}
	w.host("a", HostOptions{})
	w.host("x", HostOptions{NAT: nat, Addrs: []netip.Addr{ip("192.168.0.2")}})
	at := func(s string) HostOptions { return HostOptions{Addrs: []netip.Addr{ip(s)}} }
	for _, c := range []struct {
		name string
		o    HostOptions
		want string
	}{
		{"", HostOptions{}, "without a name"},
		{"a", HostOptions{}, "already"},
		{"b", at("1.0.0.1"), "taken"},
		{"b", at("1.0.0.2"), "taken"}, // the NAT's
		{"b", HostOptions{Addrs: []netip.Addr{ip("7.7.7.7"), ip("7.7.7.7")}}, "taken"},
		{"b", at("127.0.0.1"), "no address for a host"},
		{"b", at("0.0.0.0"), "no address for a host"},
		{"b", at("224.0.0.1"), "no address for a host"},
		{"b", at("fe80::1%eth0"), "no address for a host"},
		{"b", HostOptions{Addrs: make([]netip.Addr, 1)}, "no address for a host"},
		{"b", HostOptions{NAT: nat, Addrs: []netip.Addr{ip("8.8.8.8")}}, "not private"},
		{"b", HostOptions{NAT: nat, Addrs: []netip.Addr{ip("192.168.0.2")}}, "taken"},
		{"b", HostOptions{NAT: &NAT{Mapping: 9}}, "mapping 9"},
		{"b", HostOptions{NAT: &NAT{Filtering: 9}}, "filtering 9"},
		{"b", HostOptions{NAT: &NAT{Lifetime: -1}}, "lifetime"},
		{"b", HostOptions{NAT: &NAT{Firewall: true, Hairpin: true}}, "does not translate"},
		{"b", HostOptions{NAT: &NAT{External: ip("2001:db8::1")}}, "want IPv4"},
		{"b", HostOptions{NAT: &NAT{External: ip("1.0.0.1")}}, "taken"},
		{"b", HostOptions{NAT: &NAT{Firewall: true}, Addrs: []netip.Addr{ip("1.0.0.1")}}, "taken"},
	} {
		_, err := w.n.Host(c.name, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %+v: %v, want %q", c.name, c.o, err, c.want)
		}
	}
	if len(w.n.Hosts()) != 2 || len(w.n.gateways) != 1 {
		t.Error("a refused host is there")
	}
}

func TestListening(t *testing.T) {
	w := newWorld(t, 1)
	h := w.host("a", HostOptions{Addrs: []netip.Addr{ip("1.1.1.1"), ip("2.2.2.2"), ip("2001:db8::1")}})
	other := w.host("b", HostOptions{})
	tr := h.Transport(nil, TransportConfig{})
	listen := func(at string) error {
		_, err := tr.Listen(ma.StringCast(at), &acceptor{w: w})
		return err
	}
	for _, c := range []struct {
		at   string
		want error
	}{
		{"/ip4/1.1.1.1/tcp/1", nil},
		{"/ip4/1.1.1.1/tcp/1", syscall.EADDRINUSE},
		{"/ip4/0.0.0.0/tcp/1", syscall.EADDRINUSE},
		{"/ip4/2.2.2.2/tcp/1", nil},
		{"/ip4/127.0.0.1/tcp/1", nil},
		{"/ip6/::/tcp/1", nil},
		{"/ip6/2001:db8::1/tcp/1", syscall.EADDRINUSE},
		{"/ip4/0.0.0.0/tcp/2", nil},
		{"/ip4/2.2.2.2/tcp/2", syscall.EADDRINUSE},
		{"/ip4/0.0.0.0/tcp/0", nil},
		{"/ip4/9.9.9.9/tcp/1", syscall.EADDRNOTAVAIL},
		{"/ip4/1.0.0.1/tcp/1", syscall.EADDRNOTAVAIL},
		{"/dns4/a/tcp/1", ErrAddress},
	} {
		err := listen(c.at)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.at, err, c.want)
		}
		var te *Error
		if err != nil && (!errors.As(err, &te) || te.Origin.String() != "local" || te.Transport != "tcp") {
			t.Errorf("%s: whose fault? %v", c.at, err)
		}
	}
	from := other.Transport(nil, TransportConfig{})
	for at, want := range map[string]error{
		"/ip4/1.1.1.1/tcp/1":     nil,
		"/ip4/2.2.2.2/tcp/2":     nil,
		"/ip4/1.1.1.1/tcp/3":     syscall.ECONNREFUSED,
		"/ip4/9.9.9.9/tcp/1":     ErrNoHost,
		"/ip4/10.0.0.2/tcp/1":    ErrNoHost,
		"/ip4/127.0.0.1/tcp/1":   syscall.ECONNREFUSED, // its own
		"/ip4/0.0.0.0/tcp/1":     syscall.ECONNREFUSED,
		"/ip6/::/tcp/1":          syscall.ECONNREFUSED,
		"/ip6/2001:db8::1/tcp/1": syscall.ENETUNREACH, // it has no IPv6
		"/ip4/1.1.1.1/udp/1":     ErrAddress,
	} {
		err := w.outcome(from, ma.StringCast(at))
		if !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("dial %s: %v, want %v", at, err, want)
		}
	}
	w.s.settle(t)
}

func TestAClosedListenerResetsWhoWaits(t *testing.T) {
	w := newWorld(t, 1)
	w.link(Link{Latency: 10 * time.Millisecond})
	h := w.hosts("a", "b")
	acc := w.listen(h[1], "/ip4/0.0.0.0/tcp/1")
	d := w.dial(h[0].Transport(nil, TransportConfig{}), addrOf(h[1], 1))
	w.s.run(20 * time.Millisecond) // the dialler has its stream, the listener does not know
	_, _ = acc.l.Close(), acc.l.Close()
	w.s.run(time.Second)
	if len(d.ended) != 1 || !errors.Is(d.ended[0], syscall.ECONNRESET) || len(acc.ends) > 0 {
		t.Errorf("ended %v, %d accepted", d.ended, len(acc.ends))
	}
	w.over(d.end)
}

// A panic of whoever accepts costs the listener and the stream, and is its owner's news.
func TestAPanicGoesToItsOwner(t *testing.T) {
	w := newWorld(t, 1)
	h := w.hosts("a", "b")
	bug := &bugged{acceptor: acceptor{w: w}}
	if _, err := h[1].Transport(nil, TransportConfig{}).Listen(ma.StringCast("/ip4/0.0.0.0/tcp/1"), bug); err != nil {
		t.Fatal(err)
	}
	d := w.dial(h[0].Transport(nil, TransportConfig{}), addrOf(h[1], 1))
	w.s.run(time.Second)
	if len(bug.failed) != 1 || !strings.Contains(bug.failed[0].Error(), "a bug") {
		t.Errorf("failed %v", bug.failed)
	}
	if len(d.ended) != 1 {
		t.Errorf("the dialler: %v", d.ended)
	}
	w.wantIs("the next dial", w.outcome(h[0].Transport(nil, TransportConfig{}), addrOf(h[1], 1)), syscall.ECONNREFUSED)
	w.over(d.end)
}

type bugged struct{ acceptor }

func (b *bugged) Accepted(conduit.Conduit) { panic("a bug") }

// A flood of dials fills the backlog: the rest is lost, asks again, and gets in.
func TestABacklogThatIsFullLosesSyns(t *testing.T) {
	w := newWorld(t, 1)
	w.link(Link{Latency: 100 * time.Millisecond})
	h := w.hosts("a", "b")
	acc := w.listen(h[1], "/ip4/0.0.0.0/tcp/1")
	tr := h[0].Transport(nil, TransportConfig{})
	var dials []*dialled
	for range maxAccept + 10 {
		dials = append(dials, w.dial(tr, addrOf(h[1], 1)))
	}
	w.s.run(250 * time.Millisecond)
	in := 0
	for _, d := range dials {
		in += d.done
	}
	if in != maxAccept {
		t.Errorf("%d of %d got in at first", in, len(dials))
	}
	w.s.run(10 * time.Second)
	ends := acc.ends
	for _, d := range dials {
		if d.err != nil {
			t.Fatal(d.err)
		}
		ends = append(ends, d.end)
	}
	w.over(ends...)
}
