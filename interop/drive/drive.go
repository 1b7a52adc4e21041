// Package drive does what the commands of package control ask for, over whatever node it is given:
// the foreign Go peer and the Troupe peer differ only in how they connect and open streams.
//
//	node -> {"event":"ready"} -> one goroutine a command -> end of stdin -> close
package drive

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/interop/control"
)

// Node is a libp2p node of some make.
type Node interface {
	ID() string
	// Addrs are the addresses that the node listens on, with its ID.
	Addrs() []string
	// Reach connects to addr, or finds the connection to peer if addr is empty.
	Reach(ctx context.Context, addr, peer string) (id string, err error)
	// Open starts a stream on an existing connection; it never dials.
	Open(ctx context.Context, id, protocol string) (Stream, error)
	// Conn describes the oldest connection with a peer; nil if there is none.
	Conn(id string) *control.Conn
	// RemoteReset says whether an error means that the remote reset the stream, with what code.
	RemoteReset(err error) (code uint32, ok bool)
	// Commands are those that only this make of node knows.
	Commands() map[string]Command
	Close()
}

// Stream is a stream of such a node.
type Stream interface {
	io.ReadWriteCloser
	CloseWrite() error
	ResetWithCode(code uint32) error
	SetDeadline(time.Time) error
}

// Command carries out one request.
type Command func(context.Context, control.Request) (control.Reply, error)

// driver is a node at the command of stdin.
type driver struct {
	node     Node
	commands map[string]Command
}

// Run obeys stdin until it ends, and closes the node.
func Run(node Node) error {
	defer node.Close()
	d := &driver{node: node, commands: node.Commands()}
	for name, c := range map[string]Command{
		control.Connect:   d.connect,
		control.Echo:      d.echo,
		control.HalfClose: d.halfClose,
		control.Reset:     d.reset,
		control.Sequence:  d.sequence,
		control.Poke:      d.poke,
		control.Hold:      d.hold,
		control.Perf:      d.perf,
	} {
		d.commands[name] = c
	}
	out := &lines{enc: json.NewEncoder(os.Stdout)}
	out.print(control.Reply{Event: "ready", Peer: node.ID(), Addrs: node.Addrs()})

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
		running.Go(func() { out.print(d.answer(ctx, req)) })
	}
	return in.Err()
}

// defaultTimeout ends a command whose test gave none, so that no command outlives its test.
const defaultTimeout = 60 * time.Second

func (d *driver) answer(ctx context.Context, req control.Request) control.Reply {
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
	command, known := d.commands[req.Cmd]
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

// open starts a stream that ends with the command.
func (d *driver) open(ctx context.Context, id, protocol string) (Stream, error) {
	s, err := d.node.Open(ctx, id, protocol)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := s.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (d *driver) connect(ctx context.Context, req control.Request) (control.Reply, error) {
	id, err := d.node.Reach(ctx, req.Addr, req.Peer)
	if err != nil {
		return control.Reply{}, err
	}
	return d.reply(id), nil
}

// reply names the peer and the connection that a command used.
func (d *driver) reply(id string) control.Reply {
	return control.Reply{Peer: id, Conn: d.node.Conn(id)}
}

// Millis is a duration as the replies have it.
func Millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

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
