//go:build !race

package tcp

import (
	"testing"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
)

// Under the race detector sync.Pool drops buffers at random, so this is not asked there.
func TestReadsAndWritesDoNotAllocate(t *testing.T) {
	x, y := transporttest.Pair(t, New(transporttest.Runtime(t), Config{}), anyPort)
	defer x.Abandon()
	defer y.Abandon()
	p := make([]byte, 100)
	w, r := transporttest.NewWriter(x.Raw), transporttest.NewCounter(y.Raw, len(p))
	y.Raw.Bind(r, 2)
	n := testing.AllocsPerRun(2000, func() {
		if err := w.Write(p); err != nil {
			t.Error(err)
		}
		<-r.Done
	})
	if n >= 1 {
		t.Errorf("%v allocations for a write and a read", n)
	}
}
