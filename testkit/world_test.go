package testkit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/testkit"
	"github.com/troupe-p2p/troupe/testkit/simnet"
)

// everything is ten nodes, all connected, that talk for two minutes while nodes crash, parts of the
// network are cut off, actors are killed and single packets go astray.
func everything(w *testkit.World) {
	const long = 2 * time.Minute
	w.SetLinks(simnet.Link{
		Latency:   time.Duration(w.Rand(80)) * time.Millisecond,
		Jitter:    time.Duration(w.Rand(20)) * time.Millisecond,
		Bandwidth: 100_000 + w.Rand(2_000_000),
		Loss:      float64(w.Rand(20)) / 1000,
	})
	nodes := w.Nodes("n", 10, w.Serve)
	some := func() *testkit.Node { return nodes[w.Rand(len(nodes))] }
	when := func() time.Duration { return time.Duration(w.Rand(int(long))) }
	w.FullMesh(nodes)

	traffic := make([]*testkit.Traffic, 20)
	for i := range traffic {
		traffic[i] = &testkit.Traffic{Requests: true, Pause: 4 * time.Second}
		w.Start(nodes[i%10], nodes[(i%10+1+w.Rand(9))%10], traffic[i], long)
	}
	for range 3 {
		a, b := some(), some()
		at, d := when(), time.Duration(w.Rand(int(20*time.Second)))
		w.At(at, fmt.Sprintf("partition of %s and %s for %v", a.Name(), b.Name(), d), func() {
			w.Partition([]*testkit.Node{a}, []*testkit.Node{b})
			w.Sim.Sleep(d)
			w.Net.HealBetween(hostsOf(a), hostsOf(b))
		})
	}
	half := w.Rand(9) + 1
	w.At(when(), fmt.Sprintf("the first %d hear nothing of the rest for 5 s", half), func() {
		w.PartitionOneWay(nodes[half:], nodes[:half])
		w.Sim.Sleep(5 * time.Second)
		w.Heal()
	})
	for range 2 {
		n := some()
		d := time.Duration(w.Rand(int(10*time.Second))) + time.Second
		how, name := n.Crash, "crash"
		if w.Rand(2) == 0 {
			how, name = n.Vanish, "power cut"
		}
		w.At(when(), fmt.Sprintf("%s of %s for %v", name, n.Name(), d), func() {
			how()
			w.Sim.Sleep(d)
			if err := n.Restart(); err != nil {
				w.TB().Errorf("%s does not come back: %v", n.Name(), err)
			}
		})
	}
	kinds := []string{"node", "movers", "peers", "peer", "connection", "stream", "gate", "listener", "identify", "book", "router"}
	for range 4 {
		n, kind := some(), kinds[w.Rand(len(kinds))]
		w.At(when(), fmt.Sprintf("death of a %s of %s", kind, n.Name()), func() { n.Kill(kind) })
	}
	for range 4 {
		from := some().Name()
		f := simnet.Fault{
			Name: "of " + from, K: w.Rand(200) + 1, Do: simnet.Drop,
			Match: func(s simnet.Segment) bool { return s.From == from },
		}
		switch w.Rand(3) {
		case 0:
			f.Do, f.Delay = simnet.Delay, time.Duration(w.Rand(int(3*time.Second))+1)
		case 1:
			f.Do = simnet.Break
		}
		w.Fault(f)
	}
	w.Run(long + 3*time.Minute) // also what has to give up does so
	w.Heal()
	served(w, nodes)
	exchanges, failed := 0, 0
	for _, tr := range traffic {
		exchanges += tr.Exchanges
		failed += tr.Failed
	}
	if exchanges < 400 || failed > exchanges/4 {
		w.TB().Errorf("%d of %d exchanges failed", failed, exchanges)
		for i, tr := range traffic {
			w.TB().Logf("%s: %d of %d: %v", nodes[i%10].Name(), tr.Failed, tr.Exchanges, tr.LastErr)
		}
	}
}

func hostsOf(nodes ...*testkit.Node) (out []*simnet.Host) {
	for _, n := range nodes {
		out = append(out, n.Host)
	}
	return out
}

// served demands that every node serves its neighbour when all faults are over.
func served(w *testkit.World, nodes []*testkit.Node) {
	var last []*testkit.Traffic
	for i, n := range nodes {
		tr := &testkit.Traffic{Requests: true}
		last = append(last, tr)
		w.Start(n, nodes[(i+1)%len(nodes)], tr, 10*time.Second)
	}
	w.Run(2 * time.Minute)
	for i, tr := range last {
		if tr.Exchanges == 0 || tr.Failed > 0 {
			w.TB().Errorf("%s: %d of %d exchanges failed after everything was well again: %v", nodes[i].Name(), tr.Failed, tr.Exchanges, tr.LastErr)
		}
	}
}

func TestEverythingAtOnce(t *testing.T) {
	if ran, different := testkit.Seeds(t, 25, everything); different*100 < ran*99 {
		t.Errorf("%d seeds gave %d different runs", ran, different)
	}
}
