//go:build unix

package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe"
)

// summaryOf checks that the last line is the summary, with all its fields.
func summaryOf(t *testing.T, lines []string) event {
	t.Helper()
	if len(lines) == 0 {
		t.Fatal("nothing on stdout")
	}
	e := parse(t, lines[len(lines)-1])
	for _, k := range []string{"sent", "received", "p50_ms", "max_ms", "peer", "transport", "security", "muxer"} {
		if _, ok := e[k]; !ok || e.str("event") != "summary" {
			t.Fatalf("the last line is %s", lines[len(lines)-1])
		}
	}
	return e
}

func TestPingMeasures(t *testing.T) {
	n := bringUp(t)
	bare := strings.Split(n.addr, "/p2p/")[0]
	for why, c := range map[string]struct {
		args     []string
		security string
	}{
		"with the ID":                    {[]string{n.addr}, "/noise"},
		"without the ID":                 {[]string{bare}, "/noise"},
		"over Noise alone":               {[]string{n.addr, "--security", "noise"}, "/noise"},
		"over TLS":                       {[]string{n.addr, "--security", "tls,noise"}, "/tls/1.0.0"},
		"with the muxer agreed late":     {[]string{n.addr, "--no-early-muxer"}, "/noise"},
		"TLS with the muxer agreed late": {[]string{n.addr, "--no-early-muxer", "--security", "tls"}, "/tls/1.0.0"},
	} {
		code, out, errs := finish(t, t.TempDir(), append([]string{"ping", "--json", "--count", "3", "--interval", "1ms"}, c.args...)...)
		if code != exitDone || len(out) != 4 || errs != "" {
			t.Fatalf("%s: exit %d, %q, %s", why, code, out, errs)
		}
		for i, l := range out[:3] {
			e := parse(t, l)
			if rtt, _ := e["rtt_ms"].(float64); e.str("event") != "pong" || e["seq"] != float64(i+1) || rtt <= 0 || len(e) != 3 {
				t.Errorf("%s: pong %d is %s", why, i+1, l)
			}
		}
		e := summaryOf(t, out)
		p50, _ := e["p50_ms"].(float64)
		most, _ := e["max_ms"].(float64)
		if e["sent"] != 3.0 || e["received"] != 3.0 || p50 <= 0 || most < p50 || e.str("peer") != n.id ||
			e.str("transport") != "tcp" || e.str("security") != c.security || e.str("muxer") != "/yamux/1.0.0" || len(e) != 9 {
			t.Errorf("%s: %s", why, out[3])
		}
	}
	n.stop(t, syscall.SIGTERM)
}

func TestPingForPeople(t *testing.T) {
	n := bringUp(t)
	code, out, errs := finish(t, t.TempDir(), "ping", n.addr, "--count", "2", "--interval", "1ms")
	if code != exitDone || len(out) != 4 || !strings.HasPrefix(out[0], "ping "+n.id+" at /ip4/127.0.0.1/tcp/") ||
		!strings.HasPrefix(out[1], "pong 1  ") || !strings.HasPrefix(out[3], "2 of 2 came back: p50 ") {
		t.Errorf("exit %d, %q, %s", code, out, errs)
	}
}

func TestPingAsANamedIdentity(t *testing.T) {
	n := bringUp(t)
	home := t.TempDir()
	path := home + "/me"
	_, shown, _ := finish(t, home, "id", "--json", "--identity", path)
	if code, out, errs := finish(t, home, "ping", n.addr, "--count", "1", "--identity", path); code != exitDone {
		t.Fatalf("exit %d, %q, %s", code, out, errs)
	}
	if e := n.want(t, "the node sees who pings", "connected"); e.str("peer") != parse(t, shown[0]).str("peer") {
		t.Errorf("it sees %v, not %s", e, shown[0])
	}
}

