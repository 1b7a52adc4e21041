package testkit

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/testkit/simnet"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// nodePort is where a node listens unless its Config says otherwise.
const nodePort = 4001

// callLimit bounds the calls that the testkit makes itself, in virtual time.
const callLimit = time.Minute

// NodeOptions are what a node may have beside its Config. The zero value makes a public host.
type NodeOptions struct {
	// Host is its place in the network: addresses, NAT.
	Host simnet.HostOptions
	// Config is the node's. The World sets Name, Runtime and Transports; Listen defaults to port
	// 4001 of every address, Security to Noise (TLS of the standard library draws its own
	// randomness: runs with it do not replay), Key to one drawn from the seed.
	Config troupe.Config
	// Skew is how far the node's clock is off. Default 0: the world's clock. Any other gives it a
	// runtime of its own.
	Skew time.Duration
	// Setup is called with the node after each start: to add handlers.
	Setup func(*troupe.System)
}

// Node is a simulated host with a node that runs on it. The embedded System is the one that runs
// now, or ran last.
type Node struct {
	*troupe.System
	Host *simnet.Host

	w     *World
	rt    *actors.Runtime
	name  string
	o     NodeOptions
	lives int
	up    bool
}

// Node starts a node on a public host of its own.
func (w *World) Node(name string, setup ...func(*troupe.System)) *Node {
	w.t.Helper()
	return w.NodeWith(name, NodeOptions{Setup: func(s *troupe.System) {
		for _, f := range setup {
			f(s)
		}
	}})
}

// NodeWith starts a node.
func (w *World) NodeWith(name string, o NodeOptions) *Node {
	w.t.Helper()
	if strings.ContainsAny(name, "/~") || name == "" {
		w.t.Fatalf("testkit: a node cannot be called %q", name)
	}
	h, err := w.Net.Host(name, o.Host)
	if err != nil {
		w.t.Fatal(err)
	}
	n := &Node{Host: h, w: w, name: name, o: o, rt: w.Sim.Runtime()}
	if o.Skew != 0 {
		n.rt = w.Sim.Another(o.Skew)
	}
	if o.Config.Key == nil {
		k, err := identity.GenerateKey(identity.Ed25519, w.Sim.Runtime().Rand())
		if err != nil {
			w.t.Fatal(err)
		}
		n.o.Config.Key = k
	}
	if err := n.start(); err != nil {
		w.t.Fatalf("starting %s: %v", name, err)
	}
	w.nodes = append(w.nodes, n)
	return n
}

// Nodes starts n nodes called prefix-1, prefix-2 and so on.
func (w *World) Nodes(prefix string, n int, setup ...func(*troupe.System)) (out []*Node) {
	w.t.Helper()
	for i := range n {
		out = append(out, w.Node(fmt.Sprintf("%s-%d", prefix, i+1), setup...))
	}
	return out
}

// meshTries is how often FullMesh dials, and meshPause how long it waits in between: longer than a node
// keeps away from an address that has failed once.
const (
	meshTries = 3
	meshPause = 10 * time.Second
)

// FullMesh connects every pair. A dial that got no answer is tried again, twice: where packets are lost,
// its time may be over before one comes through. Any other failure is the test's.
func (w *World) FullMesh(nodes []*Node) {
	w.t.Helper()
	for i, a := range nodes {
		for _, b := range nodes[i+1:] {
			err := a.TryConnect(b)
			for tries := 1; tries < meshTries && errors.Is(err, os.ErrDeadlineExceeded); tries++ {
				w.Sim.Sleep(meshPause)
				err = a.TryConnect(b)
			}
			if err != nil {
				w.t.Fatalf("%s dials %s: %v\n%s", a.name, b.name, err, w)
			}
		}
	}
}

func (n *Node) start() error {
	cfg := n.o.Config
	n.lives++
	if cfg.Name = n.name; n.lives > 1 {
		cfg.Name = fmt.Sprintf("%s~%d", n.name, n.lives)
	}
	cfg.Runtime = n.rt
	if len(cfg.Security) == 0 {
		cfg.Security = []troupe.Security{troupe.Noise}
	}
	if cfg.Listen == nil {
		for _, a := range n.Host.Addrs() {
			cfg.Listen = append(cfg.Listen, listenAddr(a))
		}
	}
	if cfg.Transports == nil {
		cfg.Transports = []troupe.Transport{func(rt *actors.Runtime) (conduit.Transport, error) {
			return n.Host.Transport(rt, simnet.TransportConfig{}), nil
		}}
	}
	s, err := troupe.New(cfg)
	if err != nil {
		return err
	}
	n.System, n.up = s, true
	if n.o.Setup != nil {
		n.o.Setup(s)
	}
	return nil
}

