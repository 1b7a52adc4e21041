package testkit_test

import (
	"testing"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/testkit"
)

func traceOf(seed uint64, scenario func(w *testkit.World)) (tr []actors.TraceEntry, hash string, err error) {
	err = testkit.Play(seed, func(w *testkit.World) {
		w.Sim.KeepTrace(1 << 20)
		scenario(w)
		w.Close()
		tr, hash = w.Trace(), w.Hash()
	})
	return tr, hash, err
}

func TestTheSameSeedIsTheSameRun(t *testing.T) {
	for seed := range uint64(60) {
		a, ha, err := traceOf(seed+140, everything)
		if err != nil {
			t.Fatal(err)
		}
		b, hb, _ := traceOf(seed+140, everything)
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
