package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap/zapcore"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/pnet"
	"github.com/troupe-p2p/troupe/transports/quic"
	"github.com/troupe-p2p/troupe/transports/unix"
	"github.com/troupe-p2p/troupe/transports/webrtc"
	"github.com/troupe-p2p/troupe/transports/websocket"
	"github.com/troupe-p2p/troupe/transports/webtransport"

	ma "github.com/multiformats/go-multiaddr"
)

// parseLimits reads "half-open=N,conns=N".
func parseLimits(s string) (troupe.Limits, error) {
	var l troupe.Limits
	if s == "" {
		return l, nil
	}
	names := []string{"half-open", "conns", "conns-per-peer", "conns-per-prefix", "new-conns-per-prefix", "streams", "streams-per-conn", "buffer-bytes"}
	fields := []*int{
		&l.HalfOpen, &l.Conns, &l.ConnsPerPeer, &l.ConnsPerPrefix, &l.NewConnsPerPrefix, &l.Streams, &l.StreamsPerConn, &l.BufferBytes,
	}
	for item := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(item, "=")
		i := slices.Index(names, name)
		if i < 0 {
			return l, fmt.Errorf("--limits: there is no %q, there are %s", name, strings.Join(names, ", "))
		}
		n, err := strconv.ParseInt(value, 10, 32)
		switch {
		case err != nil || n < 1:
			return l, fmt.Errorf("--limits: %q: wanted is %s=N with N from 1 to %d", item, name, 1<<31-1)
		case *fields[i] != 0:
			return l, fmt.Errorf("--limits: %s is given twice", name)
		}
		*fields[i] = int(n)
	}
	return l, nil
}

// carried is how the bytes of a connection are protected and divided into streams.
func carried(c *troupe.Conn) string {
	if c.Security == "" { // the transport does both
		return addrs.Transport(c.Remote)
	}
	return c.Security + ", " + c.Muxer
}

// parseTarget reads the MULTIADDR of a command that dials it with the security protocols and the private
// network of flags.
func parseTarget(addr, security, psk string) (ma.Multiaddr, identity.ID, error) {
	a, err := addrs.ParseString(addr)
	var peer identity.ID
	if err == nil {
		a, peer, err = addrs.SplitPeer(a)
	}
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("MULTIADDR %q: %w", addr, err)
	case len(a) == 0:
		return nil, "", fmt.Errorf("MULTIADDR %q: says who, but not where", addr)
	case security != "" && slices.Contains(ownSecurity, addrs.Transport(a)):
		return nil, "", fmt.Errorf("--security: %s has one of its own", addrs.Transport(a))
	}
	if err := inNetwork(a, psk); err != nil {
		return nil, "", fmt.Errorf("MULTIADDR %q: %w", addr, err)
	}
	return a, peer, nil
}

const quicTransport = "quic-v1"

// ownSecurity are the transports that need none of ours.
var ownSecurity = []string{quicTransport, "webrtc-direct", "webtransport"}

// parseSecurity reads "noise,tls", the preferred first; "" means the default.
func parseSecurity(s string) ([]troupe.Security, error) {
	if s == "" {
		return nil, nil
	}
	known := map[string]troupe.Security{"noise": troupe.Noise, "tls": troupe.TLS}
	var out []troupe.Security
	for name := range strings.SplitSeq(s, ",") {
		p, ok := known[name]
		switch {
		case !ok:
			return nil, fmt.Errorf("--security: there is no %q, there are noise and tls", name)
		case slices.Contains(out, p):
			return nil, fmt.Errorf("--security: %s is given twice", name)
		}
		out = append(out, p)
	}
	return out, nil
}

const pskHelp = "`FILE` with the pre-shared key of a private network, a swarm.key as Kubo has it; no QUIC and no WebRTC then"

// setNetwork gives a node the transports that every command speaks, and puts it into the private network of a
// key file, unless that is "". ws is for WebSockets.
func setNetwork(cfg *troupe.Config, psk string, ws websocket.Config) error {
	cfg.Transports = []troupe.Transport{troupe.TCP, ws.Transport, unix.Config{}.Transport}
	if psk == "" {
		cfg.Transports = append(cfg.Transports, quic.Config{}.Transport, webtransport.Config{}.Transport, webrtc.Config{}.Transport)
		return nil
	}
	file, err := os.ReadFile(psk)
	if err == nil {
		cfg.PrivateNetwork, err = pnet.ParseKey(file)
	}
	if err != nil {
		return fmt.Errorf("--psk %q: %w", psk, err)
	}
	return nil
}

// inNetwork says whether an address can be had with the key of a private network, if there is one.
func inNetwork(a ma.Multiaddr, psk string) error {
	if psk != "" && slices.Contains(ownSecurity, addrs.Transport(a)) {
		return fmt.Errorf("a private network goes over TCP, WebSockets and Unix sockets, not over %s", addrs.Transport(a))
	}
	return nil
}

// parseAddrs reads the multiaddrs of a flag.
func parseAddrs(flag string, texts []string) ([]ma.Multiaddr, error) {
	var out []ma.Multiaddr
	for _, t := range texts {
		a, err := addrs.ParseString(t)
		if err != nil {
			return nil, fmt.Errorf("--%s %q: %w", flag, t, err)
		}
		out = append(out, a)
	}
	return out, nil
}

// noLogs is above every level.
const noLogs = zapcore.FatalLevel + 1

func parseLevel(s string) (zapcore.Level, error) {
	levels := map[string]zapcore.Level{
		"debug": zapcore.DebugLevel, "info": zapcore.InfoLevel, "warn": zapcore.WarnLevel, "error": zapcore.ErrorLevel, "off": noLogs,
	}
	l, ok := levels[s]
	if !ok {
		return 0, fmt.Errorf("--log-level %q: wanted is debug, info, warn, error or off", s)
	}
	return l, nil
}
