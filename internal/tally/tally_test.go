package tally

import "testing"

func TestTopIsWhoHoldsMostAndAmongEqualsWhoCameFirst(t *testing.T) {
	var c Tally[string]
	if k, n := c.Top(); k != "" || n != 0 {
		t.Fatalf("empty tally has top %q with %d", k, n)
	}
	for _, step := range []struct {
		key   string
		delta int
		count int
		top   string
		topN  int
		keys  int
	}{
		{"a", 1, 1, "a", 1, 1},
		{"b", 1, 1, "a", 1, 2}, // a tie goes to the older key
		{"b", 1, 2, "b", 2, 2},
		{"c", 7, 7, "c", 7, 3},
		{"c", -6, 1, "b", 2, 3},
		{"b", -2, 0, "a", 1, 2},
		{"a", -9, 0, "c", 1, 1}, // never below zero, never an empty entry
		{"x", -1, 0, "c", 1, 1},
		{"x", 0, 0, "c", 1, 1},
	} {
		if n := c.Add(step.key, step.delta); n != step.count {
			t.Fatalf("Add(%q, %d) = %d, want %d", step.key, step.delta, n, step.count)
		}
		if k, n := c.Top(); k != step.top || n != step.topN || c.Len() != step.keys {
			t.Fatalf("after Add(%q, %d): top %q with %d of %d keys, want %q with %d of %d",
				step.key, step.delta, k, n, c.Len(), step.top, step.topN, step.keys)
		}
	}
}

// FuzzTally compares the heap with a plain count of everything.
func FuzzTally(f *testing.F) {
	f.Add([]byte{1, 2, 3, 0x81, 0x82, 0x83})
	f.Add([]byte{1, 1, 1, 2, 2, 0x81, 0x81, 0x81, 3})
	f.Fuzz(func(t *testing.T, ops []byte) {
		var c Tally[byte]
		plain := map[byte]int{}
		for _, op := range ops {
			key, delta := op&0x1f, int(op>>5&3)+1
			if op&0x80 != 0 {
				delta = -delta
			}
			plain[key] += delta
			if plain[key] <= 0 {
				delete(plain, key)
			}
			if got := c.Add(key, delta); got != plain[key] {
				t.Fatalf("count of %d is %d, want %d", key, got, plain[key])
			}
			most := 0
			for _, n := range plain {
				most = max(most, n)
			}
			k, n := c.Top()
			if n != most || plain[k] != most || c.Len() != len(plain) {
				t.Fatalf("top %d with %d of %d keys, want %d of %d", k, n, c.Len(), most, len(plain))
			}
		}
	})
}

func BenchmarkAddToKnownKey(b *testing.B) {
	var c Tally[int]
	for i := range 4096 {
		c.Add(i, 1+i%7)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Add(i&4095, 1)
		c.Add(i&4095, -1)
	}
}
