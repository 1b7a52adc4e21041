package testkit_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/testkit"
)

// failingVar makes TestFailingScenario fail, for the test of what is told about that.
const failingVar = "TROUPE_FAIL_ON_PURPOSE"

// Seed 3, and later ones, fail if "the straw" and "the camel" both happen; the rest is noise.
func TestFailingScenario(t *testing.T) {
	if os.Getenv(failingVar) == "" {
		failingScenario(t, 2)
		return
	}
	failingScenario(t, 8)
}

func failingScenario(t *testing.T, seeds int) {
	testkit.Seeds(t, seeds, func(w *testkit.World) {
		straw, camel := false, false
		for i, name := range []string{"noise", "the straw", "more noise", "the camel", "noise again"} {
			w.At(time.Duration(i)*time.Second, name, func() {
				straw = straw || name == "the straw"
				camel = camel || name == "the camel"
			})
		}
		w.Run(time.Minute)
		if straw && camel && w.Seed() >= 3 {
			w.TB().Fatal("its back is broken")
		}
	})
}

func TestAFailureIsShrunkAndSaysHowToReplayIt(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestFailingScenario$", "-test.v")
	cmd.Env = append(os.Environ(), failingVar+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("it did not fail:\n%s", out)
	}
	text := string(out)
	for _, want := range []string{
		"its back is broken", "1s: the straw", "3s: the camel", "TROUPE_SEED=", "go test -count=1 -run '^TestFailingScenario$'", "at commit ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	needed, _, _ := strings.Cut(text[strings.Index(text, "What was planned"):], "The last events")
	if strings.Contains(needed, "noise") {
		t.Error("it was not shrunk to what the failure needs")
	}
	if t.Failed() {
		t.Log(text)
	}
	cmd = exec.Command(os.Args[0], "-test.run=^TestFailingScenario$", "-test.v")
	cmd.Env = append(os.Environ(), failingVar+"=1", "TROUPE_SEED=2")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "1 seeds") {
		t.Errorf("seed 2 alone: %v\n%s", err, out)
	}
}

// A world in which nothing can happen any more says so, and who waits for what.
func TestAWorldThatStallsSaysWhoWaits(t *testing.T) {
	err := testkit.Play(1, func(w *testkit.World) {
		a, b := w.Node("a"), w.Node("b", w.Serve)
		a.Connect(b)
		w.Until("the impossible", func() bool { return false }, time.Minute)
	})
	if err == nil {
		t.Fatal("the impossible was waited for in vain, and nothing was said")
	}
	for _, want := range []string{"the impossible", "has not come about within 1m0s", "virtual time", "stream 1 outbound"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q: %v", want, err)
		}
	}
}

// What cannot be built is refused with a reason.
func TestImpossibleWorldsAreRefused(t *testing.T) {
	for name, row := range map[string]struct {
		build func(w *testkit.World)
		want  string
	}{
		"two of a name": {func(w *testkit.World) { w.Node("a"); w.Node("a") }, "a"},
		"no name":       {func(w *testkit.World) { w.Node("") }, "cannot be called"},
		"a path":        {func(w *testkit.World) { w.Node("a/b") }, "cannot be called"},
	} {
		err := testkit.Play(1, row.build)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
