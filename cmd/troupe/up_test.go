//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/inspect"
	"github.com/troupe-p2p/troupe/protocols/demo"
	"github.com/troupe-p2p/troupe/protocols/echo"
	"github.com/troupe-p2p/troupe/stream"

	"encoding/json"
)

// peer is a node in this process that is connected to one that runs.
func peer(t *testing.T, to *upProc) (*troupe.System, *troupe.Conn, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	t.Cleanup(cancel)
	s, err := troupe.New(troupe.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	c, err := s.DialAddr(ctx, to.addr)
	if err != nil {
		t.Fatal(err)
	}
	return s, c, ctx
}

func page(t *testing.T, n *upProc) inspect.Page {
	t.Helper()
	var p inspect.Page
	if err := json.Unmarshal([]byte(fetch(t, n.url+"/tree?stacks=1", 200)), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func fetch(t *testing.T, url string, code int, headers ...string) string {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{Timeout: soon, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != code {
		t.Fatalf("GET %s: %s, %v: %s", url, resp.Status, err, b)
	}
	return string(b)
}

// paths are those of actors and all below them.
func paths(as []inspect.Actor) []string {
	var out []string
	for _, a := range as {
		out = append(append(out, a.Path), paths(a.Children)...)
	}
	return out
}

// demoHandlers are the paths of the handlers that hang or are stuck; those of identify come and go.
func demoHandlers(as []inspect.Actor) []string {
	var out []string
	for _, a := range as {
		if p := a.Values["protocol"]; p == demo.HangProtocol || p == demo.StuckProtocol {
			out = append(out, paths(a.Children)...)
		}
		out = append(out, demoHandlers(a.Children)...)
	}
	return out
}

func TestUpSaysReadyByteForByteAndStopsOnSIGTERM(t *testing.T) {
	n := bringUp(t)
	want := regexp.MustCompile(`^\{"event":"ready","peer":"(12D3KooW\w+)",` +
		`"addrs":\["/ip4/127\.0\.0\.1/tcp/[1-9]\d*/p2p/12D3KooW\w+"\],"inspect":"http://127\.0\.0\.1:[1-9]\d*"\}$`)
	if m := want.FindStringSubmatch(n.ready); m == nil || !strings.HasSuffix(n.addr, "/p2p/"+m[1]) {
		t.Errorf("ready is %s", n.ready)
	}
	if s := n.stop(t, syscall.SIGTERM); len(s) != 0 {
		t.Errorf("stragglers %v", s)
	}
	if n.stderr.String() != "" {
		t.Errorf("stderr: %s", n.stderr)
	}
}

func TestUpWithoutFlagsListensWhereItCanBeDialled(t *testing.T) {
	home := t.TempDir()
	n := upWith(t, home, "up", "--json")
	if n.url != "" || strings.Contains(n.ready, "inspect") {
		t.Errorf("it is inspected without being asked: %s", n.ready)
	}
	if !strings.HasPrefix(n.addr, "/ip4/127.0.0.1/tcp/") || strings.Contains(n.ready, "0.0.0.0") {
		t.Errorf("ready is %s", n.ready)
	}
	if code, out, errs := finish(t, t.TempDir(), "ping", n.addr, "--count", "1"); code != exitDone {
		t.Errorf("ping: exit %d, %q, %s", code, out, errs)
	}
	n.stop(t, os.Interrupt)

	again := upWith(t, home, "up", "--json")
	if again.id != n.id {
		t.Errorf("it was %s and is %s", n.id, again.id)
	}
	again.stop(t, os.Interrupt)
	if info, err := os.Stat(filepath.Join(home, "troupe", "key")); err != nil || info.Mode() != 0o600 {
		t.Errorf("the key file: %v %v", info, err)
	}
}

func TestUpForPeople(t *testing.T) {
	n := start(t, t.TempDir(), "up", "--ephemeral", "--listen", "/ip4/127.0.0.1/tcp/0", "--inspect", "127.0.0.1:0", "--serve", "echo")
	var head []string
	for len(head) == 0 || !strings.Contains(head[len(head)-1], "Ctrl-C") {
		head = append(head, n.next(t, "what a person sees first"))
	}
	text := strings.Join(head, "\n")
	for _, want := range []string{"is up", "listening  /ip4/127.0.0.1/tcp/", "serving    /troupe/echo/1.0.0", "inspect    http://127.0.0.1:"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	_ = n.cmd.Process.Signal(os.Interrupt)
	if code, rest := n.end(t, promised); code != exitDone || rest[len(rest)-1] != "stopped" {
		t.Errorf("exit %d, %q", code, rest)
	}
}

func TestUpTellsOfConnections(t *testing.T) {
	n := bringUp(t)
	s, _, ctx := peer(t, n)
	e := n.want(t, "the peer connects", "connected")
	if e.str("peer") != s.ID().String() || e.str("direction") != "inbound" || e.str("transport") != "tcp" ||
		e.str("security") != "/noise" || e.str("muxer") != "/yamux/1.0.0" || !strings.HasPrefix(e.str("addr"), "/ip4/127.0.0.1/tcp/") {
		t.Errorf("%v", e)
	}
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
	if e := n.want(t, "the peer leaves", "disconnected"); e.str("peer") != s.ID().String() {
		t.Errorf("%v", e)
	}
	n.stop(t, syscall.SIGTERM)
}

func TestUpThatCannotListenFailsInOneLine(t *testing.T) {
	n := bringUp(t)
	taken := strings.Split(n.addr, "/p2p/")[0]
	code, out, errs := finish(t, t.TempDir(), "up", "--json", "--ephemeral", "--listen", taken)
	if code != exitFailed || len(out) != 0 || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "listen_failed") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	hostport := strings.TrimPrefix(n.url, "http://")
	code, out, errs = finish(t, t.TempDir(), "up", "--json", "--ephemeral", "--listen", "/ip4/127.0.0.1/tcp/0", "--inspect", hostport)
	if code != exitFailed || len(out) != 0 || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "--inspect") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
}

func TestServedEchoEchoes(t *testing.T) {
	n := bringUp(t, "--serve", "echo")
	s, c, ctx := peer(t, n)
	st, err := s.Open(ctx, c.Peer, echo.Protocol)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	_ = st.CloseWrite()
	if b, err := io.ReadAll(st); err != nil || string(b) != "hello" {
		t.Errorf("%q %v", b, err)
	}
	if _, err := s.OpenWith(ctx, c.Peer, troupe.OpenOptions{Confirm: true}, demo.CrashProtocol); !errors.Is(err, troupe.ErrProtocolNotSupported) {
		t.Errorf("crash, which was not asked for, is served: %v", err)
	}
	n.stop(t, syscall.SIGTERM)
}

func TestServedCrashCostsOneStreamAndIsTold(t *testing.T) {
	n := bringUp(t, "--serve", "crash,echo", "--log-level", "off")
	s, c, ctx := peer(t, n)
	st, err := s.Open(ctx, c.Peer, demo.CrashProtocol)
	if err != nil {
		t.Fatal(err)
	}
	_, err = st.Write([]byte("bang"))
	if err == nil {
		_, err = st.Read(make([]byte, 1))
	}
	if code, want := fmt.Sprintf("%v", err), fmt.Sprintf("%#x", stream.CodeHandlerPanic); !strings.Contains(code, want) {
		t.Errorf("the stream ends with %v, want code %s", err, want)
	}
	e := n.want(t, "the panic is told", "panic")
	if e.str("path") == "" || !strings.Contains(e.str("error"), "panic in") {
		t.Errorf("%v", e)
	}
	p := page(t, n)
	if len(p.Failures) != 1 || p.Failures[0].Actor != e.str("path") || !strings.Contains(p.Failures[0].Stack, "demo") {
		t.Errorf("failures in the tree: %+v", p.Failures)
	}
	if !slices.ContainsFunc(p.Dead, func(d inspect.Dead) bool { return d.Path == e.str("path") && d.Kind == "crash" }) {
		t.Errorf("the dead in the tree: %+v", p.Dead)
	}
	if body := fetch(t, n.url+"/metrics", 200); !strings.Contains(body, "\ntroupe_recent_failures 1\n") {
		t.Error("the panic is not in the metrics")
	}
	if n.stderr.String() != "" {
		t.Errorf("logs at level off: %s", n.stderr)
	}
	n.stop(t, syscall.SIGTERM)
}

// TestStopNamesWhoIsStuck: an actor that never leaves Receive and a task that never returns hold
// nobody up beyond the deadline, and the last line names both.
func TestStopNamesWhoIsStuck(t *testing.T) {
	t.Parallel()
	n := bringUp(t, "--serve", "hang,stuck", "--log-level", "off")
	s, c, ctx := peer(t, n)
	for _, proto := range []string{demo.HangProtocol, demo.StuckProtocol} {
		if _, err := s.OpenWith(ctx, c.Peer, troupe.OpenOptions{Confirm: true}, proto); err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	eventually(t, "both handlers run", func() error {
		if want = demoHandlers(page(t, n).Roots); len(want) != 2 {
			return fmt.Errorf("handlers %q", want)
		}
		return nil
	})
	got := n.stop(t, os.Interrupt)
	for _, path := range want {
		if !slices.Contains(got, any(path)) {
			t.Errorf("%s is not among the stragglers %q", path, got)
		}
	}
}

// TestPeerThatLeavesStuckHandlersBehind: they are listed as abandoned, and drawn.
func TestPeerThatLeavesStuckHandlersBehind(t *testing.T) {
	n := bringUp(t, "--serve", "hang,stuck", "--log-level", "off")
	s, c, ctx := peer(t, n)
	for _, proto := range []string{demo.HangProtocol, demo.StuckProtocol} {
		if _, err := s.OpenWith(ctx, c.Peer, troupe.OpenOptions{Confirm: true}, proto); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "both handlers run", func() error {
		if is := demoHandlers(page(t, n).Roots); len(is) != 2 {
			return fmt.Errorf("handlers %q", is)
		}
		return nil
	})
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are given up", func() error {
		p := page(t, n)
		var phases, stacks []string
		for _, a := range p.Abandoned {
			phases = append(phases, a.Phase)
			stacks = append(stacks, a.Stack)
		}
		slices.Sort(phases)
		if strings.Join(phases, " ") != "abandoned stray" {
			return fmt.Errorf("phases %q", phases)
		}
		if text := strings.Join(stacks, ""); !strings.Contains(text, "stuck.Receive(") || !strings.Contains(text, ".Hang.") {
			return fmt.Errorf("stacks %s", text)
		}
		if text := strings.Join(paths(p.Roots), " "); strings.Contains(text, "/handler") {
			return errors.New(text)
		}
		return nil
	})
	code, out, errs := finish(t, t.TempDir(), "tree", "--inspect", n.url)
	text := strings.Join(out, "\n")
	if code != exitDone || !strings.Contains(text, "\nabandoned: they did not come back after their stop\n") || !strings.Contains(text, "/handler") {
		t.Errorf("exit %d, %s\n%s", code, errs, text)
	}
	if body := fetch(t, n.url+"/metrics", 200); !strings.Contains(body, "\ntroupe_abandoned_actors 1\n") || !strings.Contains(body, "\ntroupe_stray_tasks 1\n") {
		t.Error("they are not in the metrics")
	}
}

func TestLimitsAreEnforcedAndShown(t *testing.T) {
	n := bringUp(t, "--limits", "conns-per-peer=1,streams-per-conn=64,conns=32")
	s, _, ctx := peer(t, n)
	fetchLine := func() error {
		body := fetch(t, n.url+"/metrics", 200)
		for _, want := range []string{
			"\ntroupe_limit_cap{limit=\"conns\"} 32\n", "\ntroupe_limit_used{limit=\"conns\"} 1\n",
			"\ntroupe_limit_used{limit=\"half-open-out\"} 0\n", "\ntroupe_limit_used{limit=\"buffer-bytes\"} ", "\ntroupe_limit_used{limit=\"streams\"} ",
			"\ntroupe_connections{direction=\"inbound\",muxer=\"/yamux/1.0.0\",security=\"/noise\",transport=\"tcp\"} 1\n",
		} {
			if !strings.Contains(body, want) {
				return errors.New("no " + want)
			}
		}
		return nil
	}
	eventually(t, "the connection is counted", fetchLine)
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
	n.stop(t, syscall.SIGTERM)
}

func TestInspectionTokenIsWanted(t *testing.T) {
	const token = "0123456789abcdef"
	n := upWith(t, t.TempDir(), "up", "--json", "--ephemeral", "--listen", "/ip4/127.0.0.1/tcp/0",
		"--inspect", "0.0.0.0:0", "--inspect-token", token)
	if !strings.HasPrefix(n.url, "http://127.0.0.1:") {
		t.Fatalf("the URL is %s", n.url)
	}
	fetch(t, n.url+"/tree", 401)
	fetch(t, n.url+"/tree", 200, "Authorization", "Bearer "+token)
	code, _, errs := finish(t, t.TempDir(), "tree", "--inspect", n.url)
	if code != exitFailed || !strings.Contains(errs, "401") || strings.Count(errs, "\n") != 1 {
		t.Errorf("tree without: exit %d, %s", code, errs)
	}
	if code, _, errs := finish(t, t.TempDir(), "tree", "--inspect", n.url, "--inspect-token", token); code != exitDone {
		t.Errorf("tree with: exit %d, %s", code, errs)
	}
	n.stop(t, syscall.SIGTERM)
}

// TestStopThatNobodyReads: a program that does not read its end of the pipe cannot keep the node
// up. The last line is lost then, which is a failure.
func TestStopThatNobodyReads(t *testing.T) {
	t.Parallel()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	cmd := exec.Command(path, "up", "--json", "--ephemeral", "--listen", "/ip4/127.0.0.1/tcp/0")
	var errs buffer
	cmd.Stdout, cmd.Stderr = w, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	ended := make(chan error, 1)
	defer func() { _ = cmd.Process.Kill() }()
	var first [4096]byte
	n, err := r.Read(first[:])
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(first[:n]), "\n")
	go func() { ended <- cmd.Wait() }()
	fill(t, parse(t, line)["addrs"].([]any)[0].(string))
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err = <-ended:
	case <-time.After(promised + 2*time.Second):
		t.Fatal("it waits for its reader for ever")
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(errs.String(), "nobody reads stdout") {
		t.Errorf("%v, %s", err, &errs)
	}
}

// fill makes more events than a pipe holds: each handshake that fails is one, of a good hundred bytes.
func fill(t *testing.T, addr string) {
	t.Helper()
	hostport := "127.0.0.1:" + strings.Split(addr, "/")[4]
	for range 1500 {
		c, err := net.DialTimeout("tcp", hostport, soon)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c) // until the node has noticed
		_ = c.Close()
	}
}
