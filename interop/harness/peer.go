package harness

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/interop/control"
)

// QUIC, WebTransport and WebRTC are for PeerConfig.Over.
const (
	QUIC         = "/quic-v1"
	WebTransport = "/quic-v1/webtransport"
	WebRTC       = "/webrtc-direct"
)

// PeerConfig chooses a peer. The zero value is a go-libp2p node that listens nowhere,
// offers Noise and TLS and has an Ed25519 key.
type PeerConfig struct {
	Kind     string // "go" (default), "js", or "troupe" for a node that can be told what to do
	Security string // "noise", "tls" or "both" (default)
	Key      string // "ed25519" (default), "secp256k1", "ecdsa" or "rsa"
	NoEarly  bool   // leave the muxer to multistream
	Listen   bool   // on a free port of 127.0.0.1
	Over     string // "" for TCP, "/ws" or "/tls/ws" for WebSockets, QUIC, WebTransport or WebRTC
	Unix     string // listen on this path and not on a port; not "go"
	PSK      string // file with the pre-shared key of a private network
	Cert     string // of Certificate, for "/tls/ws" at both ends
	Share    string // ends of addresses, as "/ws,/tls/ws", to listen on at the same port; "troupe" only
	RTC      int    // version of WebRTC-direct to dial with: 1 (default) or 2; not "js"
}

