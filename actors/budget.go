package actors

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
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
	b      *Budget
	name   string
	used   int64     // b.mu
	over   bool      // b.mu
	onLoss func()    // b.mu
	told   bool      // b.mu; of a loss, and it has not looked since
	since  time.Time // b.mu; as it last said in a Claim or to Stood
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
	if top := b.most(); top != nil {
		e.Holder, e.HolderUsed = top.name, top.used
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

// Hold makes what the holder has n units, or as many more as there are, and returns what it has
// then. Unlike Take and Give it cannot go wrong about what another holder's Claim has taken away.
func (h *Holder) Hold(n int64) int64 {
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	return h.hold(n)
}

// hold is called with the budget's lock held.
func (h *Holder) hold(n int64) int64 {
	h.told = false
	if h.over {
		return 0
	}
	more := max(n, 0) - h.used
	if b := h.b; b.cap != 0 {
		more = min(more, max(b.cap, 0)-b.used)
	}
	h.b.used += more
	h.used += more
	return h.used
}

// Claim is Hold for what a holder cannot do without, because it is there already: what is not to be
// had is taken from another. since is when what h holds was last of use to anybody. Of those whose
// has been of none for about as long as anybody's, the one who holds most pays, and one who is not
// among them takes what he needs. He who is takes nothing that would leave the other with less than
// himself: so those who want all that they can get end with equal parts, and a refusal means that
// it is h who has to make do with less.
func (h *Holder) Claim(n int64, now, since time.Time) int64 {
	b := h.b
	b.mu.Lock()
	h.since = since
	more := n - h.hold(n)
	for i := 0; i < claimFrom && more > 0 && !h.over; i++ {
		top, among := b.idlest(h, now)
		if top == nil || top == h || among && top.used-more < h.used+more {
			break
		}
		k := min(more, top.used)
		top.used -= k
		h.used += k
		more -= k
		if !top.told {
			top.told = true
			defer top.onLoss() // without the lock
		}
	}
	used := h.used
	b.mu.Unlock()
	return used
}

// Stood says since when what h has has been of no use, for one that claims nothing because it has
// what it needs. Who never says so is taken for idle.
func (h *Holder) Stood(since time.Time) {
	h.b.mu.Lock()
	h.since = since
	h.b.mu.Unlock()
}

// claimFrom is how many others may pay for one claim, since each takes a look at all of them.
const claimFrom = 16

// oldClaim is the age from which on it makes no difference how long something has been of no use.
const oldClaim = time.Second

// idlest is the one who holds most of those who can be told of a loss, and whose holdings have been
// of no use for at least half as long as anybody's. It is called with the lock held, and says
// whether h is one of those.
func (b *Budget) idlest(h *Holder, now time.Time) (top *Holder, among bool) {
	age := func(o *Holder) time.Duration { return min(now.Sub(o.since), oldClaim) }
	can := func(o *Holder) bool { return o == h || o.used > 0 && o.onLoss != nil }
	var oldest time.Duration
	for o := range b.by { // order-free: a maximum
		if can(o) {
			oldest = max(oldest, age(o))
		}
	}
	for o := range b.by { // order-free: the largest wins, ties by name
		if can(o) && age(o) >= oldest/2 {
			among = among || o == h
			top = larger(top, o)
		}
	}
	return top, among
}

// most is called with the lock held; nil stands for nobody.
func (b *Budget) most() (top *Holder) {
	for o := range b.by { // order-free: the largest wins, ties by name
		if o.used > 0 {
			top = larger(top, o)
		}
	}
	return top
}

func larger(a, b *Holder) *Holder {
	if a == nil || b.used > a.used || b.used == a.used && b.name < a.name {
		return b
	}
	return a
}

// OnLoss sets what is called when another holder's Claim has taken something of h, once until h
// holds again. f runs on the other's goroutine and must not wait.
func (h *Holder) OnLoss(f func()) {
	h.b.mu.Lock()
	h.onLoss = f
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

// Closed says that there is no account any more: that Hold and Claim give nothing means nothing then.
func (h *Holder) Closed() bool {
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	return h.over
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
