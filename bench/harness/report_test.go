package harness

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestGrowthIsInOrderAndDrawn(t *testing.T) {
	e := &env{cfg: Config{Out: "R.md"}, all: results{}}
	for _, n := range connPoints(false) {
		e.all.add("growth-conns", us, n, values{at("KB", n): float64(n), "pings answered": 100, "ping p50 us": 7})
		e.all.add("growth-conns", them, n, values{at("KB", n): 2 * float64(n)})
	}
	var b strings.Builder
	curves := e.growthTables(&b)
	if len(curves) != 1 || !slices.IsSorted(curves[0].points) || len(curves[0].points) != len(connPoints(false)) || curves[0].theirs[1] != 200 {
		t.Fatalf("%+v", curves)
	}
	for _, want := range []string{"\n| 10000 | 10000 | 20000 |\n", "](growth-conns-memory.svg)", "Troupe, with all those connections: 100 of the peers"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing:\n%s", want, b.String())
		}
	}
	dir := t.TempDir()
	if err := e.draw(curves, dir); err != nil {
		t.Fatal(err)
	}
	if svg, err := os.ReadFile(filepath.Join(dir, "growth-conns-memory.svg")); err != nil || !strings.Contains(string(svg), "<svg") {
		t.Errorf("%v, %.40s", err, svg)
	}
}
