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

// settle is how long a process gets to give back what it does not need any more: pools, idle
// workers and finished goroutines.
const settle = 1500 * time.Millisecond

func (d *driver) stats(req control.Request) (control.Reply, error) {
	if req.GC {
		time.Sleep(settle)
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
