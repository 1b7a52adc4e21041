package contract

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	ma "github.com/multiformats/go-multiaddr"
)

// fake is a node without a network.
type fake struct {
	addrs  []string
	dialed string
	err    error
	closed bool
}

func (f *fake) Addrs() []string { return f.addrs }
func (f *fake) Close()          { f.closed = true }
func (f *fake) Ping(_ context.Context, addr string) (time.Duration, error) {
	f.dialed = addr
	return 0, f.err
}

func (f *fake) peer() Peer {
	return Peer{
		Name: "fake", Transports: []string{"tcp", "ws"}, Securities: []string{"noise"}, Muxers: []string{"yamux"},
		Start: func(context.Context, Params) (Node, error) { return f, nil },
	}
}

// about is the environment of a peer of either suite.
func about(d Dialect, dialer, redis, seconds string) []string {
	if d == UnifiedTesting {
		return []string{
			"TRANSPORT=tcp", "SECURE_CHANNEL=noise", "MUXER=yamux", "IS_DIALER=" + dialer, "REDIS_ADDR=" + redis, "TEST_KEY=deadbeef",
			"TEST_TIMEOUT_SECS=" + seconds, "LISTENER_IP=127.0.0.1",
		}
	}
	return []string{
		"transport=tcp", "security=noise", "muxer=yamux", "is_dialer=" + dialer, "redis_addr=" + redis, "test_timeout_seconds=" + seconds,
		"ip=127.0.0.1",
	}
}

const someone = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWSuB8zu4yDyzDHRaCmPs9SdKYSvrkHEqzLj8h4nYqUY8h"

func TestDialerPopsDialsAndReports(t *testing.T) {
	for d, key := range map[Dialect]string{TestPlans: "listenerAddr", UnifiedTesting: "deadbeef_listener_multiaddr"} {
		redis := miniredis.RunT(t)
		if _, err := redis.RPush(key, someone, "/ip4/192.0.2.1/tcp/1"); err != nil {
			t.Fatal(err)
		}
		var f fake
		var stdout bytes.Buffer
		if err := f.peer().Play(t.Context(), env(about(d, "true", redis.Addr(), "60")...), &stdout); err != nil {
			t.Fatalf("%s: %v", d, err)
		}
		if f.dialed != someone || !f.closed {
			t.Errorf("%s: dialled %q, closed %v", d, f.dialed, f.closed)
		}
		if _, err := ParseResult(d, stdout.String()); err != nil && !strings.Contains(err.Error(), "a handshake") {
			t.Errorf("%s: %v", d, err) // a fake may have needed no measurable time
		}
		if left, err := redis.List(key); err != nil || len(left) != 1 {
			t.Errorf("%s: left %q, %v", d, left, err)
		}
	}
}

// TestDialerTakesAStringToo: the documents of unified-testing say SET, its peers do RPUSH.
func TestDialerTakesAStringToo(t *testing.T) {
	redis := miniredis.RunT(t)
	if err := redis.Set("deadbeef_listener_multiaddr", someone); err != nil {
		t.Fatal(err)
	}
	var f fake
	if err := f.peer().Play(t.Context(), env(about(UnifiedTesting, "true", redis.Addr(), "60")...), new(bytes.Buffer)); err != nil {
		t.Fatal(err)
	}
	if f.dialed != someone {
		t.Errorf("dialled %q", f.dialed)
	}
}

func TestListenerPushesAndWaitsForItsTime(t *testing.T) {
	for d, key := range map[Dialect]string{TestPlans: "listenerAddr", UnifiedTesting: "deadbeef_listener_multiaddr"} {
		redis := miniredis.RunT(t)
		if d == UnifiedTesting { // what a run before has left is not for this one
			if err := redis.Set(key, "/ip4/192.0.2.1/tcp/1"); err != nil {
				t.Fatal(err)
			}
		}
		f := fake{addrs: []string{someone}}
		var stdout bytes.Buffer
		err := f.peer().Play(t.Context(), env(about(d, "false", redis.Addr(), "1")...), &stdout)
		if err == nil || !strings.Contains(err.Error(), "nobody has ended this listener within 1s") || !f.closed {
			t.Errorf("%s: ended with %v, closed %v", d, err, f.closed)
		}
		if stdout.Len() > 0 {
			t.Errorf("%s: printed %q", d, stdout.String())
		}
		if pushed, err := redis.List(key); err != nil || len(pushed) != 1 || pushed[0] != someone {
			t.Errorf("%s: pushed %q, %v", d, pushed, err)
		}
	}
}

