package testkit_test

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/testkit"
	"github.com/troupe-p2p/troupe/testkit/simnet"
)

// Nodes that are connected, with their keepalives, and of whose connections one in a hundred is
// renewed each minute, cost little time and no growing memory. TROUPE_LONG makes it a hundred nodes
// for a day; else it is twenty for two hours.
func TestTimePassesQuickly(t *testing.T) {
	count, hours := 20, 2
	if os.Getenv("TROUPE_LONG") != "" {
		count, hours = 100, 24
	}
	const degree = 8
	live := buf.Live()
	w := testkit.NewWorld(t, 1)
	w.SetLinks(simnet.Link{Latency: 30 * time.Millisecond, Jitter: 10 * time.Millisecond})
	nodes := w.Nodes("n", count)
	var links [][2]*testkit.Node
	for i, n := range nodes {
		for k := 1; k <= degree/2; k++ {
			to := nodes[(i+k)%count]
			n.Connect(to)
			links = append(links, [2]*testkit.Node{n, to})
		}
	}
	began, steps := time.Now(), w.Sim.Steps()
	var early, half uint64
	for h := range hours {
		for range 60 {
			for range max(len(links)/100, 1) {
				l := links[w.Rand(len(links))]
				l[0].Disconnect(l[1].ID())
				if err := l[0].TryConnect(l[1]); err != nil {
					t.Errorf("after %v: %v", w.Sim.Elapsed(), err)
				}
			}
			w.Run(time.Minute)
		}
		if h == 0 {
			early = heap()
		}
		if h+1 == hours/2 {
			half = heap()
		}
	}
	took := time.Since(began)
	t.Logf("%d nodes, %d connections, %d virtual hours: %v of real time, %.0f x, %d events, %.0f a second; heap %d KiB after an hour, %d KiB at half time and %d KiB at the end",
		count, len(links), hours, took.Round(time.Millisecond), float64(hours)*3600/took.Seconds(), w.Sim.Steps()-steps,
		float64(w.Sim.Steps()-steps)/took.Seconds(), early>>10, half>>10, heap()>>10)
	if late := heap(); late > early+early/4+4<<20 || late > half+half/20+1<<20 {
		t.Errorf("memory grows: %d KiB after an hour, %d KiB at half time, %d KiB at the end", early>>10, half>>10, late>>10)
	}
	w.Close()
	if n := buf.Live() - live; n != 0 {
		t.Errorf("%d buffers are not released", n)
	}
}

// heap is what is reachable.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