func listenAddr(a netip.Addr) string {
	if a.Is4() {
		return fmt.Sprintf("/ip4/%s/tcp/%d", a, nodePort)
	}
	return fmt.Sprintf("/ip6/%s/tcp/%d", a, nodePort)
}

// Name is what the test calls it.
func (n *Node) Name() string { return n.name }

// Up says whether it runs.
func (n *Node) Up() bool { return n.up }

// Addrs are the addresses at which it listens, with its peer ID.
func (n *Node) Addrs() (out []ma.Multiaddr) {
	id, err := ma.NewComponent("p2p", n.ID().String())
	if err != nil {
		n.w.t.Fatal(err)
	}
	for _, a := range n.ListenAddrs() {
		out = append(out, a.Encapsulate(id.Multiaddr()))
	}
	return out
}

// TryConnect dials another node and waits for the connection.
func (n *Node) TryConnect(to *Node) error {
	ctx, cancel := n.Timeout(callLimit)
	defer cancel()
	_, err := n.Dial(ctx, to.ID(), to.ListenAddrs()...)
	return err
}

// Connect is TryConnect that fails the test. Only for the test's own goroutine.
func (n *Node) Connect(to *Node) {
	n.w.t.Helper()
	if err := n.TryConnect(to); err != nil {
		n.w.t.Fatalf("%s dials %s: %v\n%s", n.name, to.name, err, n.w)
	}
}

// Now is the time by the node's clock.
func (n *Node) Now() time.Time { return n.rt.Now() }

// Timeout makes a context that ends after d of virtual time.
func (n *Node) Timeout(d time.Duration) (context.Context, context.CancelFunc) {
	return n.rt.WithTimeout(context.Background(), d)
}

// Crash ends the node's process in the middle of whatever it does: its sockets are gone at once,
// and remotes get resets. Nothing of it is closed in order.
func (n *Node) Crash() { n.die(n.Host.Crash) }

// Vanish is Crash with the power cut: remotes hear nothing.
func (n *Node) Vanish() { n.die(n.Host.Vanish) }

func (n *Node) die(how func()) {
	if !n.up {
		return
	}
	n.up = false
	how()
	// Its actors have no sockets any more. They end beside the rest of the world, which hears
	// nothing of that.
	dead := n.System
	n.w.Go("end of "+n.name, func() { _ = dead.Close(context.Background()) })
}

// Restart starts the node again after a crash, with the same identity, Config and addresses. What
// it kept in memory, the peerstore too, is lost. It does nothing if the node runs.
func (n *Node) Restart() error {
	if n.up {
		return nil
	}
	n.Host.Restore()
	return n.start()
}

// Forget loses the node's key: the next Restart is as somebody else, drawn from the seed.
func (n *Node) Forget() error {
	k, err := identity.GenerateKey(identity.Ed25519, n.rt.Rand())
	if err == nil {
		n.o.Config.Key = k
	}
	return err
}

// Stop closes the node in order. Restart starts it again.
func (n *Node) Stop() error {
	if !n.up {
		return nil
	}
	n.up = false
	ctx, cancel := n.Timeout(closeLimit)
	defer cancel()
	return n.System.Close(ctx)
}

func (n *Node) close() {
	n.w.t.Helper()
	if err := n.Stop(); err != nil {
		n.w.t.Errorf("closing %s: %v", n.name, err)
	}
}

// Kill makes an actor of the node panic on its next message: the first, in the order of the tree,
// whose kind is that. It returns the actor's path, or "" if there is none.
func (n *Node) Kill(kind string) string {
	if !n.up {
		return ""
	}
	var find func([]actors.Node) string
	find = func(nodes []actors.Node) string {
		for _, k := range nodes {
			if k.Kind == kind && k.Phase == actors.Alive.String() {
				return k.Path
			}
			if p := find(k.Children); p != "" {
				return p
			}
		}
		return ""
	}
	path := find(n.Tree().Roots)
	if path == "" || !n.Runtime().Kill(path, "testkit") {
		return ""
	}
	return path
}
