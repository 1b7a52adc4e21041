package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-p2p/troupe/transports/websocket"
)

// pingFlags are the flags of ping.
type pingFlags struct {
	count             int
	interval, timeout time.Duration
	identity          string
	security, psk     string
	lateMuxer, json   bool
}

// pongLine is one answer.
type pongLine struct {
	Event string  `json:"event"`
	Seq   int     `json:"seq"`
	RTT   float64 `json:"rtt_ms"`
}

// lostLine is a ping that did not come back.
type lostLine struct {
	Event string `json:"event"`
	Seq   int    `json:"seq"`
	Error string `json:"error"`
}

// summaryLine is the last, whatever came before. The times are null when nothing came back, and
// the last three are empty when there was no connection.
type summaryLine struct {
	Event     string   `json:"event"`
	Sent      int      `json:"sent"`
	Received  int      `json:"received"`
	P50       *float64 `json:"p50_ms"`
	Max       *float64 `json:"max_ms"`
	Peer      string   `json:"peer"`
	Transport string   `json:"transport"`
	Security  string   `json:"security"`
	Muxer     string   `json:"muxer"`
}

func newPing() *cobra.Command {
	var f pingFlags
	cmd := &cobra.Command{
		Use:   "ping MULTIADDR",
		Short: "Measure round trips to a node, with or without /p2p/ID in its address",
		Args:  oneArg("MULTIADDR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := f.plan(args[0])
			if err != nil {
				return err
			}
			if err := wantPath(cmd, f.identity); err != nil {
				return err
			}
			p.out = &output{json: f.json, w: cmd.OutOrStdout()}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return failed(p.run(ctx, cmd.ErrOrStderr()))
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.IntVar(&f.count, "count", 5, "`NUMBER` of pings; 0: until interrupted")
	fs.DurationVar(&f.interval, "interval", time.Second, "`TIME` from one ping to the next")
	fs.DurationVar(&f.timeout, "timeout", 10*time.Second, "`TIME` to wait for the connection and for each answer")
	fs.StringVar(&f.identity, "identity", "", "identity `FILE` to ping as, made if it is not there (default: an identity for this time only)")
	fs.StringVar(&f.psk, "psk", "", pskHelp)
	fs.StringVar(&f.security, "security", "", "security `PROTOCOLS`, the preferred first (default noise,tls)")
	fs.BoolVar(&f.lateMuxer, "no-early-muxer", false, "leave the muxer out of the security handshake")
	fs.BoolVar(&f.json, "json", false, "print lines of JSON")
	return cmd
}

func (f pingFlags) plan(addr string) (*pinger, error) {
	p := &pinger{pingFlags: f}
	var err error
	p.addr, p.peer, err = parseTarget(addr, f.security, f.psk)
	switch {
	case err != nil:
		return nil, err
	case f.count < 0:
		return nil, fmt.Errorf("--count %d: wanted is 0 or more", f.count)
	case f.interval < 0:
		return nil, fmt.Errorf("--interval %v: wanted is 0 or more", f.interval)
	case f.timeout <= 0:
		return nil, fmt.Errorf("--timeout %v: wanted is more than 0", f.timeout)
	}
	p.cfg.NoEarlyMuxer, p.cfg.DialTimeout = f.lateMuxer, f.timeout
	if p.cfg.Security, err = parseSecurity(f.security); err != nil {
		return nil, err
	}
	return p, setNetwork(&p.cfg, f.psk, websocket.Config{})
}
