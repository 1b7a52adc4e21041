//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/protocols/perf"
)

// everybodysServer is the peer ID that all implementations of the benchmark have agreed on.
const everybodysServer = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"

func TestPerfServerIsWhoEverybodyKnows(t *testing.T) {
	k, err := perfIdentity()
	if err != nil {
		t.Fatal(err)
	}
	if id, err := identity.IDFromKey(k.Public()); err != nil || id.String() != everybodysServer {
		t.Errorf("it is %s, %v", id, err)
	}
}

// perfServer runs the server of the contract and returns its process, its address and its HOST:PORT.
func perfServer(t *testing.T, transport string) (p *proc, addr, at string) {
	t.Helper()
	p = start(t, t.TempDir(), "perf", "--run-server", "--server-address", "127.0.0.1:0", "--transport", transport)
	addr = p.next(t, "the server tells where it listens")
	parts := strings.Split(addr, "/")
	if parts[2] != "127.0.0.1" || !strings.HasSuffix(addr, "/p2p/"+everybodysServer) {
		t.Fatalf("it listens at %q", addr)
	}
	return p, addr, parts[2] + ":" + parts[4]
}

// finalOf checks that every line is one of the contract's, and the last one final.
func finalOf(t *testing.T, lines []string) perfLine {
	t.Helper()
	if len(lines) == 0 {
		t.Fatal("nothing on stdout")
	}
	var l perfLine
	for i, text := range lines {
		l = perfLine{}
		dec := json.NewDecoder(strings.NewReader(text))
		dec.DisallowUnknownFields()
		want := "intermediary"
		if i == len(lines)-1 {
			want = "final"
		}
		if err := dec.Decode(&l); err != nil || l.Type != want || len(parse(t, text)) != 4 || l.Seconds <= 0 {
			t.Fatalf("line %d of %d is %q, want one that is %s: %v", i+1, len(lines), text, want, err)
		}
	}
	return l
}

func TestPerfKeepsToTheContract(t *testing.T) {
	for _, transport := range []string{"tcp", "quic-v1"} {
		server, addr, at := perfServer(t, transport)
		if !strings.Contains(addr, "/"+map[string]string{"tcp": "tcp", "quic-v1": "udp"}[transport]+"/") {
			t.Errorf("%s: it listens at %s", transport, addr)
		}
		forms := map[string][]string{
			"the benchmark's own form": {"--server-address", at, "--transport", transport},
			"a multiaddr":              {addr, "--json"},
			"a multiaddr without ID":   {strings.Split(addr, "/p2p/")[0], "--json"},
		}
		if transport == "tcp" {
			forms["a choice of security"] = []string{addr, "--json", "--security", "tls"}
		}
		for why, args := range forms {
			args = append([]string{"perf"}, append(args, "--upload-bytes", "3000001", "--download-bytes", "2000003")...)
			code, out, errs := finish(t, t.TempDir(), args...)
			if code != exitDone || errs != "" {
				t.Fatalf("%s, %s: exit %d, %q, %s", transport, why, code, out, errs)
			}
			if l := finalOf(t, out); l.Upload != 3000001 || l.Download != 2000003 {
				t.Errorf("%s, %s: %+v", transport, why, l)
			}
		}
		_ = server.cmd.Process.Signal(syscall.SIGTERM)
		if code, rest := server.end(t, promised); code != exitDone || len(rest) != 0 {
			t.Errorf("the server: exit %d, %q", code, rest)
		}
	}
}

func TestPerfOfNothingMeasuresTheConnection(t *testing.T) {
	_, _, at := perfServer(t, "tcp")
	code, out, errs := finish(t, t.TempDir(), "perf", "--server-address", at)
	if l := finalOf(t, out); code != exitDone || l.Upload != 0 || l.Download != 0 {
		t.Errorf("exit %d, %q, %s", code, out, errs)
	}
}

func TestPerfWithAnyNodeThatServesIt(t *testing.T) {
	n := bringUp(t, "--serve", "perf")
	code, out, errs := finish(t, t.TempDir(), "perf", n.addr, "--upload-bytes", "1000000", "--download-bytes", "1")
	if code != exitDone || len(out) != 4 || errs != "" {
		t.Fatalf("exit %d, %q, %s", code, out, errs)
	}
	for i, want := range []string{"perf " + n.id + " at /ip4/127.0.0.1/tcp/", "connected in ", "upload    1000000 bytes in ", "download  1 bytes in "} {
		if !strings.HasPrefix(out[i], want) {
			t.Errorf("line %d is %q, want one that begins %q", i+1, out[i], want)
		}
	}
}

