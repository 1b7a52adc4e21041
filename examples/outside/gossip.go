// Package outside is a program of somebody else's: a little gossip protocol on Troupe, and its
// tests in a simulated network. It uses only what is exported.
package outside

import (
	"bufio"
	"context"
	"fmt"
	"sync"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/identity"
)

// Protocol carries one rumour, a line of text, in a stream.
const Protocol = "/outside/gossip/1.0.0"

// Gossip tells every rumour that is new to it to all its friends.
type Gossip struct {
	node *troupe.System

	mu      sync.Mutex
	friends []identity.ID
	known   map[string]bool
}

// New makes a node gossip.
func New(node *troupe.System, friends ...identity.ID) (*Gossip, error) {
	g := &Gossip{node: node, friends: friends, known: map[string]bool{}}
	return g, node.Handle(Protocol, troupe.StreamHandler(g.hear))
}

// Knows says whether a rumour has come around.
func (g *Gossip) Knows(rumour string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.known[rumour]
}

// Tell spreads a rumour. Friends that cannot be reached are left out, and counted.
func (g *Gossip) Tell(ctx context.Context, rumour string) (missed int) {
	g.mu.Lock()
	news := !g.known[rumour]
	g.known[rumour] = true
	g.mu.Unlock()
	if !news {
		return 0
	}
	for _, f := range g.friends {
		if err := g.tell(ctx, f, rumour); err != nil {
			missed++
		}
	}
	return missed
}

func (g *Gossip) tell(ctx context.Context, friend identity.ID, rumour string) error {
	s, err := g.node.Open(ctx, friend, Protocol)
	if err != nil {
		return err
	}
	// By the node's clock, which in a simulation is not the wall's.
	_ = s.SetDeadline(g.node.Runtime().Now().Add(10 * time.Second))
	if _, err := fmt.Fprintln(s, rumour); err != nil {
		_ = s.Reset(1)
		return err
	}
	return s.Close()
}

func (g *Gossip) hear(ctx context.Context, s *troupe.Stream) {
	line := bufio.NewScanner(s)
	if line.Scan() {
		g.Tell(ctx, line.Text())
	}
}
