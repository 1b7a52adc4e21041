package drive

import (
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"github.com/troupe-p2p/troupe/bench/control"
)

// A process gets time to give back what it does not need any more: pools, idle workers and finished
// goroutines. Troupe retires spare workers in steps of a second, and only those that nobody needed
// since the step before (retire in actors/live.go): one lives for up to 2 s. So the count of
// goroutines is taken when it has not gone down for longer than that, or at last.
const (
	settleStep = 100 * time.Millisecond
	settleCalm = 2500 * time.Millisecond
	settleMost = 15 * time.Second
)

// settle waits until count reaches no new low any more. That it goes up for a moment is no news:
// a timer's goroutine comes and goes.
func settle(count func() int) {
	began := time.Now()
	least, since := count(), began
	for now := began; now.Sub(since) < settleCalm && now.Sub(began) < settleMost; now = time.Now() {
		time.Sleep(settleStep)
		if n := count(); n < least {
			least, since = n, time.Now()
		}
	}
}

func (d *driver) stats(req control.Request) (control.Reply, error) {
	if req.GC {
		settle(runtime.NumGoroutine)
		runtime.GC() // what pools have is freed by the second
		runtime.GC()
		debug.FreeOSMemory()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	cpu, rss, err := process()
	if err != nil {
		return control.Reply{}, err
	}
	peers, err := d.node.Peers()
	return control.Reply{Usage: &control.Usage{
		CPU: cpu, RSS: rss, Heap: m.HeapInuse, Stack: m.StackInuse, Mallocs: m.Mallocs,
		Goroutines: runtime.NumGoroutine(), Conns: len(peers),
	}}, err
}

// toggleProfile profiles from one call to the next. Allocations are written at both, since they
// are counted from the start of the process: go tool pprof -base X.allocs0 X.allocs. The environment
// GODEBUG=memprofilerate=1 counts every one.
func (d *driver) toggleProfile(req control.Request) (control.Reply, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.profile == nil {
		f, err := os.Create(req.Path + ".cpu")
		if err != nil {
			return control.Reply{}, err
		}
		d.profile = f
		return control.Reply{}, errors.Join(writeAllocs(req.Path+".allocs0"), pprof.StartCPUProfile(f))
	}
	pprof.StopCPUProfile()
	err := d.profile.Close()
	d.profile = nil
	return control.Reply{}, errors.Join(err, writeAllocs(req.Path+".allocs"))
}

func writeAllocs(path string) error {
	runtime.GC() // the profile is as of the last collection
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}
