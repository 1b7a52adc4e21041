package arch

import (
	"go/ast"
	"go/token"
	"go/types"
	"testing"
)

// The calls that start a goroutine without a go statement, and those that read the clock or set
// one of the runtime's timers, by the full name of the function.
var (
	spawning = map[string]bool{
		"(*sync.WaitGroup).Go": true, "context.AfterFunc": true, "time.AfterFunc": true,
		"(*golang.org/x/sync/errgroup.Group).Go": true,
	}
	clocked = map[string]bool{
		"context.WithDeadline": true, "context.WithDeadlineCause": true,
		"context.WithTimeout": true, "context.WithTimeoutCause": true,
		"time.After": true, "time.AfterFunc": true, "time.NewTicker": true, "time.NewTimer": true,
		"time.Now": true, "time.Since": true, "time.Sleep": true, "time.Tick": true, "time.Until": true,
	}
	unordered = map[string]bool{
		"maps.All": true, "maps.Keys": true, "maps.Values": true, "(*sync.Map).Range": true,
	}
	sorting = map[string]bool{"slices.Sorted": true, "slices.SortedFunc": true, "slices.SortedStableFunc": true}
)

// orderFree is the comment that lets a map be iterated or a select have several cases: it says
// why the order cannot be seen in messages, timers or bytes.
const orderFree = "order-free:"

// owned is the comment that lets a call, but never a go statement, start a goroutine of its own:
// it says why nothing in it can panic, or who would see that.
const owned = "owned:"

// TestCodeKeepsToItsLayer looks at what the code does, where the policy looks at what it
// imports: goroutines only where panics have an owner, clocks only where simulation can replace
// them, no order that a seed does not decide.
func TestCodeKeepsToItsLayer(t *testing.T) {
	tr := load(t)
	for _, p := range tr.packages {
		r, ok := rowOf(p.path)
		if !ok {
			continue // reported with the policy
		}
		if p.err != nil {
			t.Errorf("%s: not all types are known: %v", p.path, p.err)
		}
		for _, f := range p.files {
			if f.generated {
				continue
			}
			c := checker{tr: tr, p: p, f: f, may: r.layer, report: t.Errorf}
			ast.Inspect(f.syntax, c.look)
		}
	}
}

type checker struct {
	report func(format string, args ...any)
	tr     *tree
	p      *pkg
	f      *file
	may    layer
	sorted *ast.CallExpr // the unordered call that a sorting call around it puts in order
}

func (c *checker) wrong(n ast.Node, what string) {
	c.report("%s: in a %s: %s", c.tr.fset.Position(n.Pos()), c.may.name, what)
}

func (c *checker) look(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		if !c.may.spawn {
			c.wrong(n, "a go statement; use a task or a pump of the kit, so that a panic has an owner")
		}
	case *ast.ChanType, *ast.SendStmt:
		if !c.may.waits {
			c.wrong(n, "a channel; answer by an event or an output")
		}
	case *ast.UnaryExpr:
		if n.Op == token.ARROW && !c.may.waits {
			c.wrong(n, "a channel receive; input comes by a method")
		}
	case *ast.SelectStmt:
		c.lookAtSelect(n)
	case *ast.RangeStmt:
		if c.isMap(n.X) && !c.may.live && !c.f.says(c.tr, n, orderFree) {
			c.wrong(n, "iterates a map; sort, keep a slice, or say // order-free: why")
		}
	case *ast.CallExpr:
		c.lookAtCall(n)
	case *ast.SelectorExpr:
		c.lookAtUse(n)
	}
	return true
}

func (c *checker) lookAtSelect(n *ast.SelectStmt) {
	if !c.may.waits {
		c.wrong(n, "a select; input comes by a method")
		return
	}
	cases := 0
	for _, s := range n.Body.List {
		if s.(*ast.CommClause).Comm != nil {
			cases++
		}
	}
	if cases > 1 && !c.may.live && !c.f.says(c.tr, n, orderFree) {
		c.wrong(n, "a select that picks among several ready cases by chance; say // order-free: why")
	}
}

func (c *checker) lookAtCall(n *ast.CallExpr) {
	name := c.function(n.Fun)
	switch {
	case sorting[name] && len(n.Args) > 0:
		c.sorted, _ = n.Args[0].(*ast.CallExpr)
	case unordered[name] && n != c.sorted && !c.may.live && !c.f.says(c.tr, n, orderFree):
		c.wrong(n, name+" has no order; put slices.Sorted round it, or say // order-free: why")
	}
}

// lookAtUse sees a function named, whether it is called there or passed on.
func (c *checker) lookAtUse(n *ast.SelectorExpr) {
	name := c.function(n)
	if spawning[name] && !c.may.spawn && !c.f.says(c.tr, n, owned) {
		c.wrong(n, name+" starts a goroutine; use a task of the kit, or say // owned: who sees it panic")
	}
	if clocked[name] && !c.may.clock {
		c.wrong(n, name+"; time is an argument here, and timers are messages")
	}
	if name == "time.Sleep" {
		c.wrong(n, "time.Sleep; nobody waits by guessing how long")
	}
}

func (c *checker) isMap(x ast.Expr) bool {
	tv, ok := c.p.info.Types[x]
	if !ok {
		return false
	}
	_, ok = tv.Type.Underlying().(*types.Map)
	return ok
}

// function is the full name of the function or method that x names, if types are known and it is
// not a function value.
func (c *checker) function(x ast.Expr) string {
	switch x := ast.Unparen(x).(type) {
	case *ast.SelectorExpr:
		if f, ok := c.p.info.Uses[x.Sel].(*types.Func); ok {
			return f.FullName()
		}
	case *ast.IndexExpr: // with type arguments
		return c.function(x.X)
	}
	return ""
}
