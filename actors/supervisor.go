package actors

import "github.com/asynkron/protoactor-go/actor"

// Supervisor is the spec of an actor that does nothing but start children, in order, and look
// after them by the strategy. It stops them in reverse order, one after another. children is
// called for each incarnation.
func Supervisor(name string, s Strategy, children func() []Spec) Spec {
	return Spec{
		Name: name, Kind: "supervisor", Children: s, StopOrdered: true,
		New: func() actor.Actor { return &supervisor{children} },
	}
}

type supervisor struct{ children func() []Spec }

// Receive implements actor.Actor.
func (s *supervisor) Receive(ctx actor.Context) {
	if _, ok := ctx.Message().(*actor.Started); !ok {
		return
	}
	for _, spec := range s.children() {
		if _, err := Spawn[any](ctx, spec); err != nil {
			panic(err) // a name is given twice, or a spec has no New
		}
	}
}
