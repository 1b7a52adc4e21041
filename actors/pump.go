package actors

import (
	"runtime/debug"
)

// pump is a goroutine of an adapter: a socket's reader, a listener's accept loop.
type pump struct {
	name string
	left bool // somebody else is the pump: Goexit of its goroutine is no fault
}

// Pump runs f on a goroutine of its own. It is for adapters, whose blocking calls end when their
// socket is closed. A panic in f (remote bytes are parsed there) goes to onPanic, never to the
// process; onPanic may be nil.
func (rt *Runtime) Pump(name string, f func(), onPanic func(*PanicError)) {
	rt.start(&pump{name: name}, rt.host.goRun, f, onPanic)
}

// Errand is Pump for an f that is over soon. Its goroutine is one whose stack has grown already, if there
// is one that has nothing to do.
func (rt *Runtime) Errand(name string, f func(), onPanic func(*PanicError)) {
	rt.start(&pump{name: name}, rt.host.goWarm, f, onPanic)
}

func (rt *Runtime) start(p *pump, run func(func()), f func(), onPanic func(*PanicError)) {
	rt.mu.Lock()
	rt.pumps[p] = struct{}{}
	rt.mu.Unlock()
	run(func() {
		clean := false
		defer func() {
			var pe *PanicError
			var r any
			if !clean {
				r = recover()
				if r == nil && !p.left {
					r = errTaskGoexit
				}
			}
			if r != nil {
				pe = &PanicError{Path: p.name, Value: r, Message: "pump", At: rt.host.now(), Stack: debug.Stack()}
				rt.record(pe, "pump")
			}
			// The owner hears of it before Close may think that all is over.
			if pe != nil && onPanic != nil {
				rt.guard(p.name, p, func() { onPanic(pe) })
			}
			rt.pumpEnded(p)
		}()
		f()
		clean = true
	})
}

func (rt *Runtime) pumpEnded(p *pump) {
	rt.mu.Lock()
	delete(rt.pumps, p)
	rt.idle.Broadcast()
	rt.mu.Unlock()
}
