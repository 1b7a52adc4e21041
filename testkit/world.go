package testkit

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/testkit/simnet"
)

// closeLimit is how much virtual time the nodes of a world may take to close.
const closeLimit = time.Minute

// World is a simulated network of nodes, each of which runs the whole stack.
type World struct {
	// Sim is the queue that everything in the world comes from.
	Sim *actors.Simulation
	// Net is the network between the nodes.
	Net *simnet.Network
	// Ledger keeps account of the world's own traffic, and of whatever else a test enters.
	Ledger *Ledger

	t      testing.TB
	nodes  []*Node
	plan   []planned
	skip   map[int]bool // of the plan, while shrinking
	closed bool
}

// NewWorld makes an empty world. The same seed, with the same program, gives the same run. At the
// end of the test the nodes are closed; the test fails if anything of them is left over or if the
// ledger has a fault. A failed test prints the seed and how to run it again.
func NewWorld(t testing.TB, seed uint64) *World {
	t.Helper()
	w := &World{t: t, Ledger: NewLedger()}
	w.Sim = actors.Simulated(seed, actors.SimOptions{OnStall: func(e *actors.StallError) {
		t.Helper()
		t.Fatalf("%v\n%s", e, w.Net)
	}})
	w.Net = simnet.New(w.Sim)
	w.Net.Observe(func(d simnet.Delivery) {
		w.Sim.Note(d.Kind.String(), d.From+"->"+d.To, "", uint64(d.Len), d.Hash^d.Stream)
	})
	if x, ok := t.(*trial); ok {
		x.w, w.skip = w, x.skip
	}
	t.Cleanup(w.end)
	return w
}

// end closes the world when its test is over.
func (w *World) end() {
	w.t.Helper()
	if !w.closed {
		w.Close()
	}
	if _, ok := w.t.(*trial); !ok && w.t.Failed() {
		w.t.Logf("to run it again: %s", replay(w.t.Name(), w.Sim.Seed()))
	}
}

// Close closes all nodes, and fails the test if one does not close or if the ledger has a fault.
// The end of the test calls it too.
func (w *World) Close() {
	w.t.Helper()
	w.closed = true
	w.Net.Heal()
	for _, n := range w.nodes {
		if n.up {
			n.close()
		}
	}
	w.Run(w.Net.StreamTimeout + time.Minute) // what is still on the wire arrives, or is given up
	for _, n := range w.nodes {
		if n.rt != w.Sim.Runtime() {
			w.closeRuntime(n.rt)
		}
	}
	w.closeRuntime(w.Sim.Runtime())
	for _, f := range w.Ledger.Faults() {
		w.t.Errorf("ledger: %s", f)
	}
}

func (w *World) closeRuntime(rt *actors.Runtime) {
	w.t.Helper()
	ctx, cancel := rt.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	for _, path := range rt.Close(ctx) {
		w.t.Errorf("left over in the world: %s", path)
	}
}

// Seed is the world's seed.
func (w *World) Seed() uint64 { return w.Sim.Seed() }

// Now is the virtual time.
func (w *World) Now() time.Time { return w.Sim.Now() }

// Rand draws a number below n from the seed.
func (w *World) Rand(n int) int {
	if n <= 0 {
		return 0
	}
	return int(w.Sim.Uint64() % uint64(n))
}

// Run lets d of virtual time pass, with all that happens in it.
func (w *World) Run(d time.Duration) { w.Sim.Run(d) }

// RunUntil lets things happen until cond holds, and reports false if limit has passed before.
func (w *World) RunUntil(cond func() bool, limit time.Duration) bool {
	return w.Sim.RunUntil(cond, limit)
}

// Until is RunUntil that fails the test, with the world's state, if cond does not come to hold.
func (w *World) Until(what string, cond func() bool, limit time.Duration) {
	w.t.Helper()
	if !w.RunUntil(cond, limit) {
		w.t.Fatalf("%s: has not come about within %v\n%s", what, limit, w)
	}
}

// Go runs f beside the test, as a task of the world. It may wait for streams and for calls of the
// nodes, and must not fail the test with Fatal.
func (w *World) Go(name string, f func()) { w.Sim.Go(name, f) }

// Together runs functions beside each other as tasks of the world and waits for all. It returns the
// first error in the order of the functions.
func (w *World) Together(fs ...func() error) error {
	errs := make([]error, len(fs))
	rt := w.Sim.Runtime()
	all := rt.NewCrossing()
	all.Begin()
	defer all.End()
	left := len(fs)
	for i, f := range fs {
		w.Go("together", func() {
			defer func() {
				if left--; left == 0 {
					all.Done(0, nil)
				}
			}()
			errs[i] = f()
		})
	}
	if len(fs) > 0 {
		_, _ = all.WaitDone()
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Trace is the last things that happened, the oldest first.
func (w *World) Trace() []actors.TraceEntry { return w.Sim.Trace() }

// Hash covers all that has happened: every turn, timer, task and delivery with its time. Two runs
// with the same hash are the same run.
func (w *World) Hash() string { return fmt.Sprintf("%016x", w.Sim.TraceHash()) }

// String is the world's state: what waits, and what is on the network.
func (w *World) String() string {
	var b strings.Builder
	b.WriteString(w.Sim.State())
	b.WriteString(w.Net.String())
	return b.String()
}

// Partition cuts everything between two groups of nodes, both ways, until Heal.
func (w *World) Partition(a, b []*Node) { w.Net.Partition(hosts(a), hosts(b)) }

// PartitionOneWay cuts what goes from one group to the other.
func (w *World) PartitionOneWay(from, to []*Node) { w.Net.PartitionOneWay(hosts(from), hosts(to)) }

// Heal ends all partitions.
func (w *World) Heal() { w.Net.Heal() }

// SetLinks sets every link that has none of its own.
func (w *World) SetLinks(l simnet.Link) {
	w.t.Helper()
	if err := w.Net.SetDefault(l); err != nil {
		w.t.Fatal(err)
	}
}

// Fault adds an exact fault: the K-th packet that matches is dropped, delayed, doubled, or breaks
// its stream.
func (w *World) Fault(f simnet.Fault) *simnet.Rule {
	w.t.Helper()
	r, err := w.Net.AddFault(f)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func hosts(nodes []*Node) (out []*simnet.Host) {
	for _, n := range nodes {
		out = append(out, n.Host)
	}
	return out
}

// planned is something that a test does to the world at a set time, which the shrinker may leave
// out.
type planned struct {
	at   time.Duration
	name string
	left bool // out
}

// At plans f for the time d from now. f runs as a task of the world: it may wait. What is planned
// this way is what a failing run is shrunk by; name says what it is: "partition of a and b".
func (w *World) At(d time.Duration, name string, f func()) {
	i := len(w.plan)
	w.plan = append(w.plan, planned{w.Sim.Elapsed() + d, name, w.skip[i]})
	if w.skip[i] {
		return
	}
	w.Sim.At(w.Now().Add(d), func() {
		w.Sim.Note("plan", name, "", uint64(i), 0)
		w.Go(name, f)
	})
}
