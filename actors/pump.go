package actors

import (
	"runtime/debug"
)

// pump is a goroutine of an adapter: a socket's reader, a listener's accept loop.
type pump struct{ name string }

// Pump runs f on a goroutine of its own. It is for adapters, whose blocking calls end when their
// socket is closed. A panic in f (remote bytes are parsed there) goes to onPanic, never to the
// process; onPanic may be nil.
func (rt *Runtime) Pump(name string, f func(), onPanic func(*PanicError)) {
	p := &pump{name}
	rt.mu.Lock()
	rt.pumps[p] = struct{}{}
	rt.mu.Unlock()
	rt.host.goRun(func() {
		clean := false
		defer func() {
			var pe *PanicError
			if !clean {
				r := recover()
				if r == nil {
					r = errTaskGoexit
				}
				pe = &PanicError{Path: name, Value: r, Message: "pump", At: rt.host.now(), Stack: debug.Stack()}
				rt.record(pe, "pump")
			}
			// The owner hears of it before Close may think that all is over.
			if pe != nil && onPanic != nil {
				rt.guard(name, p, func() { onPanic(pe) })
			}
			rt.mu.Lock()
			delete(rt.pumps, p)
			rt.idle.Broadcast()
			rt.mu.Unlock()
		}()
		f()
		clean = true
	})
}
