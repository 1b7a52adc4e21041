package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap/zapcore"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/inspect"
	"github.com/troupe-p2p/troupe/transports/websocket"

	ma "github.com/multiformats/go-multiaddr"
)

// upFlags are the flags of up as they were given.
type upFlags struct {
	listen, announce, noAnnounce []string
	cert, certKey, psk           string
	identity                     string
	ephemeral                    bool
	inspect, inspectToken        string
	serve, limits, security      string
	lateMuxer, json              bool
	logLevel                     string
}

// upPlan is what they mean.
type upPlan struct {
	upFlags
	at    []ma.Multiaddr
	demos []demonstration
	cfg   troupe.Config
	level zapcore.Level
}

// tokenVar is where a token can be put that should not be seen in the list of processes.
const tokenVar = "TROUPE_INSPECT_TOKEN"

func newUp() *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run a node until SIGINT or SIGTERM",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := wantPath(cmd, f.identity); err != nil {
				return err
			}
			if f.inspect == "" && cmd.Flags().Changed("inspect") {
				return fmt.Errorf("--inspect is empty")
			}
			p, err := f.plan()
			if err != nil {
				return err
			}
			// Further signals are ignored: the way down is bounded.
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return failed(up(ctx, p, &output{json: f.json, w: cmd.OutOrStdout()}, cmd.ErrOrStderr()))
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringArrayVar(&f.listen, "listen", nil, "`MULTIADDR` to listen on; may be repeated (default /ip4/0.0.0.0/tcp/0)")
	fs.StringVar(&f.cert, "cert", "", "`FILE` with the certificate to listen on /tls/ws with, read again when it changes")
	fs.StringVar(&f.certKey, "cert-key", "", "`FILE` with its key (default: that of --cert)")
	fs.StringVar(&f.psk, "psk", "", pskHelp)
	fs.StringVar(&f.identity, "identity", "", identityHelp)
	fs.BoolVar(&f.ephemeral, "ephemeral", false, "use an identity that is gone with the process")
	fs.StringVar(&f.inspect, "inspect", "", "show the tree and metrics over HTTP at `HOST:PORT`; troupe tree looks at 127.0.0.1:4002 first")
	fs.StringVar(&f.inspectToken, "inspect-token", "", "`TOKEN` that --inspect asks for, needed off loopback (default $"+tokenVar+")")
	fs.StringVar(&f.serve, "serve", "", "demonstration `PROTOCOLS` to serve: echo,perf,crash,hang,stuck")
	fs.StringVar(&f.limits, "limits", "", "`LIMITS` on what remotes may use: half-open=N,conns=N,conns-per-peer=N,conns-per-prefix=N,new-conns-per-prefix=N,streams=N,streams-per-conn=N,buffer-bytes=N")
	fs.StringVar(&f.security, "security", "", "security `PROTOCOLS`, the preferred first (default noise,tls)")
	fs.BoolVar(&f.lateMuxer, "no-early-muxer", false, "leave the muxer out of the security handshake")
	fs.StringArrayVar(&f.announce, "announce", nil, "`MULTIADDR` to tell peers beside those listened on; may be repeated")
	fs.StringArrayVar(&f.noAnnounce, "no-announce", nil, "`MULTIADDR` never to tell peers, with all that begin with it; may be repeated")
	fs.BoolVar(&f.json, "json", false, "print lines of JSON")
	fs.StringVar(&f.logLevel, "log-level", "warn", "`LEVEL` of what to log to stderr: debug, info, warn, error or off")
	return cmd
}

// plan finds what is wrong with the flags before anything is started or written.
func (f upFlags) plan() (*upPlan, error) {
	p := &upPlan{upFlags: f}
	if f.identity != "" && f.ephemeral {
		return nil, fmt.Errorf("--identity and --ephemeral exclude each other")
	}
	if f.cert == "" && f.certKey != "" {
		return nil, fmt.Errorf("--cert-key is of no use without --cert")
	}
	if err := setNetwork(&p.cfg, f.psk, websocket.Config{CertFile: f.cert, KeyFile: f.certKey}); err != nil {
		return nil, err
	}
	if len(f.listen) == 0 {
		f.listen = []string{"/ip4/0.0.0.0/tcp/0"}
	}
	var err error
	if p.at, err = parseAddrs("listen", f.listen); err != nil {
		return nil, err
	}
	for i, a := range p.at {
		if addrs.Transport(a) == "wss" && f.cert == "" {
			return nil, fmt.Errorf("--listen %q: needs --cert", f.listen[i])
		}
		if err := inNetwork(a, f.psk); err != nil {
			return nil, fmt.Errorf("--listen %q: %w", f.listen[i], err)
		}
	}
	if _, err = parseAddrs("announce", f.announce); err != nil {
		return nil, err
	}
	if _, err = parseAddrs("no-announce", f.noAnnounce); err != nil {
		return nil, err
	}
	p.cfg.Announce, p.cfg.NoAnnounce, p.cfg.NoEarlyMuxer = f.announce, f.noAnnounce, f.lateMuxer
	if p.demos, err = parseServe(f.serve); err != nil {
		return nil, err
	}
	if p.cfg.Limits, err = parseLimits(f.limits); err != nil {
		return nil, err
	}
	if p.cfg.Security, err = parseSecurity(f.security); err != nil {
		return nil, err
	}
	if p.level, err = parseLevel(f.logLevel); err != nil {
		return nil, err
	}
	return p, p.checkInspect()
}

// minToken is the shortest token that is not guessed in an afternoon.
const minToken = 16

func (p *upPlan) checkInspect() error {
	if p.inspect == "" {
		if p.inspectToken != "" {
			return fmt.Errorf("--inspect-token is of no use without --inspect")
		}
		return nil
	}
	if p.inspectToken == "" {
		p.inspectToken = os.Getenv(tokenVar)
	}
	if t := p.inspectToken; t != "" && (len(t) < minToken || strings.ContainsFunc(t, func(r rune) bool { return r <= ' ' || r > '~' })) {
		return fmt.Errorf("the token of --inspect must have %d characters or more, all printable ASCII without spaces", minToken)
	}
	if err := inspect.CheckAddr(p.inspect, p.inspectToken); err != nil {
		return fmt.Errorf("--inspect %w; use 127.0.0.1:PORT, or set --inspect-token", err)
	}
	return nil
}
