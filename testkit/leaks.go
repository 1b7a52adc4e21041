package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
)

// leakPatience is how long what a test has closed may take to be gone, in real time.
const leakPatience = 5 * time.Second

// NoLeaks fails the test if at its end, after everything that it cleans up itself, there are
// goroutines or, on Linux, open descriptors that were not there when NoLeaks was called. Call it
// first. It is not for tests that run in parallel with others.
func NoLeaks(t testing.TB) {
	t.Helper()
	was, files := goroutines(), descriptors()
	t.Cleanup(func() {
		var left []string
		for end := time.Now().Add(leakPatience); ; runtime.Gosched() {
			left = grown(was, goroutines())
			left = append(left, grown(files, descriptors())...)
			if len(left) == 0 || time.Now().After(end) {
				break
			}
		}
		for _, l := range left {
			t.Errorf("left over at the end of the test: %s", l)
		}
	})
}

// NoActors fails the test if anything lives in the runtime: actors, tasks, pumps.
func NoActors(t testing.TB, rt *actors.Runtime) {
	t.Helper()
	tree := rt.Tree("")
	for _, nodes := range [][]actors.Node{tree.Roots, tree.Abandoned, tree.Orphans, tree.Strays} {
		for _, n := range nodes {
			t.Errorf("left over: %s (%s, %s)", n.Path, n.Kind, n.Phase)
		}
	}
	if tree.Pumps > 0 {
		t.Errorf("left over: %d pumps", tree.Pumps)
	}
}

// grown lists what there is more of than before.
func grown(was, is map[string]int) (more []string) {
	for k, n := range is {
		if n > was[k] {
			more = append(more, fmt.Sprintf("%d x %s", n-was[k], k))
		}
	}
	slices.Sort(more)
	return more
}

// goroutines counts the goroutines by where they were made. Those of the runtime's own and of the
// testing package are not counted.
func goroutines() map[string]int {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	count := map[string]int{}
	for _, g := range strings.Split(string(buf), "\n\n") {
		lines := strings.Split(strings.TrimSpace(g), "\n")
		made := lines[len(lines)-1]
		i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "created by ") })
		if i < 0 {
			continue // the main goroutine
		}
		by := strings.TrimPrefix(lines[i], "created by ")
		if j := strings.Index(by, " in goroutine"); j >= 0 {
			by = by[:j]
		}
		if strings.HasPrefix(by, "testing.") || strings.HasPrefix(by, "runtime.") {
			continue
		}
		count["goroutine made by "+by+" at "+strings.TrimSpace(made)]++
	}
	return count
}

// descriptors counts the open files by what they are; none where /proc does not tell.
func descriptors() map[string]int {
	count := map[string]int{}
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, l := range links {
		to, err := os.Readlink(l)
		if err != nil || strings.HasPrefix(to, "anon_inode") || strings.HasPrefix(to, "/proc/") {
			continue // the poller's, and the one that reads the list
		}
		kind, _, _ := strings.Cut(to, ":")
		count["descriptor "+kind]++
	}
	return count
}
