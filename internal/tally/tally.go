// Package tally counts by key and always knows which key holds most.
//
// A refusal names whoever holds most of what has run out, and an eviction takes from whoever
// holds most. Both happen once per hostile byte sequence, so neither may walk a table: the
// counts are kept in a heap, and finding the largest costs nothing.
package tally

// Tally is a multiset. The zero value is empty and ready. It is owned by one core.
type Tally[K comparable] struct {
	items map[K]*item[K]
	heap  []*item[K] // most first; among equals whoever came first
	seq   uint64
}

type item[K comparable] struct {
	key K
	n   int
	seq uint64
	pos int
}

// Add changes k's count by delta and returns the new one. A key whose count falls to zero or
// below is forgotten: the tally never holds empty entries.
func (t *Tally[K]) Add(k K, delta int) int {
	it := t.items[k]
	switch {
	case it == nil && delta <= 0:
		return 0
	case it == nil:
		if t.items == nil {
			t.items = make(map[K]*item[K])
		}
		t.seq++
		it = &item[K]{key: k, n: delta, seq: t.seq, pos: len(t.heap)}
		t.items[k] = it
		t.heap = append(t.heap, it)
		t.up(it.pos)
	case it.n+delta <= 0:
		t.drop(it)
		return 0
	case delta > 0:
		it.n += delta
		t.up(it.pos)
	case delta < 0:
		it.n += delta
		t.down(it.pos)
	}
	return it.n
}

// Get returns k's count.
func (t *Tally[K]) Get(k K) int {
	if it := t.items[k]; it != nil {
		return it.n
	}
	return 0
}

// Top returns the key that holds most, and how much; zero values when the tally is empty.
func (t *Tally[K]) Top() (K, int) {
	if len(t.heap) == 0 {
		var none K
		return none, 0
	}
	return t.heap[0].key, t.heap[0].n
}

// Len is the number of keys with a count.
func (t *Tally[K]) Len() int { return len(t.heap) }

func (t *Tally[K]) drop(it *item[K]) {
	i, last := it.pos, len(t.heap)-1
	t.swap(i, last)
	t.heap[last] = nil
	t.heap = t.heap[:last]
	delete(t.items, it.key)
	if i < last {
		t.up(i)
		t.down(i)
	}
}

func (t *Tally[K]) above(i, j int) bool {
	a, b := t.heap[i], t.heap[j]
	return a.n > b.n || a.n == b.n && a.seq < b.seq
}

func (t *Tally[K]) swap(i, j int) {
	t.heap[i], t.heap[j] = t.heap[j], t.heap[i]
	t.heap[i].pos, t.heap[j].pos = i, j
}

func (t *Tally[K]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !t.above(i, parent) {
			return
		}
		t.swap(i, parent)
		i = parent
	}
}

func (t *Tally[K]) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(t.heap) {
			return
		}
		if right := child + 1; right < len(t.heap) && t.above(right, child) {
			child = right
		}
		if !t.above(child, i) {
			return
		}
		t.swap(i, child)
		i = child
	}
}
