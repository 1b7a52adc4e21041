package harness

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var web = &http.Client{Timeout: 5 * time.Second}

func (n *Node) get(path string) ([]byte, error) {
	resp, err := web.Get(n.Inspect + path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", path, resp.Status, b)
	}
	return b, err
}

// Tree is the page /tree. Only what the tests need of it is read: which actors there are, by
// path, and what has failed.
type Tree struct {
	Actors []string // the paths of all live actors, in the order of the page
	// Abandoned are the actors that were given up: stopped, but stuck in Receive.
	Abandoned []string
	// Failures are the last panics, each as the actor and what it said.
	Failures []string
}

// Tree reads the live tree.
func (n *Node) Tree(tb testing.TB) Tree {
	tb.Helper()
	b, err := n.get("/tree")
	if err != nil {
		tb.Fatal(err)
	}
	var page any
	if err := json.Unmarshal(b, &page); err != nil {
		tb.Fatalf("/tree is no JSON: %v", err)
	}
	var t Tree
	t.walk(page, false)
	var told struct {
		Failures []struct{ Actor, Error string }
	}
	if err := json.Unmarshal(b, &told); err != nil {
		tb.Fatalf("/tree tells failures in another form: %v", err)
	}
	for _, f := range told.Failures {
		t.Failures = append(t.Failures, f.Actor+": "+f.Error)
	}
	return t
}

// walk takes every object with a path as an actor, those below "abandoned" and "orphans" as abandoned, and
// leaves out those below "dead".
func (t *Tree) walk(v any, abandoned bool) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			t.walk(e, abandoned)
		}
	case map[string]any:
		if path, ok := v["path"].(string); ok {
			if abandoned {
				t.Abandoned = append(t.Abandoned, path)
			} else {
				t.Actors = append(t.Actors, path)
			}
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if k != "dead" {
				t.walk(v[k], abandoned || k == "abandoned" || k == "orphans")
			}
		}
	}
}

// Metrics reads /metrics; series of one name are added up.
func (n *Node) Metrics(tb testing.TB) map[string]float64 {
	tb.Helper()
	b, err := n.get("/metrics")
	if err != nil {
		tb.Fatal(err)
	}
	out := map[string]float64{}
	lines := bufio.NewScanner(strings.NewReader(string(b)))
	for lines.Scan() {
		line := lines.Text()
		cut := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || cut < 0 {
			continue
		}
		name, _, _ := strings.Cut(line[:cut], "{")
		if v, err := strconv.ParseFloat(line[cut+1:], 64); err == nil {
			out[name] += v
		}
	}
	return out
}

// Goroutines of the node, by the Go collector's usual metric.
func (n *Node) Goroutines(tb testing.TB) int {
	tb.Helper()
	v, ok := n.Metrics(tb)["go_goroutines"]
	if !ok {
		tb.Fatal("/metrics has no go_goroutines")
	}
	return int(v)
}

// RSS is the resident memory of the node in bytes, read from the kernel.
func (p *Proc) RSS(tb testing.TB) int64 {
	tb.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	tb.Fatal("no VmRSS in /proc")
	return 0
}

// Descriptors is the number of files and sockets that the process has open.
func (p *Proc) Descriptors(tb testing.TB) int {
	tb.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	if err != nil {
		tb.Fatal(err)
	}
	return len(entries)
}
