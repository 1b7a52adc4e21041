package bucket

import (
	"testing"
	"time"
)

func TestABucketRefillsWithTime(t *testing.T) {
	start := time.Unix(1000, 0)
	b := New(10, 5, start)
	taken := 0
	take := func(at time.Duration) {
		for b.Take(1, start.Add(at)) {
			taken++
		}
	}
	take(0)
	if taken != 10 {
		t.Fatalf("burst of %d", taken)
	}
	for ms := time.Duration(1); ms <= 10_000; ms++ {
		take(ms * time.Millisecond)
	}
	if taken != 60 {
		t.Fatalf("%d in 10 s, want 60", taken)
	}
	take(1e9 * time.Second)
	if taken != 70 {
		t.Fatalf("%d after a long rest, want 70", taken)
	}
	take(0) // a clock that goes back gives nothing
	if taken != 70 {
		t.Fatalf("%d", taken)
	}
}