func TestPingThatReachesNobody(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	_ = ln.Close()
	n := bringUp(t)
	for why, c := range map[string]struct{ addr, want string }{
		"nobody listens":    {"/ip4/127.0.0.1/tcp/" + port, "connection refused"},
		"nobody is known":   {"/ip4/127.0.0.1/tcp/" + port + "/p2p/" + somebody, "dial_failed"},
		"somebody else":     {strings.Split(n.addr, "/p2p/")[0] + "/p2p/" + somebody, "identity_mismatch"},
		"no such transport": {"/ip4/127.0.0.1/udp/1/quic", "no transport"},
		"no certhash":       {"/ip4/127.0.0.1/udp/1/webrtc-direct", "no certhash"},
	} {
		code, out, errs := finish(t, t.TempDir(), "ping", c.addr, "--json", "--timeout", "10s")
		if code != exitFailed || len(out) != 1 || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, c.want) {
			t.Errorf("%s: exit %d, %q, %s", why, code, out, errs)
			continue
		}
		if e := summaryOf(t, out); e["sent"] != 0.0 || e["received"] != 0.0 || e["p50_ms"] != nil {
			t.Errorf("%s: %s", why, out[0])
		}
	}
}

func TestPingThatIsInterrupted(t *testing.T) {
	n := bringUp(t)
	p := start(t, t.TempDir(), "ping", n.addr, "--json", "--count", "0", "--interval", "1ms")
	for range 3 {
		p.want(t, "pings without end", "pong")
	}
	_ = p.cmd.Process.Signal(os.Interrupt)
	code, rest := p.end(t, soon)
	if e := summaryOf(t, rest); code != exitDone || e["sent"] != e["received"] || e["sent"].(float64) < 3 {
		t.Errorf("exit %d, %q", code, rest)
	}
	p = start(t, t.TempDir(), "ping", n.addr, "--json", "--count", "3", "--interval", "1h")
	p.want(t, "the first of three", "pong")
	_ = p.cmd.Process.Signal(os.Interrupt)
	if code, rest := p.end(t, soon); code != exitFailed || summaryOf(t, rest)["received"] != 1.0 {
		t.Errorf("one of three came back: exit %d, %q", code, rest)
	}
}

// pingedOver wants one ping of a node answered, over that transport.
func pingedOver(t *testing.T, n *upProc, transport string) {
	t.Helper()
	code, out, errs := finish(t, t.TempDir(), "ping", n.addr, "--json", "--count", "1")
	if e := summaryOf(t, out); code != exitDone || e["received"] != 1.0 || e.str("transport") != transport {
		t.Errorf("exit %d, %q, %s", code, out, errs)
	}
}

func TestPingOverAWebSocket(t *testing.T) {
	n := upWith(t, t.TempDir(), "up", "--json", "--ephemeral", "--listen", "/ip4/127.0.0.1/tcp/0/ws")
	if !strings.Contains(n.addr, "/ws/p2p/") {
		t.Fatalf("it listens on %s", n.addr)
	}
	pingedOver(t, n, "ws")
	n.stop(t, syscall.SIGTERM)
	code, out, errs := finish(t, t.TempDir(), "up", "--json", "--ephemeral", "--listen", "/ip4/127.0.0.1/tcp/0/tls/ws", "--cert", "no/file")
	if code != exitFailed || len(out) != 0 || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "no/file") {
		t.Errorf("without a certificate: exit %d, %q, %q", code, out, errs)
	}
}

func TestPingOverAUnixSocket(t *testing.T) {
	n := upWith(t, t.TempDir(), "up", "--json", "--ephemeral", "--listen", "/unix"+filepath.Join(t.TempDir(), "s"))
	code, out, errs := finish(t, t.TempDir(), "ping", n.addr, "--json", "--count", "1")
	if e := summaryOf(t, out); code != exitDone || e["received"] != 1.0 || e.str("transport") != "unix" {
		t.Errorf("exit %d, %q, %s", code, out, errs)
	}
}