func TestPerfThatFails(t *testing.T) {
	n := bringUp(t)
	host := strings.Split(n.addr, "/")
	for why, c := range map[string]struct {
		args []string
		want string
	}{
		"perf is not spoken": {[]string{n.addr, "--upload-bytes", "1"}, "protocol_not_supported"},
		"somebody else":      {[]string{"--server-address", host[2] + ":" + host[4], "--upload-bytes", "1"}, "identity_mismatch"},
		"nobody listens":     {[]string{"/ip4/127.0.0.1/tcp/1", "--upload-bytes", "1", "--json"}, "connection refused"},
		"port is taken":      {[]string{"--run-server", "--server-address", host[2] + ":" + host[4]}, "address already in use"},
	} {
		code, out, errs := finish(t, t.TempDir(), append([]string{"perf"}, c.args...)...)
		if code != exitFailed || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, c.want) {
			t.Errorf("%s: exit %d, %q, %s", why, code, out, errs)
		}
	}
}

func TestPerfThatIsInterrupted(t *testing.T) {
	_, addr, _ := perfServer(t, "tcp")
	p := start(t, t.TempDir(), "perf", addr, "--json", "--upload-bytes", "1000000000000000")
	if e := parse(t, p.next(t, "a line each second")); e.str("type") != "intermediary" || e["uploadBytes"] == 0.0 || e["downloadBytes"] != 0.0 {
		t.Errorf("the first line is %v", e)
	}
	_ = p.cmd.Process.Signal(os.Interrupt)
	code, rest := p.end(t, soon)
	if code != exitFailed || strings.Contains(strings.Join(rest, ""), "final") || !strings.Contains(p.stderr.String(), "local: interrupted after ") {
		t.Errorf("exit %d, %q, %s", code, rest, p.stderr)
	}
}

