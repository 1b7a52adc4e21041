package main

import (
	"bytes"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/troupe-p2p/troupe"
)

// call runs the program in this process.
func call(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

// atHome keeps the program away from the files of whoever runs the tests.
func atHome(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	for _, v := range []string{"HOME", "XDG_CONFIG_HOME", "AppData"} {
		t.Setenv(v, home)
	}
	t.Setenv(tokenVar, "")
	return home
}

func TestWrongUsageIsOneLineAndExit2(t *testing.T) {
	psk := filepath.Join(atHome(t), "psk")
	if code, _, errs := call("key", "psk", psk); code != exitDone {
		t.Fatal(errs)
	}
	for _, c := range []struct{ args, want string }{
		{"", `troupe: no command given; see troupe --help`},
		{"fly", `troupe: there is no command "fly"; see troupe --help`},
		{"--fly", `troupe: unknown flag: --fly; see troupe --help`},
		{"up now", `troupe up: "now" is one word too many; see troupe up --help`},
		{"up --fly", `troupe up: unknown flag: --fly; see troupe up --help`},
		{"up --listen", `troupe up: flag needs an argument: --listen; see troupe up --help`},
		{"up --listen /ip4/1.2.3/tcp/0", `troupe up: --listen "/ip4/1.2.3/tcp/0": `},
		{"up --listen /ip4/127.0.0.1/tcp/99999", `troupe up: --listen "/ip4/127.0.0.1/tcp/99999": `},
		{"up --listen example.com", `troupe up: --listen "example.com": `},
		{"up --announce x", `troupe up: --announce "x": `},
		{"up --no-announce /ip4", `troupe up: --no-announce "/ip4": `},
		{"up --listen /ip4/127.0.0.1/tcp/0/wss", `troupe up: --listen "/ip4/127.0.0.1/tcp/0/wss": needs --cert; `},
		{"up --psk no/file", `troupe up: --psk "no/file": open no/file: `},
		{"up --psk usage_test.go", `troupe up: --psk "usage_test.go": `},
		{"up --psk PSK --listen /ip4/127.0.0.1/udp/0/quic-v1", `troupe up: --listen "/ip4/127.0.0.1/udp/0/quic-v1": a private network goes over TCP, `},
		{"ping --psk PSK /ip4/127.0.0.1/udp/1/quic-v1", `troupe ping: MULTIADDR "/ip4/127.0.0.1/udp/1/quic-v1": a private network goes over TCP, `},
		{"perf --psk PSK --transport quic-v1 --server-address 127.0.0.1:1", `troupe perf: --psk: a private network does not go over quic-v1; `},
		{"up --cert-key f", `troupe up: --cert-key is of no use without --cert; `},
		{"up --identity f --ephemeral", `troupe up: --identity and --ephemeral exclude each other; `},
		{"up --identity=", `troupe up: --identity is empty; `},
		{"up --inspect=", `troupe up: --inspect is empty; `},
		{"up --inspect 4002", `troupe up: --inspect "4002" is not HOST:PORT; `},
		{"up --inspect 0.0.0.0:4002", `troupe up: --inspect "0.0.0.0:4002": only a loopback address may be served without a token; use 127.0.0.1:PORT, or set --inspect-token; `},
		{"up --inspect :4002", `troupe up: --inspect ":4002": only a loopback address`},
		{"up --inspect 127.0.0.1:4002 --inspect-token short", `troupe up: the token of --inspect must have 16 characters or more`},
		{"up --inspect-token 0123456789abcdef", `troupe up: --inspect-token is of no use without --inspect; `},
		{"up --serve echo,fly", `troupe up: --serve: there is no "fly", there are echo, perf, crash, hang, stuck; `},
		{"up --serve echo,", `troupe up: --serve: there is no "", there are `},
		{"up --limits conns", `troupe up: --limits: "conns": wanted is conns=N with N from 1 to 2147483647; `},
		{"up --limits conns=0", `troupe up: --limits: "conns=0": wanted is conns=N`},
		{"up --limits conns=-1", `troupe up: --limits: "conns=-1": wanted is conns=N`},
		{"up --limits conns=1,conns=2", `troupe up: --limits: conns is given twice; `},
		{"up --limits size=1", `troupe up: --limits: there is no "size", there are half-open, conns, `},
		{"up --security ssl", `troupe up: --security: there is no "ssl", there are noise and tls; `},
		{"up --security plaintext", `troupe up: --security: there is no "plaintext"`},
		{"up --security tls,tls", `troupe up: --security: tls is given twice; `},
		{"up --log-level loud", `troupe up: --log-level "loud": wanted is debug, info, warn, error or off; `},
		{"ping", `troupe ping: no MULTIADDR given; see troupe ping --help`},
		{"ping a b", `troupe ping: one MULTIADDR is wanted, 2 were given; `},
		{"ping nonsense", `troupe ping: MULTIADDR "nonsense": `},
		{"ping /p2p/12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust", `troupe ping: MULTIADDR "/p2p/12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust": says who, but not where; `},
		{"ping /ip4/127.0.0.1/tcp/1/p2p/zzz", `troupe ping: MULTIADDR "/ip4/127.0.0.1/tcp/1/p2p/zzz": `},
		{"ping /ip4/127.0.0.1/tcp/1 --count x", `troupe ping: invalid argument "x" for "--count" flag: `},
		{"ping /ip4/127.0.0.1/tcp/1 --count -1", `troupe ping: --count -1: wanted is 0 or more; `},
		{"ping /ip4/127.0.0.1/tcp/1 --interval 1", `troupe ping: invalid argument "1" for "--interval" flag: `},
		{"ping /ip4/127.0.0.1/tcp/1 --interval -1s", `troupe ping: --interval -1s: wanted is 0 or more; `},
		{"ping /ip4/127.0.0.1/tcp/1 --timeout 0s", `troupe ping: --timeout 0s: wanted is more than 0; `},
		{"ping /ip4/127.0.0.1/tcp/1 --security x", `troupe ping: --security: there is no "x"`},
		{"ping /ip4/127.0.0.1/tcp/1 --identity=", `troupe ping: --identity is empty; `},
		{"id me", `troupe id: "me" is one word too many; `},
		{"id --identity=", `troupe id: --identity is empty; `},
		{"key", `troupe key: no command given; see troupe key --help`},
		{"key old", `troupe key: there is no command "old"; see troupe key --help`},
		{"key new", `troupe key new: no FILE given; see troupe key new --help`},
		{"key psk", `troupe key psk: no FILE given; see troupe key psk --help`},
		{"key new f --type dsa", `troupe key new: --type "dsa": wanted is ed25519, secp256k1, ecdsa or rsa; `},
		{"tree --inspect 127.0.0.1:4002", `troupe tree: --inspect "127.0.0.1:4002": wanted is a URL like http://127.0.0.1:4002; `},
		{"tree --inspect ftp://127.0.0.1", `troupe tree: --inspect "ftp://127.0.0.1": wanted is a URL`},
		{"tree oak", `troupe tree: "oak" is one word too many; `},
		{"version 2", `troupe version: "2" is one word too many; `},
	} {
		code, out, errs := call(strings.Fields(strings.ReplaceAll(c.args, "PSK", psk))...)
		if code != exitUsage || out != "" {
			t.Errorf("troupe %s: exit %d, stdout %q", c.args, code, out)
		}
		if strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, c.want) {
			t.Errorf("troupe %s says\n%swant one line that begins\n%s", c.args, errs, c.want)
		}
	}
}

