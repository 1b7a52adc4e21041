//go:build !race

package tcp

import "testing"

// Under the race detector sync.Pool drops buffers at random, so this is not asked there.
func TestReadsAndWritesDoNotAllocate(t *testing.T) {
	w, r := ends(t, Config{})
	p := make([]byte, 100)
	r.want = len(p)
	r.c.Bind(r, 2)
	n := testing.AllocsPerRun(2000, func() {
		if err := w.write(p); err != nil {
			t.Error(err)
		}
		<-r.done
	})
	if n >= 1 {
		t.Errorf("%v allocations for a write and a read", n)
	}
}
