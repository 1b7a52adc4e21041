package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
)

// NodeConfig chooses a Troupe node. The zero value is an ephemeral node on a free port of
// 127.0.0.1 that serves nothing and can be inspected.
type NodeConfig struct {
	Key    string // "" makes it ephemeral; else an identity file of that type is given
	Serve  string // of --serve: "echo,perf,crash,hang,stuck"
	Limits string // of --limits: "half-open=256,streams-per-conn=2048"
	Over   string // "" for TCP, or WebRTC
}

// Node is a running `troupe up --json`.
type Node struct {
	*Proc
	ID      string
	Addrs   []string
	Inspect string

	mu     sync.Mutex
	events []Event
	more   chan struct{} // replaced and closed with every event
}

// Event is one line of a Troupe program's stdout: its name, and all of it.
type Event struct {
	Name   string
	Fields map[string]any
}

// Troupe builds the CLI and returns its path. A tree without cmd/troupe fails the test.
func Troupe(tb testing.TB) string {
	tb.Helper()
	return binary(tb, "troupe")
}

// StartNode runs `troupe up` until the end of the test.
func StartNode(tb testing.TB, cfg NodeConfig) *Node {
	tb.Helper()
	args := []string{"up", "--json", "--listen", "/ip4/127.0.0.1/" + portOf(cfg.Over) + "/0" + cfg.Over, "--inspect", "127.0.0.1:0"}
	if cfg.Key == "" {
		args = append(args, "--ephemeral")
	} else {
		args = append(args, "--identity", writeIdentity(tb, cfg.Key))
	}
	if cfg.Serve != "" {
		args = append(args, "--serve", cfg.Serve)
	}
	if cfg.Limits != "" {
		args = append(args, "--limits", cfg.Limits)
	}
	n := &Node{more: make(chan struct{})}
	n.Proc = start(tb, "troupe", Troupe(tb), args, home(tb), func(line []byte) { n.heard(tb, line) })
	tb.Cleanup(func() { // before finish, which waits for the end that this asks for
		if n.Alive() {
			_ = n.cmd.Process.Signal(os.Interrupt)
		}
	})
	ready := n.WaitFor(tb, startTimeout, "the node says that it is ready", "ready")
	n.ID, _ = ready.Fields["peer"].(string)
	n.Inspect, _ = ready.Fields["inspect"].(string)
	addrs, _ := ready.Fields["addrs"].([]any)
	for _, a := range addrs {
		if s, ok := a.(string); ok {
			n.Addrs = append(n.Addrs, s)
		}
	}
	if n.ID == "" || len(n.Addrs) == 0 || !strings.HasSuffix(n.Addrs[0], "/p2p/"+n.ID) || n.Inspect == "" {
		tb.Fatalf("the ready line lacks peer, addrs or inspect: %v", ready.Fields)
	}
	return n
}

// Addr is the first dialable address.
func (n *Node) Addr() string { return n.Addrs[0] }

func (n *Node) heard(tb testing.TB, line []byte) {
	fields := map[string]any{}
	if err := json.Unmarshal(line, &fields); err != nil {
		tb.Errorf("troupe printed no JSON: %q", line)
		return
	}
	name, _ := fields["event"].(string)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, Event{name, fields})
	close(n.more)
	n.more = make(chan struct{})
}

// Events returns the events of that name so far.
func (n *Node) Events(name string) []Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(n.events), func(e Event) bool { return e.Name != name })
}

// WaitFor returns the first event of that name, past or to come.
func (n *Node) WaitFor(tb testing.TB, within time.Duration, why, name string) Event {
	tb.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		n.mu.Lock()
		more := n.more
		n.mu.Unlock()
		if seen := n.Events(name); len(seen) > 0 {
			return seen[0]
		}
		select {
		case <-more:
		case <-n.exited:
			tb.Fatalf("%s: troupe ended first: %v", why, n.death())
		case <-deadline.C:
			tb.Fatalf("%s: no %q event within %v", why, name, within)
		}
	}
}

// closeLimit is what the contract of the CLI gives a node to stop: exit 0 within 10 s.
const closeLimit = 10 * time.Second

// Stop interrupts the node and returns the stragglers that its last line names. It fails the
// test if the node does not stop as promised.
func (n *Node) Stop(tb testing.TB) []string {
	tb.Helper()
	if err := n.cmd.Process.Signal(syscall.SIGINT); err != nil {
		tb.Fatalf("interrupt: %v", err)
	}
	if !n.wait(closeLimit) {
		tb.Fatalf("troupe did not stop within %v of SIGINT", closeLimit)
	}
	if n.exitErr != nil {
		tb.Fatalf("troupe stopped with %v, want exit 0", n.exitErr)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	last := n.events[len(n.events)-1]
	if last.Name != "stopped" {
		tb.Fatalf("the last line is %v, want the stopped event", last.Fields)
	}
	var names []string
	stragglers, _ := last.Fields["stragglers"].([]any)
	for _, s := range stragglers {
		names = append(names, fmt.Sprint(s))
	}
	return names
}

// PingSummary is the last line of `troupe ping --json`.
type PingSummary struct {
	Event     string  `json:"event"`
	Sent      int     `json:"sent"`
	Received  int     `json:"received"`
	P50       float64 `json:"p50_ms"`
	Max       float64 `json:"max_ms"`
	Peer      string  `json:"peer"`
	Transport string  `json:"transport"`
	Security  string  `json:"security"`
	Muxer     string  `json:"muxer"`
}

// Ping runs `troupe ping` against an address.
func Ping(tb testing.TB, addr string, count int) (PingSummary, error) {
	tb.Helper()
	cmd := exec.Command(Troupe(tb), "ping", addr, "--json", "--count", fmt.Sprint(count), "--interval", "10ms")
	cmd.Env = append(os.Environ(), home(tb)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	kill := time.AfterFunc(commandTimeout, func() { _ = cmd.Process.Kill() })
	out, err := cmd.Output()
	kill.Stop()
	if err != nil {
		return PingSummary{}, fmt.Errorf("troupe ping: %w\n%s%s", err, out, stderr.Bytes())
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	var s PingSummary
	if err := json.Unmarshal(lines[len(lines)-1], &s); err != nil || s.Event != "summary" {
		return PingSummary{}, errors.Join(fmt.Errorf("troupe ping's last line is no summary: %q", lines[len(lines)-1]), err)
	}
	if pongs := bytes.Count(out, []byte(`"pong"`)); pongs != count || s.Received != count {
		return s, fmt.Errorf("troupe ping: %d pong lines and %d received of %d", pongs, s.Received, count)
	}
	return s, nil
}

// home keeps a program under test away from the files of whoever runs the tests.
func home(tb testing.TB) []string {
	dir := tb.TempDir()
	return []string{"HOME=" + dir, "XDG_CONFIG_HOME=" + filepath.Join(dir, ".config")}
}

// writeIdentity writes a libp2p protobuf private key, made by go-libp2p, as an identity file.
func writeIdentity(tb testing.TB, key string) string {
	tb.Helper()
	types := map[string]int{
		"ed25519": crypto.Ed25519, "secp256k1": crypto.Secp256k1, "ecdsa": crypto.ECDSA, "rsa": crypto.RSA,
	}
	t, ok := types[key]
	if !ok {
		tb.Fatalf("unknown key type %q", key)
	}
	const rsaBits = 2048
	k, _, err := crypto.GenerateKeyPair(t, rsaBits)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := crypto.MarshalPrivateKey(k)
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), "key")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}
