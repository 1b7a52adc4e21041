package troupe_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestANodePaysForTheTransportsThatItNames, in bytes of a stripped program: 12.7 MB for the README's, which
// has TCP alone, and 18.8 MB with all transports (2026-11-23, linux/amd64). bench has the figures beside
// go-libp2p's.
func TestANodePaysForTheTransportsThatItNames(t *testing.T) {
	size := func(pkg string) int64 {
		out := filepath.Join(t.TempDir(), "program")
		if text, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", out, pkg).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		is, err := os.Stat(out)
		if err != nil {
			t.Fatal(err)
		}
		return is.Size()
	}
	const mb = 1_000_000
	alone, all := size("./examples/hello"), size("./cmd/troupe")
	if alone > 14*mb {
		t.Errorf("TCP alone takes %d bytes", alone)
	}
	if all-alone < 3*mb {
		t.Errorf("%d bytes with all transports, %d with one: they are linked anyway", all, alone)
	}
}
