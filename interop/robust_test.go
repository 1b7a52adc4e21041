package interop_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/harness"
)

// TestRobustCrashGo: 1,000 streams to a panicking handler on the connection that carries 100
// echo streams. The process lives, every crash stream is reset with our code, no byte of the
// others is lost, the connection goes on, and the tree shows the failures.
func TestRobustCrashGo(t *testing.T) {
	node := harness.StartNode(t, harness.NodeConfig{Serve: "echo,crash", Limits: "streams-per-conn=2048"})
	p := harness.StartPeer(t, harness.PeerConfig{})
	first := p.Must(t, "connects", control.Request{Cmd: control.Connect, Addr: node.Addr()}).Conn

	// Paced, so that the echoes are under way as long as the crashes last.
	const streams, each, seconds = 100, 1 << 20, 10
	echo := p.Begin(control.Request{
		Cmd: control.Echo, Addr: node.Addr(), Bytes: streams * each, Streams: streams, Rate: each / seconds,
	}, heavy.timeout)
	crashes(t, p, node, 1000)
	r, err := echo()
	if err != nil {
		t.Fatalf("echo beside the crashes: %v", err)
	}
	if r.Transfer.Bytes != streams*each {
		t.Errorf("%d bytes were echoed, want %d", r.Transfer.Bytes, streams*each)
	}
	if r.Conn.Local != first.Local || r.Conn.Count != 1 {
		t.Errorf("the connection was %s and is %s (%d in all)", first.Local, r.Conn.Local, r.Conn.Count)
	}
	shown := slices.ContainsFunc(node.Tree(t).Failures, func(f string) bool { return strings.Contains(f, "handler") })
	if !shown {
		t.Errorf("the tree tells of no failed handler: %q", node.Tree(t).Failures)
	}
	if len(node.Events("panic")) == 0 {
		t.Error("no panic event on stdout")
	}
}

// TestRobustHangGo: handlers that never come back, and then the peer leaves. What it held is
// given back within a second, stuck actors are listed as abandoned, the peer can come back, and
// the node stops in time and names who did not.
func TestRobustHangGo(t *testing.T) {
	const hang, stuck = 1000, 100
	node := harness.StartNode(t, harness.NodeConfig{Serve: "echo,hang,stuck", Limits: "streams-per-conn=2048"})
	p := harness.StartPeer(t, harness.PeerConfig{})
	p.Must(t, "connects", control.Request{Cmd: control.Connect, Addr: node.Addr()})
	exercise(t, p, node.Addr(), light)
	p.Must(t, "leaves", control.Request{Cmd: control.Disconnect, Peer: node.ID})
	var idle int
	settle(t, node, &idle)

	for proto, count := range map[string]int{control.HangProtocol: hang, control.StuckProtocol: stuck} {
		r := p.MustWithin(t, heavy.timeout, "streams to handlers that never return", control.Request{
			Cmd: control.Hold, Addr: node.Addr(), Protocol: proto, Count: count,
		})
		if r.Endings.Opened != count {
			t.Fatalf("%s: %d of %d streams opened: %+v", proto, r.Endings.Opened, count, r.Endings)
		}
	}
	p.Must(t, "a third protocol is served beside them", control.Request{
		Cmd: control.Echo, Addr: node.Addr(), Bytes: 1 << 20,
	})
	if busy := len(node.Tree(t).Actors); busy < idle+hang+stuck {
		t.Fatalf("%d actors with %d handlers waiting, %d when idle", busy, hang+stuck, idle)
	}
	p.Must(t, "the peer leaves", control.Request{Cmd: control.Disconnect, Peer: node.ID})
	harness.Eventually(t, time.Second, "actors are given back and the stuck ones listed", func() error {
		tree := node.Tree(t)
		if len(tree.Actors) > idle || len(tree.Abandoned) < stuck {
			return fmt.Errorf("%d actors (%d when idle), %d abandoned", len(tree.Actors), idle, len(tree.Abandoned))
		}
		return nil
	})
	exercise(t, p, node.Addr(), light)
	stragglers := node.Stop(t)
	if len(stragglers) == 0 {
		t.Error("the stopped event names nobody, though handlers are stuck")
	}
}