func TestPerfTellsItsProgress(t *testing.T) {
	var b bytes.Buffer
	p := &perfRun{out: &output{json: true, w: &b}, perfFlags: perfFlags{upload: 300, download: 100, json: true}}
	p.told.At = noon
	p.progress(perf.Progress{At: noon.Add(perfEvery - 1), Up: 100})
	if b.Len() != 0 {
		t.Errorf("too early: %s", b.String())
	}
	p.progress(perf.Progress{At: noon.Add(1500 * time.Millisecond), Up: 100})
	p.progress(perf.Progress{At: noon.Add(2500 * time.Millisecond), Up: 300, Down: 25})
	const want = `{"type":"intermediary","timeSeconds":1.5,"uploadBytes":100,"downloadBytes":0}
{"type":"intermediary","timeSeconds":1,"uploadBytes":200,"downloadBytes":25}
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	b.Reset()
	p = &perfRun{out: &output{w: &b}, bar: true, perfFlags: perfFlags{upload: 300, download: 100}}
	p.told.At = noon
	p.progress(perf.Progress{At: noon.Add(100 * time.Millisecond), Up: 150})
	p.progress(perf.Progress{At: noon.Add(200 * time.Millisecond), Up: 300, Down: 10})
	const bars = "\r\x1b[Kupload   [###############---------------]  50 %  1.5 kB/s\r\x1b[Kdownload [###---------------------------]  10 %  100 B/s"
	if b.String() != bars {
		t.Errorf("got %q, want %q", b.String(), bars)
	}
}

func TestPerfFinalLineIsByteForByteTheContract(t *testing.T) {
	var b bytes.Buffer
	(&output{json: true, w: &b}).say(perfLine{"final", 60.127230659, 4382392320, 0}, "")
	if want := `{"type":"final","timeSeconds":60.127230659,"uploadBytes":4382392320,"downloadBytes":0}` + "\n"; b.String() != want {
		t.Errorf("got %swant %s", b.String(), want)
	}
}

func TestSpeeds(t *testing.T) {
	for want, c := range map[string]struct {
		n uint64
		d time.Duration
	}{
		"1.23 GB/s": {1_234_000_000, time.Second}, "500 MB/s": {1_000_000_000, 2 * time.Second},
		"1.5 kB/s": {150, 100 * time.Millisecond}, "7 B/s": {7, time.Second}, "0 B/s": {0, 0},
	} {
		if got := speed(c.n, c.d); got != want {
			t.Errorf("%d bytes in %v are %q, want %q", c.n, c.d, got, want)
		}
	}
}

func TestServerAddresses(t *testing.T) {
	for s, want := range map[string]string{
		"1.2.3.4:4001": "/ip4/1.2.3.4/tcp/4001", "[::1]:4001": "/ip6/::1/tcp/4001", "example.com:1": "/dns/example.com/tcp/1",
	} {
		if a, err := hostPort(s, "tcp", false); err != nil || a.String() != want {
			t.Errorf("%s: %v, %v", s, a, err)
		}
	}
	if a, err := hostPort("0.0.0.0:0", "tcp", true); err != nil || a.String() != "/ip4/0.0.0.0/tcp/0" {
		t.Errorf("%v, %v", a, err)
	}
	if a, err := hostPort("1.2.3.4:4001", "quic-v1", false); err != nil || a.String() != "/ip4/1.2.3.4/udp/4001/quic-v1" {
		t.Errorf("%v, %v", a, err)
	}
}

func TestPerfWrongUsage(t *testing.T) {
	atHome(t)
	const there = "/ip4/127.0.0.1/tcp/1 "
	for _, c := range []struct{ args, want string }{
		{"", `no MULTIADDR given, nor --server-address, nor --run-server; see troupe perf --help`},
		{"a b", `one MULTIADDR is wanted, 2 were given; `},
		{"nonsense --upload-bytes 1", `MULTIADDR "nonsense": `},
		{"/p2p/" + somebody + " --upload-bytes 1", `MULTIADDR "/p2p/` + somebody + `": says who, but not where; `},
		{there, `--upload-bytes and --download-bytes are both 0: there is nothing to measure; `},
		{there + "--upload-bytes -1", `invalid argument "-1" for "--upload-bytes" flag: `},
		{there + "--run-server", `MULTIADDR excludes --server-address and --run-server; `},
		{there + "--server-address 127.0.0.1:1", `MULTIADDR excludes --server-address and --run-server; `},
		{there + "--upload-bytes 1 --timeout 0s", `--timeout 0s: wanted is more than 0; `},
		{there + "--upload-bytes 1 --security x", `--security: there is no "x"`},
		{"--server-address 127.0.0.1:1 --transport quic", `--transport "quic": there are tcp and quic-v1; `},
		{"--server-address 127.0.0.1:1 --transport quic-v1 --security tls", `--security: quic-v1 has one of its own; `},
		{"/ip4/127.0.0.1/udp/1/webrtc-direct --upload-bytes 1 --security tls", `--security: webrtc-direct has one of its own; `},
		{"/ip4/127.0.0.1/udp/1/quic-v1 --upload-bytes 1 --security tls", `--security: quic-v1 has one of its own; `},
		{"/ip4/127.0.0.1/udp/1/quic-v1/webtransport --upload-bytes 1 --security tls", `--security: webtransport has one of its own; `},
		{"--server-address 127.0.0.1", `--server-address "127.0.0.1": wanted is HOST:PORT; `},
		{"--server-address 127.0.0.1:x", `--server-address "127.0.0.1:x": "x" is no port; `},
		{"--server-address 127.0.0.1:0", `--server-address "127.0.0.1:0": "0" is no port; `},
		{"--server-address :4001", `--server-address ":4001": "" is no IP address; `},
		{"--run-server --server-address example.com:4001", `--server-address "example.com:4001": "example.com" is no IP address; `},
		{"--run-server --upload-bytes 1", `--upload-bytes and --download-bytes are the client's to say; `},
	} {
		code, out, errs := call(append([]string{"perf"}, strings.Fields(c.args)...)...)
		if code != exitUsage || out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "troupe perf: "+c.want) {
			t.Errorf("troupe perf %s: exit %d, stdout %q, stderr\n%swant one line that begins\ntroupe perf: %s", c.args, code, out, errs, c.want)
		}
	}
}
