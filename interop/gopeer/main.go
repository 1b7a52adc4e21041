// Command gopeer is a go-libp2p node that does what a test tells it, line by line; the language
// is package control's. It is the foreign peer that Troupe is measured against, so it uses
// nothing of Troupe but the names of the test protocols.
//
//	flags -> host -> {"event":"ready"} -> one goroutine a command -> end of stdin -> close
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/interop/control"
)

func main() {
	log.SetFlags(log.Lmicroseconds)
	log.SetPrefix("gopeer: ")
	var cfg hostConfig
	listen := flag.String("listen", "", "comma-separated multiaddrs to listen on; none by default")
	flag.StringVar(&cfg.Security, "security", "both", "noise, tls or both")
	flag.StringVar(&cfg.Key, "key", "ed25519", "ed25519, secp256k1, ecdsa or rsa")
	flag.BoolVar(&cfg.NoEarly, "no-early", false, "agree on the muxer by multistream, not inside the handshake")
	flag.Parse()
	if *listen != "" {
		cfg.Listen = strings.Split(*listen, ",")
	}
	if err := run(cfg); err != nil {
		log.Fatal(err)
	}
}

func run(cfg hostConfig) error {
	p, err := newPeer(cfg)
	if err != nil {
		return err
	}
	defer p.close()
	out := &lines{enc: json.NewEncoder(os.Stdout)}
	out.print(control.Reply{Event: "ready", Peer: p.host.ID().String(), Addrs: p.addrs()})

	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var req control.Request
		if err := json.Unmarshal(in.Bytes(), &req); err != nil {
			return fmt.Errorf("not a command: %w", err)
		}
		running.Go(func() { out.print(p.answer(ctx, req)) })
	}
	return in.Err()
}

// defaultTimeout ends a command whose test gave none, so that no command outlives its test.
const defaultTimeout = 60 * time.Second

func (p *peerProgram) answer(ctx context.Context, req control.Request) control.Reply {
	timeout := defaultTimeout
	if req.TimeoutMS > 0 {
		timeout = time.Duration(req.TimeoutMS) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if req.Protocol == "" {
		req.Protocol = control.EchoProtocol
	}
	req.Streams = max(req.Streams, 1)
	req.Concurrency = max(req.Concurrency, 1)
	command, known := p.commands()[req.Cmd]
	if !known {
		return control.Reply{ID: req.ID, Event: "error", Error: "unknown command " + req.Cmd}
	}
	reply, err := command(ctx, req)
	reply.ID = req.ID
	reply.Event = "result"
	if err != nil {
		reply.Event, reply.Error = "error", err.Error()
	}
	return reply
}

// lines prints one JSON object a line, whoever calls.
type lines struct {
	mu  sync.Mutex
	enc *json.Encoder
}

func (l *lines) print(r control.Reply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.enc.Encode(r); err != nil {
		log.Fatalf("stdout is gone: %v", err)
	}
}
