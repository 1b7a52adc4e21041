// Command troupepeer is the Troupe node of the benchmark: TCP, one security protocol and yamux,
// or QUIC; limits out of the way. It uses nothing but Troupe's public packages.
package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"sync"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/quic"
	"github.com/troupe-p2p/troupe/transports/unix"
	"github.com/troupe-p2p/troupe/transports/webrtc"
	"github.com/troupe-p2p/troupe/transports/websocket"
	"github.com/troupe-p2p/troupe/transports/webtransport"

	"github.com/troupe-p2p/troupe/bench/drive"
)

func main() { os.Exit(drive.Main("troupepeer", newNode)) }

// node is a Troupe node, and what has been heard of its connections.
type node struct {
	sys *troupe.System

	mu    sync.Mutex
	heard map[uint64]troupe.EventKind // the last of each connection
	more  chan struct{}               // replaced and closed with every event
}

// unlimited is out of the way of every measure.
const unlimited = math.MaxInt32

// crowd is the runtime of all nodes of a crowd: an actor system of its own for each would cost more
// than the node.
var crowd = sync.OnceValue(func() *actors.Runtime { return actors.Live(actors.Options{}) })

func newNode(cfg drive.Config) (drive.Node, error) {
	c := troupe.Config{Limits: troupe.Limits{
		Conns: unlimited, ConnsPerPeer: unlimited, HalfOpen: unlimited, HalfOpenOut: unlimited,
		StreamsPerConn: unlimited, Streams: unlimited, BufferBytes: unlimited,
	}}
	switch cfg.Security {
	case "noise":
		c.Security = []troupe.Security{troupe.Noise}
	case "tls":
		c.Security = []troupe.Security{troupe.TLS}
	case "quic":
		c.Transports = []troupe.Transport{quic.Config{}.Transport}
	case "ws":
		c.Security, c.Transports = []troupe.Security{troupe.Noise}, []troupe.Transport{websocket.Config{}.Transport}
	case "webtransport":
		c.Transports = []troupe.Transport{webtransport.Config{}.Transport}
	case "webrtc":
		c.Transports = []troupe.Transport{webrtc.Config{}.Transport}
	case "unix":
		c.Security, c.Transports = []troupe.Security{troupe.Noise}, []troupe.Transport{unix.Config{}.Transport}
	default:
		return nil, fmt.Errorf("unknown security %q: noise, tls, quic, ws, unix, webtransport or webrtc", cfg.Security)
	}
	if cfg.Crowd {
		c.Runtime = crowd()
	}
	if cfg.Listen != "" {
		c.Listen = []string{cfg.Listen}
	}
	sys, err := troupe.New(c)
	if err != nil {
		return nil, err
	}
	for id, h := range handlers(cfg.Blocking) {
		if err := sys.Handle(id, h); err != nil {
			return nil, err
		}
	}
	n := &node{sys: sys, heard: map[uint64]troupe.EventKind{}, more: make(chan struct{})}
	if cfg.Listen == "" { // who listens does not wait for connections of its own
		go n.listenToEvents(sys.Subscribe(context.Background(), 0)) // before anything can happen
	}
	return n, nil
}

func (n *node) listenToEvents(sub *troupe.Subscription) {
	for {
		e, _, err := sub.Next(context.Background())
		if err != nil {
			return // the node has closed
		}
		switch e.Kind {
		case troupe.EventIdentified, troupe.EventIdentifyError, troupe.EventDisconnected:
			n.mu.Lock()
			n.heard[e.Conn.ID] = e.Kind
			close(n.more)
			n.more = make(chan struct{})
			n.mu.Unlock()
		default:
		}
	}
}

// wait waits for news of a connection.
func (n *node) wait(ctx context.Context, conn uint64, want troupe.EventKind) error {
	for {
		n.mu.Lock()
		got, more := n.heard[conn], n.more
		if got == troupe.EventDisconnected {
			delete(n.heard, conn)
		}
		n.mu.Unlock()
		switch got {
		case want:
			return nil
		case troupe.EventDisconnected, troupe.EventIdentifyError:
			if want != troupe.EventDisconnected {
				return fmt.Errorf("the connection: %s", got)
			}
		default:
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ID implements drive.Node.
func (n *node) ID() string { return n.sys.ID().String() }

// Addrs implements drive.Node.
func (n *node) Addrs() (out []string) {
	for _, a := range n.sys.ListenAddrs() {
		out = append(out, a.String()+"/p2p/"+n.ID())
	}
	return out
}

// Connect implements drive.Node.
func (n *node) Connect(ctx context.Context, addr string) (string, error) {
	c, err := n.sys.DialAddr(ctx, addr)
	if err != nil {
		return "", err
	}
	return c.Peer.String(), n.wait(ctx, c.ID, troupe.EventIdentified)
}

// Disconnect implements drive.Node.
func (n *node) Disconnect(ctx context.Context, id string) error {
	peer, err := identity.Decode(id)
	if err != nil {
		return err
	}
	conns, err := n.sys.Conns(ctx)
	if err != nil {
		return err
	}
	n.sys.Disconnect(peer)
	for _, c := range conns {
		if c.Peer == peer {
			if err := n.wait(ctx, c.ID, troupe.EventDisconnected); err != nil {
				return err
			}
		}
	}
	return nil
}

// Open implements drive.Node.
func (n *node) Open(ctx context.Context, id, protocol string) (drive.Stream, error) {
	peer, err := identity.Decode(id)
	if err != nil {
		return nil, err
	}
	s, err := n.sys.Open(ctx, peer, protocol)
	if err != nil {
		return nil, err
	}
	return blocking{s}, nil
}

// blocking is Troupe's stream as package drive wants it.
type blocking struct{ *troupe.Stream }

func (s blocking) Abort() { _ = s.Reset(0) }

// Peers implements drive.Node.
func (n *node) Peers() (out []string, err error) {
	conns, err := n.sys.Conns(context.Background())
	for _, c := range conns {
		out = append(out, c.Peer.String())
	}
	return out, err
}

// Close implements drive.Node.
func (n *node) Close() { _ = n.sys.Close(context.Background()) }
