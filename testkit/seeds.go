package testkit

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
)

var seedsFlag = flag.Int("troupe.seeds", 0, "how many seeds testkit.Seeds tries, instead of what the test says")

// seedVar names the one seed to run.
const seedVar = "TROUPE_SEED"

// Seeds runs a scenario in a world of each of n seeds (1 to n), several at a time. TROUPE_SEED=7
// runs only that one, -troupe.seeds N tries N of them. When one fails, it is run again with ever
// fewer of its planned faults (World.At) as long as it goes on failing, and the test fails with
// the report of the smallest run, its seed, the commit, and the command that runs it again.
//
// The scenario must report to the TB of its World, w.TB(), and not to t. Seeds returns how many
// seeds ran, and how many different runs they gave.
func Seeds(t *testing.T, n int, scenario func(w *World)) (ran, different int) {
	t.Helper()
	if *seedsFlag > 0 {
		n = *seedsFlag
	}
	first := uint64(1)
	if text := os.Getenv(seedVar); text != "" {
		seed, err := strconv.ParseUint(text, 0, 64)
		if err != nil {
			t.Fatalf("%s=%s: want a number", seedVar, text)
		}
		first, n = seed, 1
	}
	var mu sync.Mutex
	next, worst := first, (*trial)(nil)
	hashes := map[string]bool{}
	var all sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			for {
				mu.Lock()
				seed := next
				next++
				stop := worst != nil || seed >= first+uint64(n)
				mu.Unlock()
				if stop {
					return
				}
				x := runTrial(t, seed, nil, scenario)
				mu.Lock()
				hashes[x.hash] = true
				if x.failed && (worst == nil || seed < worst.seed) {
					worst = x
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if worst == nil {
		t.Logf("%d seeds, %d different runs", n, len(hashes))
		return n, len(hashes)
	}
	small := shrink(t, worst, scenario)
	t.Fatalf("seed %d fails at commit %s\n%s\nto run it again: %s", small.seed, commit(), small.report(), replay(t.Name(), small.seed))
	return 0, 0
}

// TB is what the scenario reports to.
func (w *World) TB() testing.TB { return w.t }

// shrink leaves planned faults out as long as the run goes on failing.
func shrink(t *testing.T, x *trial, scenario func(w *World)) *trial {
	t.Helper()
	for half := max(1, len(x.w.plan)/2); ; half /= 2 {
		for from := 0; from < len(x.w.plan); from += half {
			skip := map[int]bool{}
			for i := range x.skip { // order-free: a set
				skip[i] = true
			}
			more := false
			for i := from; i < min(from+half, len(x.w.plan)); i++ {
				more = more || !skip[i]
				skip[i] = true
			}
			if !more {
				continue
			}
			if y := runTrial(t, x.seed, skip, scenario); y.failed && len(y.w.plan) == len(x.w.plan) {
				x = y
			}
		}
		if half <= 1 {
			return x
		}
	}
}

// trial is one run of a scenario whose failure does not fail the test yet.
type trial struct {
	testing.TB
	seed uint64
	skip map[int]bool
	w    *World
	hash string

	mu       sync.Mutex
	failed   bool
	lines    []string
	at       time.Duration       // of the first failure
	last     []actors.TraceEntry // before it
	cleanups []func()
}

// Play runs a scenario in a world outside of any test: in a program, a benchmark, an Example. The
// error has the report of a failure.
func Play(seed uint64, scenario func(w *World)) error {
	if x := runTrial(nil, seed, nil, scenario); x.failed {
		return fmt.Errorf("seed %d fails\n%s", seed, x.report())
	}
	return nil
}

func runTrial(t testing.TB, seed uint64, skip map[int]bool, scenario func(w *World)) *trial {
	x := &trial{TB: t, seed: seed, skip: skip}
	over := make(chan struct{})
	go func() { // which Fatal ends
		defer close(over)
		defer x.tidy()
		scenario(NewWorld(x, seed))
		if !x.failed && x.w != nil && !x.w.closed {
			x.w.Close()
		}
	}()
	<-over
	if x.w != nil {
		x.hash = x.w.Hash()
	}
	return x
}

// tidy runs the cleanups, each even if another ends this goroutine.
func (x *trial) tidy() {
	for len(x.cleanups) > 0 {
		f := x.cleanups[len(x.cleanups)-1]
		x.cleanups = x.cleanups[:len(x.cleanups)-1]
		over := make(chan struct{})
		go func() {
			defer close(over)
			f()
		}()
		<-over
	}
	if r := recover(); r != nil {
		x.Errorf("panic: %v\n%s", r, stack())
	}
}

func stack() []byte {
	b := make([]byte, 64<<10)
	return b[:runtime.Stack(b, false)]
}

func (x *trial) note(failed bool, text string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if failed && !x.failed && x.w != nil {
		tr := x.w.Trace()
		x.at, x.last = x.w.Sim.Elapsed(), tr[max(0, len(tr)-25):]
	}
	x.failed = x.failed || failed
	if len(x.lines) < 200 {
		x.lines = append(x.lines, strings.TrimRight(text, "\n"))
	}
}

func (x *trial) report() string {
	var b strings.Builder
	for _, l := range x.lines {
		fmt.Fprintf(&b, "%s\n", l)
	}
	if x.w == nil {
		return b.String()
	}
	fmt.Fprintf(&b, "after %v of virtual time, trace %s. What was planned, and needed for the failure:\n", x.at, x.hash)
	for _, p := range x.w.plan {
		if !p.left {
			fmt.Fprintf(&b, "\t%v: %s\n", p.at, p.name)
		}
	}
	b.WriteString("The last events before it:\n")
	for _, e := range x.last {
		fmt.Fprintf(&b, "\t%s\n", e)
	}
	return b.String()
}

// The methods of testing.TB that report.

func (x *trial) Cleanup(f func())               { x.cleanups = append(x.cleanups, f) }
func (x *trial) Helper()                        {}
func (x *trial) Log(a ...any)                   { x.note(false, fmt.Sprintln(a...)) }
func (x *trial) Logf(format string, a ...any)   { x.note(false, fmt.Sprintf(format, a...)) }
func (x *trial) Error(a ...any)                 { x.note(true, fmt.Sprintln(a...)) }
func (x *trial) Errorf(format string, a ...any) { x.note(true, fmt.Sprintf(format, a...)) }
func (x *trial) Fail()                          { x.note(true, "Fail was called") }

func (x *trial) Context() context.Context { return context.Background() }

func (x *trial) Name() string {
	if x.TB == nil {
		return "Play"
	}
	return x.TB.Name()
}

func (x *trial) Failed() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.failed
}

func (x *trial) FailNow() {
	x.Fail()
	runtime.Goexit()
}

func (x *trial) Fatal(a ...any) {
	x.Error(a...)
	runtime.Goexit()
}

func (x *trial) Fatalf(format string, a ...any) {
	x.Errorf(format, a...)
	runtime.Goexit()
}

// replay is the command that runs one seed of a test again.
func replay(test string, seed uint64) string {
	return fmt.Sprintf("%s=%d go test -count=1 -run '^%s$' .", seedVar, seed, strings.ReplaceAll(test, "/", "$/^"))
}

func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
