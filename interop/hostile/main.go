// Command hostile attacks one node on the loopback interface and reports what became of it. It
// is cheap on purpose: raw sockets and hand-made frames, no node of its own, because an attacker
// does not follow the protocol further than it serves the attack.
//
//	hostile silent      hold connections that never say a word, dial again what is closed
//	hostile syn-rst     a secured yamux connection that opens and resets streams, nothing else
//	hostile never-read  a secured yamux connection that asks for replies and never reads one
//
// It prints {"event":"ready"} when the attack is on and {"event":"result"} when it has ended:
// with stdin, with the victim's closing of the connection, or after -for.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"time"

	"github.com/troupe-p2p/troupe/interop/control"
)

// attack is the command line.
type attack struct {
	kind    string
	addr    string // multiaddr with /p2p
	conns   int
	sources int
	redial  time.Duration
	bytes   int64
}

func main() {
	log.SetFlags(log.Lmicroseconds)
	log.SetPrefix("hostile: ")
	if len(os.Args) < 2 {
		log.Fatal("which attack: silent, syn-rst or never-read?")
	}
	a := attack{kind: os.Args[1]}
	flags := flag.NewFlagSet(a.kind, flag.ExitOnError)
	flags.StringVar(&a.addr, "addr", "", "the victim: /ip4/127.0.0.1/tcp/PORT/p2p/ID")
	flags.IntVar(&a.conns, "conns", 1024, "silent: connections to hold")
	flags.IntVar(&a.sources, "sources", 1, "silent: addresses of 127/8 to come from")
	flags.DurationVar(&a.redial, "redial", 50*time.Millisecond, "silent: wait before dialling again, a stand-in for a round trip")
	flags.Int64Var(&a.bytes, "bytes", 10<<20, "syn-rst: bytes of frames to send")
	limit := flags.Duration("for", 60*time.Second, "end the attack after this time")
	_ = flags.Parse(os.Args[2:])

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	go func() { // the test that started us is gone or has seen enough
		_, _ = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
		cancel()
	}()
	run := map[string]func(context.Context, attack) (control.Hostile, error){
		"silent": silent, "syn-rst": synRST, "never-read": neverRead,
	}[a.kind]
	if run == nil {
		log.Fatalf("unknown attack %q: silent, syn-rst or never-read", a.kind)
	}
	if err := loopbackOnly(a.addr); err != nil {
		log.Fatal(err)
	}
	seen, err := run(ctx, a)
	if err != nil {
		log.Fatal(err)
	}
	say(control.Reply{Event: "result", Hostile: &seen})
}

func ready() { say(control.Reply{Event: "ready"}) }

func say(r control.Reply) {
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		log.Fatal(err)
	}
}

// loopbackOnly keeps this program from ever being pointed at somebody else.
func loopbackOnly(addr string) error {
	host, _, _, err := target(addr)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%s is not a loopback address, and nothing else is attacked", host)
	}
	return nil
}
