package contract

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func env(pairs ...string) func(string) string {
	set := map[string]string{}
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		set[name] = value
	}
	return func(name string) string { return set[name] }
}

func TestReadTakesTheWordsOfBothSuites(t *testing.T) {
	loopback, everywhere := netip.MustParseAddr("127.0.0.1"), netip.IPv4Unspecified()
	for _, c := range []struct {
		why    string
		env    []string
		want   Params
		listen string
	}{
		{
			why: "test-plans, with nothing but what must be",
			env: []string{"transport=tcp", "security=noise", "muxer=yamux", "is_dialer=true"},
			want: Params{
				Transport: "tcp", Security: "noise", Muxer: "yamux", Dialer: true, IP: everywhere,
				Redis: "redis:6379", Key: "listenerAddr", Timeout: 3 * time.Minute,
			},
			listen: "/ip4/0.0.0.0/tcp/0",
		},
		{
			why: "test-plans, with all of it", env: []string{
				"transport=wss", "security=tls", "muxer=mplex", "is_dialer=false", "ip=127.0.0.1", "redis_addr=there:1",
				"test_timeout_seconds=7",
			},
			want: Params{
				Transport: "wss", Security: "tls", Muxer: "mplex", IP: loopback, Redis: "there:1", Key: "listenerAddr",
				Timeout: 7 * time.Second,
			},
			listen: "/ip4/127.0.0.1/tcp/0/tls/ws",
		},
		{
			why: "js-libp2p's name for the timeout", env: []string{
				"transport=quic-v1", "is_dialer=false", "test_timeout_secs=8",
			},
			want: Params{
				Transport: "quic-v1", IP: everywhere, Redis: "redis:6379", Key: "listenerAddr", Timeout: 8 * time.Second,
			},
			listen: "/ip4/0.0.0.0/udp/0/quic-v1",
		},
		{
			why: "a transport with its own security and muxer does not ask for them", env: []string{
				"transport=webtransport", "security=noise", "muxer=yamux", "is_dialer=false", "ip=::",
			},
			want: Params{
				Transport: "webtransport", IP: netip.IPv6Unspecified(), Redis: "redis:6379", Key: "listenerAddr", Timeout: 3 * time.Minute,
			},
			listen: "/ip6/::/udp/0/quic-v1/webtransport",
		},
		{
			why: "unified-testing", env: []string{
				"TRANSPORT=ws", "SECURE_CHANNEL=tls", "MUXER=yamux", "IS_DIALER=false", "LISTENER_IP=0.0.0.0",
				"REDIS_ADDR=transport-redis:6379", "TEST_KEY=a5b50d5e", "TEST_TIMEOUT_SECS=9", "DEBUG=true",
			},
			want: Params{
				Dialect: UnifiedTesting, Transport: "ws", Security: "tls", Muxer: "yamux", IP: everywhere, Redis: "transport-redis:6379",
				Key: "a5b50d5e_listener_multiaddr", Timeout: 9 * time.Second, Debug: true,
			},
			listen: "/ip4/0.0.0.0/tcp/0/ws",
		},
		{
			why: "go-libp2p's name for the timeout", env: []string{
				"TRANSPORT=webrtc-direct", "IS_DIALER=true", "REDIS_ADDR=r:1", "TEST_KEY=k", "TEST_TIMEOUT_SECONDS=10",
			},
			want: Params{
				Dialect: UnifiedTesting, Transport: "webrtc-direct", Dialer: true, IP: everywhere, Redis: "r:1",
				Key: "k_listener_multiaddr", Timeout: 10 * time.Second,
			},
			listen: "/ip4/0.0.0.0/udp/0/webrtc-direct",
		},
		{
			why: "the words of the other suite mean nothing", env: []string{
				"transport=webrtc", "is_dialer=true", "REDIS_ADDR=r:1", "LISTENER_IP=127.0.0.1", "TEST_TIMEOUT_SECS=1", "DEBUG=true",
			},
			want: Params{
				Transport: "webrtc", Dialer: true, IP: everywhere, Redis: "redis:6379", Key: "listenerAddr", Timeout: 3 * time.Minute,
			},
			listen: "/webrtc",
		},
	} {
		t.Run(c.why, func(t *testing.T) {
			got, err := Read(env(c.env...))
			if err != nil || got != c.want {
				t.Fatalf("got %+v, %v\nwant %+v", got, err, c.want)
			}
			if got.ListenAddr() != c.listen {
				t.Errorf("listens on %s, want %s", got.ListenAddr(), c.listen)
			}
		})
	}
}

func TestReadSaysWhatIsWrong(t *testing.T) {
	legacy := []string{"transport=tcp", "security=noise", "muxer=yamux", "is_dialer=true"}
	unified := []string{
		"TRANSPORT=tcp", "SECURE_CHANNEL=noise", "MUXER=yamux", "IS_DIALER=true", "REDIS_ADDR=r:1", "TEST_KEY=k",
	}
	for _, c := range []struct {
		but  []string // on top of the above
		want string
	}{
		{append(legacy, "transport="), "neither transport nor TRANSPORT is set"},
		{append(legacy, "TRANSPORT=tcp"), "both transport=tcp and TRANSPORT=tcp"},
		{append(legacy, "transport=pigeon"), `transport: unknown transport "pigeon"`},
		{append(legacy, "security="), "security is not set"},
		{append(legacy, "muxer="), "muxer is not set"},
		{append(legacy, "is_dialer="), `is_dialer is ""`},
		{append(legacy, "is_dialer=yes"), `is_dialer is "yes"`},
		{append(legacy, "ip=localhost"), "ip is no IP address"},
		{append(legacy, "test_timeout_seconds=soon"), `test_timeout_seconds is "soon"`},
		{append(legacy, "test_timeout_seconds=0"), `test_timeout_seconds is "0"`},
		{append(legacy, "test_timeout_seconds=99999999999999999999"), "test_timeout_seconds is"},
		{append(unified, "TRANSPORT=udp"), `TRANSPORT: unknown transport "udp"`},
		{append(unified, "SECURE_CHANNEL="), "SECURE_CHANNEL is not set"},
		{append(unified, "MUXER="), "MUXER is not set"},
		{append(unified, "IS_DIALER=1"), `IS_DIALER is "1"`},
		{append(unified, "REDIS_ADDR="), "REDIS_ADDR is not set"},
		{append(unified, "TEST_KEY="), "TEST_KEY is not set"},
		{append(unified, "TEST_TIMEOUT_SECS=-1"), `TEST_TIMEOUT_SECS is "-1"`},
	} {
		if _, err := Read(env(c.but...)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %q", c.but, err, c.want)
		}
	}
}
