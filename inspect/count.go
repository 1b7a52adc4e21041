package inspect

import (
	"slices"
	"time"

	"github.com/troupe-p2p/troupe/actors"
)

// counts are the sums over a tree, in the order in which things were met.
type counts struct {
	kinds   []*kindCount
	byKind  map[string]*kindCount
	streams tally // direction, protocol
}

// streamKind is what the actors of streams say they are.
const streamKind = "stream"

// count goes through the live part of a tree.
func count(t actors.Tree) *counts {
	c := &counts{byKind: map[string]*kindCount{}}
	for i := range t.Roots {
		c.add(&t.Roots[i])
	}
	return c
}

// kindCount is about all actors of one kind.
type kindCount struct {
	kind             string
	phases           tally
	queued, deepest  int
	oldest, turn     time.Duration
	restarts, parked int
	failures         int
	refused          uint64
}

func (c *counts) add(n *actors.Node) {
	k := c.byKind[n.Kind]
	if k == nil {
		k = &kindCount{kind: n.Kind}
		c.byKind[n.Kind] = k
		c.kinds = append(c.kinds, k)
	}
	k.phases.add(1, n.Phase)
	k.queued += n.Queued
	k.deepest = max(k.deepest, n.Queued)
	k.oldest = max(k.oldest, n.Oldest)
	k.turn = max(k.turn, n.Running)
	k.restarts += n.Restarts
	k.failures += n.Failures
	k.refused += n.Refused
	if n.ParkedFor > 0 {
		k.parked++
	}
	if n.Kind == streamKind {
		c.streams.add(1, value(n, "direction"), value(n, "protocol"))
	}
	for i := range n.Children {
		c.add(&n.Children[i])
	}
}

func value(n *actors.Node, key string) string {
	for _, kv := range n.Info {
		if kv.Key == key {
			return kv.Value
		}
	}
	return ""
}

// tally counts by labels, of which there are few.
type tally []*labelled

type labelled struct {
	labels []string
	n      int
}

func (t *tally) add(n int, labels ...string) {
	for _, p := range *t {
		if slices.Equal(p.labels, labels) {
			p.n += n
			return
		}
	}
	*t = append(*t, &labelled{labels, n})
}
