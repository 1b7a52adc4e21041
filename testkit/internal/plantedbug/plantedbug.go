// Package plantedbug is for the tests of contract suites: each bug of a list is planted in a process of
// its own, in which the suite has to fail where it is meant to.
package plantedbug

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const variable = "TROUPE_TEST_MUTANT"

// Named is the name of the one to be planted in this process; "" for none.
func Named() string { return os.Getenv(variable) }

// Found runs this very test program with the bug. run selects the test that runs the suite, and
// found is part of the name of the suite's test that is to fail.
func Found(t *testing.T, bug, run, found string) {
	t.Helper()
	// #nosec G204: this very program
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", run, "-test.timeout", "120s")
	cmd.Env = append(os.Environ(), variable+"="+bug)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err == nil || !errors.As(err, &exit) {
		t.Fatalf("it was not found: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "--- FAIL") && strings.Contains(line, found) {
			return
		}
	}
	t.Errorf("it was found, but not by the test of %q:\n%s", found, out)
}