func TestWhatGoesWrongIsSaid(t *testing.T) {
	redis := miniredis.RunT(t)
	if _, err := redis.RPush("listenerAddr", someone); err != nil {
		t.Fatal(err)
	}
	unreachable := errors.New("no route to host")
	for _, c := range []struct {
		why  string
		env  []string
		node *fake
		want string
	}{
		{
			"a dialer that reaches nobody", about(TestPlans, "true", redis.Addr(), "60"), &fake{err: unreachable},
			someone + ": no route to host",
		},
		{
			"a dialer without a listener", about(UnifiedTesting, "true", redis.Addr(), "1"), &fake{},
			"no listener has left its address in deadbeef",
		},
		{"a listener that listens nowhere", about(TestPlans, "false", redis.Addr(), "60"), &fake{}, "listens nowhere"},
		{"no Redis", about(TestPlans, "true", "127.0.0.1:1", "1"), &fake{}, "no Redis at 127.0.0.1:1 within 1s"},
		{
			"a transport that it does not have", append(about(TestPlans, "true", redis.Addr(), "60"), "transport=wss"), &fake{},
			`transport: unsupported "wss": fake has tcp, ws`,
		},
		{
			"a security that it does not have", append(about(UnifiedTesting, "true", redis.Addr(), "60"), "SECURE_CHANNEL=tls"), &fake{},
			`SECURE_CHANNEL: unsupported "tls": fake has noise`,
		},
		{
			"a muxer that nobody has", append(about(TestPlans, "true", redis.Addr(), "60"), "muxer=spdy"), &fake{},
			`muxer: unsupported "spdy": fake has yamux`,
		},
	} {
		var stdout bytes.Buffer
		err := c.node.peer().Play(t.Context(), env(c.env...), &stdout)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.why, err, c.want)
		}
		if stdout.Len() > 0 {
			t.Errorf("%s: printed %q", c.why, stdout.String())
		}
	}
}

func TestListenerIsToldAsAnotherContainerReachesIt(t *testing.T) {
	const peer = "/p2p/12D3KooWSuB8zu4yDyzDHRaCmPs9SdKYSvrkHEqzLj8h4nYqUY8h"
	var hosts []ma.Multiaddr
	for _, s := range []string{"/ip4/127.0.0.1", "/ip6/::1", "/ip6/fe80::1", "/ip4/10.0.0.7"} {
		hosts = append(hosts, ma.StringCast(s))
	}
	everywhere, here := netip.IPv4Unspecified(), netip.MustParseAddr("127.0.0.1")
	for _, c := range []struct {
		why   string
		bound netip.Addr
		hosts []ma.Multiaddr
		addrs []string
		want  string // or the error
	}{
		{"told where to listen", here, hosts, []string{"/ip4/127.0.0.1/tcp/1" + peer}, "/ip4/127.0.0.1/tcp/1" + peer},
		{
			"the loopback leads nowhere", everywhere, hosts, []string{"/ip4/127.0.0.1/tcp/1" + peer, "/ip4/10.0.0.7/tcp/1" + peer},
			"/ip4/10.0.0.7/tcp/1" + peer,
		},
		{
			"hosts stand in for 0.0.0.0", everywhere, hosts, []string{"/ip4/0.0.0.0/udp/1/quic-v1" + peer},
			"/ip4/10.0.0.7/udp/1/quic-v1" + peer,
		},
		{"nothing but the loopback", everywhere, hosts[:2], []string{"/ip4/0.0.0.0/tcp/1" + peer}, "no address but of the loopback"},
		{
			"link-local takes a zone", netip.IPv6Unspecified(), hosts[1:3], []string{"/ip6/::/tcp/1" + peer},
			"no address but of the loopback",
		},
		{"nothing", everywhere, hosts, nil, "listens nowhere"},
		{"nonsense", everywhere, hosts, []string{"localhost"}, "localhost"},
	} {
		got, err := reachable(c.addrs, c.bound, c.hosts)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.why, got, c.want)
		}
	}
}
