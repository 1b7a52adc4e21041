package testkit_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// world that each planted bug is to be caught by, within 200 seeds.
var mutants = map[string]string{
	"deadline-forgotten":      "silent",
	"identity-check-left-out": "impostor",
	"queue-unbounded":         "crowd",
	"quota-not-released":      "quota",
	"restart-order-wrong":     "order",
	"stream-close-lost":       "bulk",
	"timer-not-cancelled":     "timers",
	"window-update-dropped":   "bulk",
}

// The worlds find planted bugs: patches that are applied to copies of the files they change, and
// are in no shipped code. One that does not apply, or that is not caught, fails the test. Each
// builds the module anew, so that only `make sim`, by TROUPE_LONG, takes them all; else the
// patches are applied and built with, and one of them is run.
func TestPlantedBugsAreFound(t *testing.T) {
	patches, err := filepath.Glob("internal/mutants/*.patch")
	if err != nil || len(patches) != len(mutants) {
		t.Fatalf("%d patches for %d worlds: %v", len(patches), len(mutants), err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, patch := range patches {
		name := strings.TrimSuffix(filepath.Base(patch), ".patch")
		t.Run(name, func(t *testing.T) {
			world := mutants[name]
			if world == "" {
				t.Fatalf("no world is named to catch it")
			}
			overlay := plant(t, root, patch)
			if os.Getenv("TROUPE_LONG") == "" && name != "quota-not-released" {
				return // it applies
			}
			cmd := exec.Command("go", "test", "-count=1", "-overlay", overlay,
				"-run", "^TestWorlds$/^"+world+"$", "./testkit", "-troupe.seeds=200")
			cmd.Dir = root
			cmd.Env = append(os.Environ(), "TROUPE_SEED=", "TROUPE_LONG=")
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("200 seeds of %s did not notice:\n%s", world, out)
			}
			if !strings.Contains(string(out), " fails at commit ") {
				t.Fatalf("it fails, but not in the world:\n%s", out)
			}
		})
	}
}

// plant applies a patch to copies and returns the file that says so to the go command.
func plant(t *testing.T, root, patch string) (overlay string) {
	t.Helper()
	b, err := os.ReadFile(patch)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	replace := map[string]string{}
	for _, line := range strings.Split(string(b), "\n") {
		name, ok := strings.CutPrefix(line, "+++ b/")
		if !ok {
			continue
		}
		src, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, src, 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(root, name)] = to
	}
	path, err := filepath.Abs(patch)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("git", "apply", path)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the patch does not apply any more: make it anew: %s", out)
	}
	j, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, j, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}