// settle waits until a node has as many actors as the time before, and stores the number.
func settle(t *testing.T, node *harness.Node, actors *int) {
	t.Helper()
	last := -1
	harness.Eventually(t, 5*time.Second, "the idle node comes to rest", func() error {
		*actors = len(node.Tree(t).Actors)
		if last == *actors {
			return nil
		}
		last = *actors
		return fmt.Errorf("%d actors", last)
	})
}

// TestRobustSlowReaderGo: 64 MiB echoed to a client that reads 1 MB/s. The node holds at most a
// window and an output cap, nothing is lost, and another stream does not notice.
func TestRobustSlowReaderGo(t *testing.T) {
	const total, rate = 64 << 20, 1 << 20
	// One window grown to its most, one output cap as large, and what both kernels buffer.
	const mayHold = 16<<20 + 16<<20 + 8<<20
	node := harness.StartNode(t, harness.NodeConfig{Serve: "echo"})
	p := harness.StartPeer(t, harness.PeerConfig{})
	quick := func() float64 {
		r := p.Must(t, "a quick stream on the same connection", control.Request{
			Cmd: control.Echo, Addr: node.Addr(), Bytes: 1 << 20,
		})
		return r.Transfer.MS
	}
	quick() // whatever the first stream costs
	alone := quick()
	before := node.RSS(t)
	slow := p.Begin(control.Request{Cmd: control.Echo, Addr: node.Addr(), Bytes: total, Rate: rate}, 120*time.Second)

	// While the writer runs ahead of the reader, by as much as anybody lets it.
	var worst float64
	var peak int64
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for range 50 {
		<-tick.C
		worst = max(worst, quick())
		peak = max(peak, node.RSS(t)-before)
	}
	r, err := slow()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("writer at most %d KiB ahead, node grew by %d KiB, quick stream %.1f ms alone and %.1f ms at worst",
		r.Transfer.MaxAhead>>10, peak>>10, alone, worst)
	if r.Transfer.Bytes != total {
		t.Errorf("%d bytes came back, want %d", r.Transfer.Bytes, total)
	}
	if r.Transfer.MaxAhead > mayHold || peak > mayHold {
		t.Errorf("too much was held: writer %d ahead, node grew by %d, allowed %d", r.Transfer.MaxAhead, peak, mayHold)
	}
	const unaffected = 1000 // ms for 1 MiB; a stalled connection takes as long as the slow stream
	if worst > unaffected {
		t.Errorf("the quick stream took %.0f ms beside the slow one, %.1f ms alone", worst, alone)
	}
}

// TestRobustChurnGo: 3,000 rounds of dial, echo and close, 16 at a time, leave nothing behind.
func TestRobustChurnGo(t *testing.T) {
	node := harness.StartNode(t, harness.NodeConfig{Serve: "echo"})
	p := harness.StartPeer(t, harness.PeerConfig{})
	round := func(count int) *control.DialSummary {
		return p.MustWithin(t, 180*time.Second, "dial, echo, close", control.Request{
			Cmd: control.Churn, Addr: node.Addr(), Count: count, Concurrency: 16, Bytes: 1000,
		}).Dials
	}
	round(32) // whatever is made once and kept
	var actors int
	settle(t, node, &actors)
	goroutines, files := node.Goroutines(t), node.Descriptors(t)

	d := round(3000)
	t.Logf("p50 %.1f ms, p99 %.1f ms", d.P50, d.P99)
	if d.OK != 3000 || d.Failed != 0 {
		t.Errorf("want 3,000 good rounds, got %+v", d)
	}
	// The page itself is read over a connection that comes and goes.
	const slack = 4
	harness.Eventually(t, 5*time.Second, "everything is given back", func() error {
		a, g, f := len(node.Tree(t).Actors), node.Goroutines(t), node.Descriptors(t)
		if a > actors || g > goroutines+slack || f > files+slack {
			return fmt.Errorf("actors %d (were %d), goroutines %d (%d), descriptors %d (%d)", a, actors, g, goroutines, f, files)
		}
		return nil
	})
}
