package drive

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/bench/control"
)

// Main is a peer program: its flags, and its loop until the end of stdin. It returns the exit code.
func Main(name string, makeNode Maker) int {
	var cfg Config
	flag.StringVar(&cfg.Listen, "listen", "", "`multiaddr` to listen on; none by default")
	flag.StringVar(&cfg.Security, "security", "noise", "noise, tls, or in place of TCP quic, ws, unix, webtransport or webrtc")
	flag.BoolVar(&cfg.Blocking, "blocking", false, "serve by goroutines where there is a choice")
	flag.Parse()
	if err := run(cfg, makeNode); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// driver is one peer program.
type driver struct {
	cfg      Config
	makeNode Maker
	node     Node

	out sync.Mutex

	mu      sync.Mutex
	crowd   []Node
	held    []Stream
	profile *os.File
}

func run(cfg Config, makeNode Maker) error {
	n, err := makeNode(cfg)
	if err != nil {
		return err
	}
	d := &driver{cfg: cfg, makeNode: makeNode, node: n}
	if err := d.say(control.Reply{Event: "ready", Peer: n.ID(), Addrs: n.Addrs()}); err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var req control.Request
		if err := json.Unmarshal(in.Bytes(), &req); err != nil {
			return err
		}
		go func() {
			r, err := d.do(req)
			r.ID, r.Event = req.ID, "result"
			if err != nil {
				r.Event, r.Error = "error", err.Error()
			}
			_ = d.say(r) // who does not listen any more has closed stdin as well
		}()
	}
	// The process ends with all that it holds: how long a node takes to close is not measured.
	return in.Err()
}

func (d *driver) say(r control.Reply) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	d.out.Lock()
	defer d.out.Unlock()
	_, err = os.Stdout.Write(append(b, '\n'))
	return err
}

// timeout bounds a command, so that a measure that hangs is an error and not a night.
const timeout = 10 * time.Minute

func (d *driver) do(req control.Request) (control.Reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	switch req.Cmd {
	case control.Connect:
		id, err := d.node.Connect(ctx, req.Addr)
		return control.Reply{Peer: id}, err
	case control.Upload, control.Download:
		return d.transfer(ctx, req)
	case control.Requests:
		return d.requests(ctx, req)
	case control.Connects:
		return d.connects(ctx, req)
	case control.Ping:
		return d.ping(ctx, req)
	case control.Hold:
		return d.hold(ctx, req)
	case control.Crowd:
		return d.gather(ctx, req)
	case control.PingBack:
		return d.pingBack(ctx, req)
	case control.Stats:
		return d.stats(req)
	case control.Profile:
		return d.toggleProfile(req)
	}
	return control.Reply{}, errors.New("unknown command " + req.Cmd)
}
