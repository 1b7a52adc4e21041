package actors

import (
	"context"
	"slices"
	"strings"
)

// Close stops all roots and waits until every actor, task and pump has ended or ctx is done. It
// returns the paths of those that did not end; nothing waits for them any more.
func (rt *Runtime) Close(ctx context.Context) (stragglers []string) {
	rt.mu.Lock()
	rt.closed = true
	roots := slices.Clone(rt.roots)
	rt.mu.Unlock()
	for _, r := range roots {
		r.stopNow()
	}
	rt.await(ctx, func() bool {
		return len(rt.roots)+len(rt.abandoned)+len(rt.orphans)+len(rt.strays)+len(rt.pumps) == 0
	})
	rt.host.close()
	return rt.stragglers()
}

// CloseRoot stops the root of that name and waits until everything below it has ended or ctx is
// done: the end of one of several nodes of a runtime. Goroutines of adapters have no place in the
// tree and are not waited for.
func (rt *Runtime) CloseRoot(ctx context.Context, name string) (stragglers []string) {
	rt.mu.Lock()
	i := slices.IndexFunc(rt.roots, func(c *cell) bool { return c.name == name })
	var root *cell
	if i >= 0 {
		root = rt.roots[i]
	}
	rt.mu.Unlock()
	if root != nil {
		root.stopNow()
	}
	mine := func(path string) bool { return path == name || strings.HasPrefix(path, name+"/") }
	rt.await(ctx, func() bool {
		if slices.Contains(rt.roots, root) {
			return false
		}
		for _, cells := range []map[*cell]struct{}{rt.abandoned, rt.orphans} {
			for c := range cells { // order-free: any one will do
				if mine(c.path()) {
					return false
				}
			}
		}
		for t := range rt.strays { // order-free: any one will do
			if mine(t.path()) {
				return false
			}
		}
		return true
	})
	return slices.DeleteFunc(rt.stragglers(), func(p string) bool { return !mine(p) })
}

// await waits until over, which is called with rt.mu held, or until ctx is done.
func (rt *Runtime) await(ctx context.Context, over func() bool) {
	if rt.sim != nil {
		rt.sim.await(ctx, func() bool {
			rt.mu.Lock()
			defer rt.mu.Unlock()
			return over()
		})
		return
	}
	stop := context.AfterFunc(ctx, func() {
		rt.mu.Lock()
		rt.idle.Broadcast()
		rt.mu.Unlock()
	})
	defer stop()
	rt.mu.Lock()
	defer rt.mu.Unlock()
	for ctx.Err() == nil && !over() {
		rt.idle.Wait()
	}
}
