package testkit_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/testkit"
)

func traceOf(t *testing.T, seed uint64) (tr []actors.TraceEntry, hash string) {
	t.Helper()
	err := testkit.Play(seed, func(w *testkit.World) {
		w.Sim.KeepTrace(1 << 20)
		everything(w)
		w.Close()
		tr, hash = w.Trace(), w.Hash()
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr, hash
}

func TestTheSameSeedIsTheSameRun(t *testing.T) {
	for seed := range uint64(3) {
		a, ha := traceOf(t, seed)
		b, hb := traceOf(t, seed)
		if ha == hb {
			continue
		}
		for i := range a {
			if i < len(b) && a[i] == b[i] {
				continue
			}
			for _, e := range a[max(0, i-10):min(len(a), i+3)] {
				t.Log(e)
			}
			t.Log("but the second time")
			for _, e := range b[max(0, i-10):min(len(b), i+3)] {
				t.Log(e)
			}
			break
		}
		t.Fatalf("seed %d: %s and %s", seed, ha, hb)
	}
}

// printVar makes TestPrintHash print the hash of that seed, for the other process.
const printVar = "TROUPE_PRINT_HASH"

func TestPrintHash(t *testing.T) {
	text := os.Getenv(printVar)
	if text == "" {
		text = "1"
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	_, hash := traceOf(t, seed)
	fmt.Printf("hash=%s\n", hash)
}

// Another process, another number of processors and (with TROUPE_LONG, which needs a C compiler)
// the race detector change nothing.
func TestTheSameSeedIsTheSameRunInOtherProcesses(t *testing.T) {
	const seed = "11"
	_, want := traceOf(t, 11)
	run := func(what string, env []string, name string, args ...string) {
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), append(env, printVar+"="+seed)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", what, err, out)
			return
		}
		if _, after, _ := strings.Cut(string(out), "hash="); !strings.HasPrefix(after, want+"\n") {
			t.Errorf("%s: want %s:\n%s", what, want, out)
		}
	}
	self := os.Args[0]
	for _, procs := range []string{"1", "2"} {
		run(procs+" processors", []string{"GOMAXPROCS=" + procs}, self, "-test.run=^TestPrintHash$")
	}
	if os.Getenv("TROUPE_LONG") != "" {
		run("race detector", []string{"CGO_ENABLED=1"}, "go", "test", "-race", "-count=1", "-v", "-run=^TestPrintHash$", ".")
	}
}
