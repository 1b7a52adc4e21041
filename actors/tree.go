package actors

import (
	"bytes"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// KeyValue is something an actor shows about itself.
type KeyValue struct{ Key, Value string }

// Publish shows key = value on the actor's node of the tree; "" takes it away. Values are for
// people and dashboards: no payloads, no secrets.
func Publish(ctx actor.Context, key, value string) {
	c := cellOf(ctx)
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if value == "" && c.seen() == nil {
		return
	}
	x := c.seldom()
	i := slices.IndexFunc(x.info, func(kv KeyValue) bool { return kv.Key == key })
	switch {
	case value == "" && i >= 0:
		x.info = slices.Delete(slices.Clone(x.info), i, i+1)
	case value == "":
	case i >= 0:
		x.info = slices.Clone(x.info)
		x.info[i].Value = value
	default:
		x.info = append(slices.Clip(x.info), KeyValue{key, value})
	}
}

// Describe sets what to show on the actor's node of the tree before what it has published. f is
// called when somebody looks, also after the actor's end, on any goroutine: it may use only what
// never changes. For the many actors at which hardly anybody looks.
func Describe(ctx actor.Context, f func() []KeyValue) {
	if c := cellOf(ctx); c != nil {
		c.mu.Lock()
		c.ext().about = f
		c.mu.Unlock()
	}
}

// described is what an actor shows.
func (rt *Runtime) described(path string, about func() []KeyValue, published []KeyValue) []KeyValue {
	if about == nil {
		return published
	}
	var out []KeyValue
	rt.guard(path, nil, func() { out = about() })
	return append(slices.Clip(out), published...)
}

// Node is one actor or task of the tree at one moment.
type Node struct {
	Path      string
	Name      string
	Kind      string
	Phase     string        // see Phase; tasks are "running" or "stray"
	Age       time.Duration // since it was spawned
	Queued    int           // messages that wait
	Oldest    time.Duration // an upper bound for how long the oldest of them has waited
	Running   time.Duration // how long the turn under way has taken; 0: idle
	Restarts  int
	Failures  int
	Refused   uint64        // messages that its full mailbox did not take
	ParkedFor time.Duration // left of the time for which it is parked
	Last      *PanicError   // the last failure
	Info      []KeyValue
	Children  []Node
	Stack     string // of an abandoned actor or stray task; TreeWithStacks only
}

// Tree is a runtime at one moment.
type Tree struct {
	At        time.Time
	Roots     []Node
	Abandoned []Node        // actors that did not return from a message after their stop
	Orphans   []Node        // children of the abandoned that have not ended yet
	Strays    []Node        // tasks that outlived their owner
	Pumps     int           // goroutines of adapters
	Dead      []Grave       // the recently dead, newest first
	Failures  []*PanicError // the last panics, newest first
}

// Tree takes a snapshot. under limits it to the roots with that name; "" takes all.
func (rt *Runtime) Tree(under string) Tree { return rt.tree(under, false) }

// TreeWithStacks is Tree with the stacks of what is stuck. If anything is, that stops the whole
// process for a moment: it is for people, not for whoever looks every second.
func (rt *Runtime) TreeWithStacks(under string) Tree { return rt.tree(under, true) }

func (rt *Runtime) tree(under string, withStacks bool) Tree {
	rt.mu.Lock()
	roots := slices.Clone(rt.roots)
	lost := keys(rt.abandoned)
	orphans := keys(rt.orphans)
	strays := keys(rt.strays)
	t := Tree{At: rt.host.now(), Pumps: len(rt.pumps)}
	rt.mu.Unlock()
	mine := func(path string) bool {
		return under == "" || path == under || strings.HasPrefix(path, under+"/")
	}
	slices.SortFunc(roots, func(a, b *cell) int { return int(a.seq) - int(b.seq) })
	for _, c := range roots {
		if mine(c.path()) {
			t.Roots = append(t.Roots, c.node())
		}
	}
	var stacks map[int64]string
	if withStacks && len(lost)+len(strays) > 0 {
		stacks = allStacks()
	}
	for _, c := range lost {
		if !mine(c.path()) {
			continue
		}
		n := c.node()
		n.Children = nil // see Orphans
		c.mu.Lock()
		switch {
		case c.worker != nil && c.worker.goid != 0:
			n.Stack = stacks[c.worker.goid]
		case withStacks:
			n.Stack = "the turn ran inline, on the goroutine of whoever offered the message"
		}
		c.mu.Unlock()
		t.Abandoned = append(t.Abandoned, n)
	}
	for _, c := range orphans {
		if mine(c.path()) {
			t.Orphans = append(t.Orphans, c.node())
		}
	}
	for _, s := range strays {
		if n := s.node("stray"); mine(n.Path) {
			s.c.mu.Lock()
			n.Stack = stacks[s.goid]
			s.c.mu.Unlock()
			t.Strays = append(t.Strays, n)
		}
	}
	byPath := func(a, b Node) int { return strings.Compare(a.Path, b.Path) }
	slices.SortFunc(t.Abandoned, byPath)
	slices.SortFunc(t.Orphans, byPath)
	slices.SortFunc(t.Strays, byPath)
	t.Dead, t.Failures = rt.graves.list(mine)
	for i := range t.Dead {
		d := &t.Dead[i]
		d.Info, d.about = rt.described(d.Path, d.about, d.Info), nil
	}
	return t
}

func keys[K comparable](set map[K]struct{}) []K {
	return slices.AppendSeq(make([]K, 0, len(set)), maps.Keys(set)) // order-free: callers sort
}

func (t *Task) node(phase string) Node {
	return Node{Path: t.path(), Name: t.name, Kind: "task", Phase: phase, Age: t.age(t.c.rt.host.nano())}
}

func (c *cell) node() Node {
	now := c.rt.host.nano()
	n := Node{Path: c.path(), Name: c.name, Kind: c.pol.Kind, Age: time.Duration(now - c.born)}
	c.mu.Lock()
	n.Phase = Phase(c.phase.Load()).String()
	n.Queued = int(c.control.n + c.data.n)
	n.Oldest = time.Duration(max(c.control.age(now), c.data.age(now)))
	if c.run == runRunning {
		n.Running = time.Duration(now - c.turnAt)
	}
	var tasks []*Task
	var about func() []KeyValue
	if x := c.x; x != nil {
		about = x.about
		if r := x.rare; r != nil {
			n.Restarts, n.Failures, n.Refused = int(r.restarts), int(r.failures), r.refused
			n.Last, n.Info = r.last, r.info
			if r.parked > now {
				n.ParkedFor = time.Duration(r.parked - now)
			}
		}
		for t := x.tasks; t != nil; t = t.next {
			tasks = append(tasks, t)
		}
	}
	c.mu.Unlock()
	n.Info = c.rt.described(n.Path, about, n.Info)
	for _, k := range c.childrenInOrder() {
		n.Children = append(n.Children, k.node())
	}
	for _, t := range slices.Backward(tasks) {
		n.Children = append(n.Children, t.node("running"))
	}
	return n
}

// find looks a cell up by its path.
func (rt *Runtime) find(path string) *cell {
	name, rest, deeper := strings.Cut(path, "/")
	rt.mu.Lock()
	i := slices.IndexFunc(rt.roots, func(c *cell) bool { return c.name == name })
	if i < 0 {
		rt.mu.Unlock()
		return nil
	}
	c := rt.roots[i]
	rt.mu.Unlock()
	for deeper && c != nil {
		name, rest, deeper = strings.Cut(rest, "/")
		c.mu.Lock()
		var k *cell
		if c.x != nil {
			k = c.x.kids.get(name)
		}
		c.mu.Unlock()
		c = k
	}
	return c
}

// stragglers names who has not ended: of a branch those that the others wait for.
func (rt *Runtime) stragglers() []string {
	rt.mu.Lock()
	cells := append(slices.Clone(rt.roots), keys(rt.orphans)...)
	lost := keys(rt.abandoned)
	strays := keys(rt.strays)
	var out []string
	for p := range rt.pumps { // order-free: sorted below
		out = append(out, p.name)
	}
	rt.mu.Unlock()
	for _, c := range cells {
		out = c.lastToEnd(out)
	}
	for _, c := range lost {
		out = append(out, c.path())
	}
	for _, t := range strays {
		out = append(out, t.path())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (c *cell) lastToEnd(out []string) []string {
	if c.at() >= Ended {
		return out
	}
	n := len(out)
	c.mu.Lock()
	busy := c.run == runRunning // its children have not even been told
	c.mu.Unlock()
	if !busy {
		for _, k := range c.childrenInOrder() {
			out = k.lastToEnd(out)
		}
	}
	if len(out) == n {
		out = append(out, c.path())
	}
	return out
}

// Grave is an actor that has ended.
type Grave struct {
	Path     string
	Kind     string
	At       time.Time
	Lived    time.Duration
	Restarts int
	Err      error      // see End.Err
	Info     []KeyValue // what it showed last

	about func() []KeyValue
}

// graveyard remembers the last dead and the last failures, else the interesting ones vanish.
type graveyard struct {
	mu       sync.Mutex
	dead     []Grave
	nextDead int
	fails    []*PanicError
	nextFail int
	panics   uint64
	buried   uint64
}

const (
	graves   = 256 // how many of the dead are remembered
	failures = 64  // how many failures, each with its stack
)

func (g *graveyard) bury(rt *Runtime, c *cell, why error) {
	e := Grave{Path: c.path(), Kind: c.pol.Kind, At: rt.host.now(), Lived: time.Duration(rt.host.nano() - c.born), Err: why}
	c.mu.Lock()
	if c.x != nil {
		e.about = c.x.about
	}
	if r := c.seen(); r != nil {
		e.Restarts, e.Info = int(r.restarts), r.info
	}
	c.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.buried++
	if len(g.dead) < graves {
		g.dead = append(g.dead, e)
		return
	}
	g.dead[g.nextDead] = e
	g.nextDead = (g.nextDead + 1) % graves
}

func (g *graveyard) failure(e *PanicError) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.panics++
	if len(g.fails) < failures {
		g.fails = append(g.fails, e)
		return
	}
	g.fails[g.nextFail] = e
	g.nextFail = (g.nextFail + 1) % failures
}

func (g *graveyard) list(mine func(string) bool) (dead []Grave, fails []*PanicError) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.dead {
		e := g.dead[(g.nextDead+len(g.dead)-1-i)%len(g.dead)]
		if mine(e.Path) {
			dead = append(dead, e)
		}
	}
	for i := range g.fails {
		e := g.fails[(g.nextFail+len(g.fails)-1-i)%len(g.fails)]
		if mine(e.Path) {
			fails = append(fails, e)
		}
	}
	return dead, fails
}

// allStacks is one dump of all goroutines by number. It stops the world: for snapshots that
// show something stuck, only.
func allStacks() map[int64]string {
	b := make([]byte, 1<<20)
	for {
		n := runtime.Stack(b, true)
		if n < len(b) || len(b) >= 64<<20 {
			b = b[:n]
			break
		}
		b = make([]byte, 2*len(b))
	}
	out := map[int64]string{}
	for s := range bytes.SplitSeq(b, []byte("\n\n")) {
		var id int64
		if _, err := fmt.Sscanf(string(s[:min(len(s), 40)]), "goroutine %d ", &id); err == nil {
			out[id] = string(s)
		}
	}
	return out
}