func TestWrongUsageStaysOneLineWhateverIsInIt(t *testing.T) {
	for _, args := range [][]string{{"up\nnow"}, {"up", "--f\nly"}, {"up", "a\r\nb"}, {"ping", "/ip4\n/"}, {"up", "--serve", "e\ncho"}} {
		if code, _, errs := call(args...); code != exitUsage || strings.Count(errs, "\n") != 1 || strings.Contains(errs, "\r") {
			t.Errorf("%q: exit %d, %q", args, code, errs)
		}
	}
}

func TestWrongUsageWritesNothing(t *testing.T) {
	home := atHome(t)
	if code, _, _ := call("up", "--serve", "fly"); code != exitUsage {
		t.Fatal("taken")
	}
	if left, _ := filepath.Glob(filepath.Join(home, "*")); len(left) != 0 {
		t.Errorf("it has left %q", left)
	}
}

func TestHelpIsNotAFailure(t *testing.T) {
	for _, args := range []string{"--help", "help", "up --help", "help ping", "key new --help"} {
		if code, out, errs := call(strings.Fields(args)...); code != exitDone || !strings.Contains(out, "Usage:") || errs != "" {
			t.Errorf("troupe %s: exit %d, stderr %q", args, code, errs)
		}
	}
}

func TestLimitsReachTheirFields(t *testing.T) {
	got, err := parseLimits("half-open=1,conns=2,conns-per-peer=3,conns-per-prefix=7,new-conns-per-prefix=8,streams=4,streams-per-conn=5,buffer-bytes=6")
	want := troupe.Limits{HalfOpen: 1, Conns: 2, ConnsPerPeer: 3, ConnsPerPrefix: 7, NewConnsPerPrefix: 8, Streams: 4, StreamsPerConn: 5, BufferBytes: 6}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSecurityKeepsItsOrder(t *testing.T) {
	got, err := parseSecurity("tls,noise")
	if err != nil || len(got) != 2 || got[0] != troupe.TLS || got[1] != troupe.Noise {
		t.Errorf("%v, %v", got, err)
	}
}

func TestServeTakesEachOnce(t *testing.T) {
	got, err := parseServe("stuck,echo,echo")
	if err != nil || len(got) != 2 || got[0].protocol != "/troupe/echo/1.0.0" || got[1].protocol != "/troupe/stuck/1.0.0" {
		t.Errorf("%v, %v", got, err)
	}
}
