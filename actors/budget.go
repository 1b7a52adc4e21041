package actors

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Budget is an amount that several actors share, held by named holders, so that a refusal can
// say who holds it. What a holder has is given back by whoever supervises it, when it ends.
type Budget struct {
	name string
	mu   sync.Mutex
	cap  int64
	used int64
	by   map[*Holder]struct{}
}

// NewBudget makes a budget of cap units; 0 means no limit, only accounts, and less means none at
// all.
func NewBudget(name string, cap int64) *Budget {
	return &Budget{name: name, cap: cap, by: map[*Holder]struct{}{}}
}

// Holder is one party to a budget.
type Holder struct {
	b    *Budget
	name string
	used int64 // b.mu
	over bool  // b.mu
}

// Exhausted says that a budget refused, and who holds most of it. It is a limit of this node.
type Exhausted struct {
	Limit      string // the budget's name
	Cap, Used  int64
	Holder     string
	HolderUsed int64
}

func (e *Exhausted) Error() string {
	if e.HolderUsed == 0 {
		return fmt.Sprintf("limit %s: %d of %d in use", e.Limit, e.Used, e.Cap)
	}
	return fmt.Sprintf("limit %s: %d of %d in use, most by %s (%d)", e.Limit, e.Used, e.Cap, e.Holder, e.HolderUsed)
}

// Holder adds a party. It must be closed.
func (b *Budget) Holder(name string) *Holder {
	h := &Holder{b: b, name: name}
	b.mu.Lock()
	b.by[h] = struct{}{}
	b.mu.Unlock()
	return h
}

// Take reserves n units or reports that they are not to be had; Why says who has them.
func (h *Holder) Take(n int64) bool {
	b := h.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.over || n < 0 || b.cap != 0 && n > max(b.cap, 0)-b.used {
		return false
	}
	b.used += n
	h.used += n
	return true
}

// Why explains a refusal. It looks at every holder: for errors that a person reads, not for
// each of a flood of refusals.
func (b *Budget) Why() *Exhausted {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := &Exhausted{Limit: b.name, Cap: max(b.cap, 0), Used: b.used}
	for o := range b.by { // order-free: the largest wins, ties by name
		if o.used > e.HolderUsed || o.used == e.HolderUsed && (e.Holder == "" || o.name < e.Holder) {
			e.Holder, e.HolderUsed = o.name, o.used
		}
	}
	return e
}

// Why explains a refusal of the budget.
func (h *Holder) Why() *Exhausted { return h.b.Why() }

// Give returns n units; more than the holder has is an error of the caller and is cut.
func (h *Holder) Give(n int64) {
	h.b.mu.Lock()
	n = max(min(n, h.used), 0)
	h.used -= n
	h.b.used -= n
	h.b.mu.Unlock()
}

// Close gives back everything. Later takes fail, later gives do nothing.
func (h *Holder) Close() {
	h.b.mu.Lock()
	h.b.used -= h.used
	h.used, h.over = 0, true
	delete(h.b.by, h)
	h.b.mu.Unlock()
}

// Used is the amount in use, and the cap.
func (b *Budget) Used() (used, cap int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used, b.cap
}

// Share is what one holder has.
type Share struct {
	Name string
	Used int64
}

// Shares lists the holders, largest first.
func (b *Budget) Shares() []Share {
	b.mu.Lock()
	out := make([]Share, 0, len(b.by))
	for h := range b.by { // order-free: sorted below
		out = append(out, Share{h.name, h.used})
	}
	b.mu.Unlock()
	slices.SortFunc(out, func(a, b Share) int {
		if a.Used != b.Used {
			return int(min(max(b.Used-a.Used, -1), 1))
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}