func TestPingInAPrivateNetwork(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := pskFile(t, dir, "ours"), pskFile(t, dir, "theirs")
	for _, at := range []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws", "/unix" + filepath.Join(dir, "s")} {
		n := upWith(t, t.TempDir(), "up", "--json", "--ephemeral", "--psk", ours, "--listen", at)
		code, out, errs := finish(t, t.TempDir(), "ping", n.addr, "--json", "--count", "1", "--psk", ours)
		if e := summaryOf(t, out); code != exitDone || e["received"] != 1.0 {
			t.Errorf("%s: exit %d, %q, %s", at, code, out, errs)
		}
		code, _, errs = finish(t, t.TempDir(), "ping", n.addr, "--json", "--count", "1", "--psk", theirs)
		if code != exitFailed || !strings.Contains(errs, "pre-shared key") {
			t.Errorf("%s, with another key: exit %d, %s", at, code, errs)
		}
		n.stop(t, syscall.SIGTERM)
	}
}

func pskFile(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if code, _, errs := call("key", "psk", path); code != exitDone {
		t.Fatal(errs)
	}
	return path
}

func TestPingOverWebTransport(t *testing.T) {
	n := upWith(t, t.TempDir(), "up", "--json", "--ephemeral", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1/webtransport")
	at, hashes, ok := strings.Cut(n.addr, "/certhash/")
	if !ok {
		t.Fatalf("it listens on %s", n.addr)
	}
	pingedOver(t, n, "webtransport")
	_, id, _ := strings.Cut(hashes, "/p2p/")
	code, _, errs := finish(t, t.TempDir(), "ping", at+"/p2p/"+id, "--json", "--count", "1")
	if code != exitFailed || !strings.Contains(errs, "certhash") {
		t.Errorf("without a hash: exit %d, %s", code, errs)
	}
	n.stop(t, syscall.SIGTERM)
}

func TestPingOverWebRTC(t *testing.T) {
	n := upWith(t, t.TempDir(), "up", "--json", "--ephemeral", "--listen", "/ip4/127.0.0.1/udp/0/webrtc-direct")
	if !strings.Contains(n.addr, "/webrtc-direct/certhash/") {
		t.Fatalf("it listens on %s", n.addr)
	}
	pingedOver(t, n, "webrtc-direct")
}

func TestPingTellsWhatIsLost(t *testing.T) {
	n := bringUp(t)
	p := start(t, t.TempDir(), "ping", n.addr, "--json", "--count", "3", "--interval", "300ms", "--timeout", "2s")
	p.want(t, "the first of three", "pong")
	n.stop(t, syscall.SIGTERM)
	code, rest := p.end(t, soon)
	if code != exitFailed || len(rest) < 2 || strings.Count(p.stderr.String(), "\n") != 1 {
		t.Fatalf("exit %d, %q, %s", code, rest, p.stderr)
	}
	if e := summaryOf(t, rest); e["sent"] != 3.0 || e["received"].(float64) > 2 {
		t.Errorf("%q", rest)
	}
	if e := parse(t, rest[len(rest)-2]); e.str("event") != "lost" || e["seq"] != 3.0 || e.str("error") == "" {
		t.Errorf("the line before the summary is %s", rest[len(rest)-2])
	}
}

func TestPingWhereItIsNotSpoken(t *testing.T) {
	s, err := troupe.New(troupe.Config{Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close(t.Context()) }()
	if err := s.Unhandle(troupe.PingProtocol); err != nil {
		t.Fatal(err)
	}
	code, out, errs := finish(t, t.TempDir(), "ping", s.ListenAddrs()[0].String(), "--json")
	if code != exitFailed || !strings.Contains(errs, "protocol_not_supported") || summaryOf(t, out).str("peer") != s.ID().String() {
		t.Errorf("exit %d, %q, %s", code, out, errs)
	}
}

func TestPingOfWhoSaysNothingEndsInTime(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	began := time.Now()
	code, out, errs := finish(t, t.TempDir(), "ping", "/ip4/127.0.0.1/tcp/"+port, "--json", "--timeout", "500ms")
	if code != exitFailed || strings.Count(errs, "\n") != 1 || summaryOf(t, out)["sent"] != 0.0 {
		t.Errorf("exit %d, %q, %s", code, out, errs)
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("it took %v", d)
	}
}
