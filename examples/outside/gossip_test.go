package outside_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"example.test/outside"

	"github.com/troupe-p2p/troupe/testkit"
	"github.com/troupe-p2p/troupe/testkit/simnet"
)

// A rumour reaches everybody around a ring, whichever node is down, and again when it is back.
func TestARumourGetsAround(t *testing.T) {
	testkit.Seeds(t, 20, func(w *testkit.World) {
		const n = 8
		w.SetLinks(simnet.Link{Latency: 40 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 0.01})
		nodes := w.Nodes("n", n)
		var all []*outside.Gossip
		for i, node := range nodes {
			left, right := nodes[(i+n-1)%n], nodes[(i+1)%n]
			node.AddAddrs(left.ID(), time.Hour, left.ListenAddrs()...)
			node.AddAddrs(right.ID(), time.Hour, right.ListenAddrs()...)
			g, err := outside.New(node.System, left.ID(), right.ID())
			if err != nil {
				w.TB().Fatal(err)
			}
			all = append(all, g)
		}
		down := 1 + w.Rand(n-1)
		w.At(0, fmt.Sprintf("%s crashes", nodes[down].Name()), nodes[down].Crash)
		w.Run(time.Second)
		w.Go("rumour", func() { all[0].Tell(context.Background(), "it rains") })
		w.Run(2 * time.Minute)
		for i, g := range all {
			if i != down && !g.Knows("it rains") {
				w.TB().Errorf("%s has not heard", nodes[i].Name())
			}
		}
	})
}
