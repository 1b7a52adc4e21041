package actors

import "time"

// EventKind says what happened in a runtime.
type EventKind uint8

// The kinds of Event.
const (
	EventFailed    EventKind = iota + 1 // an actor or task panicked
	EventVerdict                        // its supervisor decided
	EventEnded                          // an actor ended
	EventAbandoned                      // an actor is stuck and was given up
)

// Event is something that the kit itself noticed.
type Event struct {
	Kind   EventKind
	Path   string
	Actor  string // Spec.Kind
	Err    error
	Action Action        // EventVerdict
	After  time.Duration // EventVerdict
}

// OnEvent adds a listener. It is called on whichever goroutine noticed the event and must
// neither block nor call back into the runtime; a Feed fits.
func (rt *Runtime) OnEvent(f func(Event)) (cancel func()) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	l := &f
	rt.listeners = append(rt.listeners[:len(rt.listeners):len(rt.listeners)], l)
	return func() {
		rt.mu.Lock()
		defer rt.mu.Unlock()
		kept := make([]*func(Event), 0, len(rt.listeners))
		for _, o := range rt.listeners {
			if o != l {
				kept = append(kept, o)
			}
		}
		rt.listeners = kept
	}
}

func (rt *Runtime) notify(e Event) {
	rt.mu.Lock()
	ls := rt.listeners // replaced as a whole, never changed in place
	rt.mu.Unlock()
	for _, f := range ls {
		(*f)(e)
	}
}

// Injected is the panic value of a fault that a test asked for.
type Injected struct{ Reason string }

func (e *Injected) Error() string { return "injected fault: " + e.Reason }

// fault makes whoever opens it panic.
type fault struct{ err *Injected }

func (f *fault) open(*cell) (any, bool) { panic(f.err) }

// Kill makes the actor at path panic in its next turn, as a bug in it would. It reports whether
// there is such an actor. For tests of what a failure costs, of this kit's users too.
func (rt *Runtime) Kill(path, reason string) bool {
	c := rt.find(path)
	return c != nil && c.postControl(&fault{&Injected{reason}}) == nil
}