func (c PeerConfig) String() string {
	early := "early"
	if c.NoEarly {
		early = "fallback"
	}
	return strings.Join([]string{or(c.Kind, "go"), or(c.Security, "both"), early, or(c.Key, "ed25519")}, "/") + c.Over
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func portOf(over string) string {
	if strings.HasPrefix(over, QUIC) || over == WebRTC {
		return "udp"
	}
	return "tcp"
}

// UnixAddr is the address of a Unix socket as a kind of peer writes it: js-libp2p escapes the path, in
// whose text go-multiaddr has everything behind /unix.
func UnixAddr(kind, path string) string {
	if kind == "js" {
		return "/unix/" + url.PathEscape(path)
	}
	return "/unix" + path
}

// Peer is a node that does as it is told.
type Peer struct {
	*Proc
	Kind  string
	ID    string
	Addrs []string

	mu      sync.Mutex
	last    int
	waiting map[int]chan control.Reply
}

// StartPeer runs a peer until the end of the test.
func StartPeer(tb testing.TB, cfg PeerConfig) *Peer {
	tb.Helper()
	args := []string{"--security", or(cfg.Security, "both"), "--key", or(cfg.Key, "ed25519")}
	if cfg.NoEarly {
		args = append(args, "--no-early")
	}
	if cfg.RTC != 0 {
		args = append(args, "--webrtc", strconv.Itoa(cfg.RTC))
	}
	if cfg.Cert != "" {
		args = append(args, "--cert", cfg.Cert)
	}
	if cfg.PSK != "" {
		args = append(args, "--psk", cfg.PSK)
	}
	if cfg.Share != "" {
		args = append(args, "--share", cfg.Share)
	}
	switch {
	case cfg.Unix != "":
		args = append(args, "--listen", UnixAddr(cfg.Kind, cfg.Unix))
	case cfg.Listen:
		args = append(args, "--listen", "/ip4/127.0.0.1/"+portOf(cfg.Over)+"/0"+cfg.Over)
	}
	var path string
	var env []string
	switch or(cfg.Kind, "go") {
	case "go":
		path = binary(tb, "gopeer")
	case "troupe":
		path = binary(tb, "troupepeer")
	case "js":
		var err error
		if path, err = nodeJS(); err != nil {
			tb.Fatal(err)
		}
		dir, err := moduleDir()
		if err != nil {
			tb.Fatal(err)
		}
		args = append([]string{dir + "/jspeer/main.js"}, args...)
		if cfg.Cert != "" { // its WebSockets trust what node trusts, and take no other option
			env = append(env, "NODE_EXTRA_CA_CERTS="+cfg.Cert)
		}
	default:
		tb.Fatalf("unknown kind of peer %q: go, js or troupe", cfg.Kind)
	}
	p := startPeer(tb, or(cfg.Kind, "go"), cfg.String(), path, args, env)
	if cfg.Listen && len(p.Addrs) == 0 {
		tb.Fatalf("%s listens nowhere", p.Name)
	}
	return p
}

// startPeer runs a program that speaks the language of package control.
func startPeer(tb testing.TB, kind, name, path string, args, env []string) *Peer {
	tb.Helper()
	p := &Peer{Kind: kind, waiting: map[int]chan control.Reply{}}
	ready := make(chan control.Reply, 1)
	p.Proc = start(tb, name, path, args, env, func(line []byte) { p.heard(tb, line, ready) })
	select {
	case r := <-ready:
		p.ID, p.Addrs = r.Peer, r.Addrs
	case <-p.exited:
		tb.Fatalf("%s ended before it was ready: %v", p.Name, p.death())
	case <-time.After(startTimeout):
		tb.Fatalf("%s was not ready within %v", p.Name, startTimeout)
	}
	return p
}

// Addr is the first address, with the peer's ID.
func (p *Peer) Addr() string { return p.Addrs[0] }

func (p *Peer) heard(tb testing.TB, line []byte, ready chan<- control.Reply) {
	var r control.Reply
	if err := json.Unmarshal(line, &r); err != nil {
		tb.Errorf("%s printed no JSON: %q", p.Name, line)
		return
	}
	if r.Event == "ready" {
		ready <- r
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.waiting[r.ID]; c != nil {
		delete(p.waiting, r.ID)
		c <- r
	}
}

// Begin sends a command and returns a function that waits for its reply, for commands that
// run beside others.
func (p *Peer) Begin(req control.Request, timeout time.Duration) func() (control.Reply, error) {
	c := make(chan control.Reply, 1)
	p.mu.Lock()
	p.last++
	req.ID = p.last
	p.waiting[req.ID] = c
	p.mu.Unlock()
	req.TimeoutMS = int(timeout.Milliseconds())
	b, err := json.Marshal(req)
	if err == nil {
		err = p.send(b)
	}
	if err != nil {
		return func() (control.Reply, error) { return control.Reply{}, err }
	}
	// The peer's own deadline comes first and says more; ours is for a peer that hangs.
	const grace = 5 * time.Second
	deadline := time.NewTimer(timeout + grace)
	return func() (control.Reply, error) {
		defer deadline.Stop()
		select {
		case r := <-c:
			if r.Event == "error" {
				return r, fmt.Errorf("%s: %s: %s", p.Name, req.Cmd, r.Error)
			}
			return r, nil
		case <-p.exited:
			return control.Reply{}, fmt.Errorf("%s ended during %s: %w", p.Name, req.Cmd, p.death())
		case <-deadline.C:
			return control.Reply{}, fmt.Errorf("%s: %s: no answer within %v", p.Name, req.Cmd, timeout)
		}
	}
}

// commandTimeout is for commands that finish at once on an idle machine.
const commandTimeout = 20 * time.Second

// Do sends a command and waits for its reply.
func (p *Peer) Do(req control.Request) (control.Reply, error) {
	return p.Begin(req, commandTimeout)()
}

// Must is Do for commands that the test cannot go on without; why says what it wanted.
func (p *Peer) Must(tb testing.TB, why string, req control.Request) control.Reply {
	tb.Helper()
	return p.MustWithin(tb, commandTimeout, why, req)
}

// MustWithin is Must with a deadline of its own.
func (p *Peer) MustWithin(tb testing.TB, timeout time.Duration, why string, req control.Request) control.Reply {
	tb.Helper()
	r, err := p.Begin(req, timeout)()
	if err != nil {
		tb.Fatalf("%s: %v", why, err)
	}
	return r
}

// Eventually polls check until it is content, and fails with its last complaint.
func Eventually(tb testing.TB, within time.Duration, why string, check func() error) {
	tb.Helper()
	const every = 20 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			tb.Fatalf("%s: not within %v: %v", why, within, err)
		}
	}
}
