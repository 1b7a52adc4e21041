package interop_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/harness"
)

// halfOpen is the N of the floods. No address is exempt, the loopback ones neither.
const halfOpen = 256

// TestRobustFloodGo: 4 N silent connections, dialled again when closed, from one address and
// from a thousand. Honest go-libp2p peers still get in, and the node can still dial out.
func TestRobustFloodGo(t *testing.T) {
	for _, sources := range []int{1, 1000} {
		t.Run(fmt.Sprintf("%d addresses", sources), func(t *testing.T) {
			node := harness.StartNode(t, harness.NodeConfig{
				Serve: "echo", Limits: fmt.Sprintf("half-open=%d,conns=4096", halfOpen),
			})
			other := harness.StartPeer(t, harness.PeerConfig{Listen: true})
			honest := harness.StartPeer(t, harness.PeerConfig{})
			flood := harness.StartAttack(t, "silent", node.Addr(),
				"-conns", strconv.Itoa(4*halfOpen), "-sources", strconv.Itoa(sources), "-for", "120s")

			d := honest.MustWithin(t, 100*time.Second, "honest dials during the flood", control.Request{
				Cmd: control.Dials, Addr: node.Addr(), Count: 100, IntervalMS: 50, Bytes: 100,
			}).Dials
			if _, err := harness.Ping(t, other.Addr(), 3); err != nil {
				t.Errorf("a ping to another node during the flood: %v", err)
			}
			seen := flood.Stop(t)
			t.Logf("honest: %d of 100, p50 %.1f ms, p99 %.1f ms; flood: %+v", d.OK, d.P50, d.P99, seen)
			if d.OK < 99 || d.P99 > 500 {
				t.Errorf("want at least 99 honest dials with a p99 of at most 500 ms, got %+v", d)
			}
			if seen.Dials < 4*halfOpen {
				t.Errorf("the flood made only %d connections", seen.Dials)
			}
			if !node.Alive() {
				t.Error("the node is gone")
			}
		})
	}
}

// closeLimit is how long an abusive connection may live.
const closeLimit = 15 * time.Second

// TestRobustStormGo: 10 MB of streams opened and reset, and a peer that asks and never reads.
// Both connections are closed in time; an honest peer's streams go on meanwhile.
func TestRobustStormGo(t *testing.T) {
	for _, kind := range []string{"syn-rst", "never-read"} {
		t.Run(kind, func(t *testing.T) {
			node := harness.StartNode(t, harness.NodeConfig{Serve: "echo"})
			honest := harness.StartPeer(t, harness.PeerConfig{})
			honest.Must(t, "connects", control.Request{Cmd: control.Connect, Addr: node.Addr()})
			before := node.RSS(t)
			storm := harness.StartAttack(t, kind, node.Addr(), "-bytes", strconv.Itoa(10_000_000), "-for", "30s")
			exercise(t, honest, node.Addr(), light)
			seen := storm.Wait(t, 40*time.Second)
			grew := node.RSS(t) - before
			t.Logf("closed after %.0f ms and %d bytes (%s), node grew by %d KiB",
				seen.ClosedMS, seen.BytesSent, seen.Reason, grew>>10)
			if seen.ClosedBy != 1 || seen.ClosedMS > float64(closeLimit.Milliseconds()) {
				t.Errorf("want the connection closed within %v, got %+v", closeLimit, seen)
			}
			exercise(t, honest, node.Addr(), light)
		})
	}
}
