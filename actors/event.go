package actors

import (
	"runtime/debug"
	"slices"
	"time"
)

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
	l := &f
	rt.setListeners(func(ls []*func(Event)) []*func(Event) { return append(ls, l) })
	return func() {
		rt.setListeners(func(ls []*func(Event)) []*func(Event) {
			return slices.DeleteFunc(ls, func(o *func(Event)) bool { return o == l })
		})
	}
}

func (rt *Runtime) setListeners(change func([]*func(Event)) []*func(Event)) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	var ls []*func(Event)
	if old := rt.listeners.Load(); old != nil {
		ls = slices.Clone(*old)
	}
	ls = change(ls)
	rt.listeners.Store(&ls)
}

func (rt *Runtime) notify(e Event) {
	ls := rt.listeners.Load()
	if ls == nil {
		return
	}
	for _, f := range *ls {
		rt.tellListener(*f, e)
	}
}

// tellListener contains a listener's panic: it happens to run in somebody's turn. It is only put
// on record, since telling the listeners of it might never end.
func (rt *Runtime) tellListener(f func(Event), e Event) {
	defer func() {
		if r := recover(); r != nil {
			rt.graves.failure(&PanicError{Path: "listener", Value: r, Message: "actors.Event", At: rt.host.now(), Stack: debug.Stack()})
		}
	}()
	f(e)
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
